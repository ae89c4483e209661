import { Code } from "../../../firmware/core/errors.ts"
import { labelPath, timePath } from "../../../firmware/core/sml-parameter.ts"
import type { Report } from "../report.ts"
import { onStage } from "./on-stage.ts"
import { evidenceOf, verdictOf } from "./proof.ts"
import { list, profile, set, word } from "./requests.ts"

/** Who else reads: the energy provider for its bill, the customer what is his own, the display what flows now. */
export function run(): Promise<Report> {
    return onStage("Reading by the customer and the energy provider", async (stage, story) => {
        const { meter } = stage
        await stage.desk.world.runFor(900_000)
        const supplier = await stage.certify("energy-provider", "energy provider")
        const customer = await stage.certify("customer", "customer")
        const display = await stage.certify("indicator", "display")
        for (const who of [supplier, customer]) {
            const reading = story.done(who, "reads the meter", await stage.tell(who, meter, [list()]))
            story.shows(
                "verifier",
                "judges the reading",
                "proof",
                verdictOf(stage, evidenceOf(stage, meter, reading)).name,
            )
            story.done(who, "reads the load profile", await stage.tell(who, meter, [profile()], { brief: true }))
            story.refused(
                who,
                "sets the time",
                await stage.tell(who, meter, [set(timePath, word(stage.seconds()))], { brief: true }),
                Code.FunctionDenied,
            )
            story.refused(
                who,
                "sets the label",
                await stage.tell(who, meter, [set(labelPath, Buffer.from("mine"))], { brief: true }),
                Code.FunctionDenied,
            )
        }
        story.done(display, "reads what flows now", await stage.tell(display, meter, [list()]))
        story.refused(
            display,
            "reads the load profile",
            await stage.tell(display, meter, [profile()], { brief: true }),
            Code.FunctionDenied,
        )
        const before = await stage.tell(customer, meter, [profile()], {
            target: Buffer.from("0a01504c4201000000ff", "hex"),
        })
        story.shows(
            customer.name,
            "reads the load profile of the neighbour",
            "refused",
            before.code === 0 ? "done" : "refused",
        )
    })
}
