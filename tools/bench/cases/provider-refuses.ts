import { Code } from "../../../firmware/core/errors.ts"
import { deleteProviderPath } from "../../../firmware/core/sml-parameter.ts"
import type { Report } from "../report.ts"
import { onStage } from "./on-stage.ts"
import { nextProvider, unheld } from "./provider-change.ts"
import { list, set } from "./requests.ts"

const remove = set(deleteProviderPath, Buffer.of(0))

/**
 * "If the first metering service provider hesitates to admit access to the new metering service provider, the manufacturer is also able to
 * delete the public key and access rights of the former metering service provider."
 */
export function run(): Promise<Report> {
    return onStage(
        "Provider that hesitates: the manufacturer removes it",
        async (stage, story) => {
            const { meter } = stage
            const manufacturer = stage.person("manufacturer")
            const management = stage.person("security-management")
            const operator = await stage.certify("operator", "operator")
            const inspector = await stage.certify("inspector", "inspector")
            const authority = stage.person("calibration-authority")
            const second = await nextProvider(stage)
            const next = await stage.certify("operator", "second operator", { by: second.path })

            story.done(operator, "reads the meter", await stage.tell(operator, meter, [list()]))
            for (const [who, codes] of [
                [operator, [Code.FunctionDenied]],
                [management, [Code.FunctionDenied]],
                [inspector, [Code.FunctionDenied]],
                [authority, [Code.FunctionDenied]],
                [second, unheld],
            ] as const)
                story.refused(who, "removes the provider", await stage.tell(who, meter, [remove]), ...codes)
            story.refused("nobody", "removes the provider", await stage.ask(meter, [remove]), Code.NotSigned)
            const early = await stage.bring(meter, second.signer.certificate, stage.der("ca-root"), "certificate")
            story.refused(second, "has its certificate brought while the first is in force", early, Code.ProviderHeld)

            story.done(manufacturer, "removes the provider", await stage.tell(manufacturer, meter, [remove]))
            story.refused(operator, "reads the meter", await stage.tell(operator, meter, [list()]), ...unheld)
            story.refused(management, "reads the meter", await stage.tell(management, meter, [list()]), ...unheld)
            const taken = await stage.bring(meter, second.signer.certificate, stage.der("ca-root"), "certificate")
            story.shows(second.name, "has its certificate brought", "done", taken.text)
            story.done(next, "reads the meter", await stage.tell(next, meter, [list()]))
        },
        { muc: false },
    )
}
