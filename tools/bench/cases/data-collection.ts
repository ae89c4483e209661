import { Fn } from "../../../firmware/core/access.ts"
import { Code } from "../../../firmware/core/errors.ts"
import type { Report } from "../report.ts"
import { onStage } from "./on-stage.ts"
import { orders } from "./orders.ts"
import { evidenceOf, verdictOf } from "./proof.ts"
import { list, profile } from "./requests.ts"

/**
 * "Optionally the provider of metering devices can delegate the data collection service (DCS) to a third party … and will receive a
 * certificate CERT_DCS from the security management … including the attribute of the right for data collection."
 */
export function run(): Promise<Report> {
    return onStage("Delegated data collection", async (stage, story) => {
        const { meter, muc } = stage
        const rights = (1 << Fn.readCurrent) | (1 << Fn.readProfile)
        const collector = await stage.certify("data-collection", "collector", { rights })
        const reading = story.done(collector, "reads the meter", await stage.tell(collector, meter, [list()]))
        story.shows("verifier", "judges the reading", "proof", verdictOf(stage, evidenceOf(stage, meter, reading)).name)
        await stage.desk.world.runFor(900_000)
        story.done(collector, "reads the load profile", await stage.tell(collector, meter, [profile()]))
        for (const { fn, says, request } of orders(stage, meter))
            if (fn !== Fn.readCurrent && fn !== Fn.readProfile)
                story.refused(collector, says, await stage.tell(collector, meter, [request]), Code.FunctionDenied)
        for (const { fn, says, request } of orders(stage, muc))
            if (fn !== Fn.readCurrent && fn !== Fn.readProfile)
                story.refused(
                    collector,
                    `${says} (MUC)`,
                    await stage.tell(collector, muc, [request]),
                    Code.FunctionDenied,
                )
        await stage.revoke(collector, meter)
        story.refused(
            collector,
            "reads after it was withdrawn",
            await stage.tell(collector, meter, [list()]),
            Code.ChainRevoked,
        )
    })
}
