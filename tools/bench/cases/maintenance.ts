import { Code } from "../../../firmware/core/errors.ts"
import {
    accessPath,
    addressesPath,
    labelPath,
    logbookPath,
    meteringPath,
} from "../../../firmware/core/sml-parameter.ts"
import type { Report } from "../report.ts"
import { readLog } from "./logs.ts"
import { onStage } from "./on-stage.ts"
import { stranger } from "./reading.ts"
import { get, half, set } from "./requests.ts"

const label = Buffer.from("Cellar, left of the stairs")

/**
 * "If commands should be executed on the metering device, they have to be signed digitally by the operator. The certificate is sent to the
 * metering device. For verification of the certificate the metering device uses the public key of the Metering Service Provider … The
 * Metering Service provider issues the certificates of the maintenance operators."
 */
export function run(): Promise<Report> {
    return onStage("Maintenance", async (stage, story) => {
        const { meter, muc } = stage
        const operator = await stage.certify("operator", "maintenance")
        story.done(operator, "sets the label of the meter", await stage.tell(operator, meter, [set(labelPath, label)]))
        const read = story.done(
            operator,
            "reads it back",
            await stage.tell(operator, meter, [get(labelPath)], { brief: true }),
        )
        story.shows("meter", "has the label", `${label}`, `${read.trees[0]?.value}`)
        story.done(operator, "reads the addresses of the MUC", await stage.tell(operator, muc, [get(addressesPath)]))
        const log = await readLog(stage, operator, meter, logbookPath)
        const entry = log.entries.find(({ event, fn }) => event === "parameterSet" && fn === "setParameters")
        story.done(operator, "reads the logbook of the meter", log.came)
        story.shows("logbook", "names who set the label", operator.signer.id, entry?.signer ?? "no entry")

        story.refused("nobody", "sets the label", await stage.ask(meter, [set(labelPath, label)]), Code.NotSigned)
        const hours = Buffer.concat([half(60), half(120)])
        story.refused(
            operator,
            "sets a metering parameter",
            await stage.tell(operator, meter, [set(meteringPath, hours)]),
            Code.FunctionDenied,
        )
        story.refused(
            operator,
            "changes access rights",
            await stage.tell(operator, meter, [set(accessPath, Buffer.alloc(86))]),
            Code.FunctionDenied,
        )
        const reader = await stage.certify("operator", "reads only", { rights: 3 })
        story.refused(
            reader,
            "sets the label",
            await stage.tell(reader, meter, [set(labelPath, label)]),
            Code.RightMissing,
        )
        const other = await stranger(stage)
        story.refused(
            other,
            "sets the label",
            await stage.tell(other, meter, [set(labelPath, label)]),
            Code.ChainIssuer,
            Code.ChainKeyId,
        )
        const short = await stage.certify("operator", "of last year", {
            days: 1,
            now: new Date(stage.now().getTime() - 2 * 86_400_000),
        })
        story.refused(
            short,
            "sets the label",
            await stage.tell(short, meter, [set(labelPath, label)]),
            Code.ChainExpired,
        )

        const left = await stage.certify("operator", "who left")
        story.done(left, "sets the label while employed", await stage.tell(left, meter, [set(labelPath, label)]))
        await stage.revoke(left, muc)
        await stage.bringList(meter, "security-management")
        story.refused(
            left,
            "sets the label after the list has come",
            await stage.tell(left, meter, [set(labelPath, label)]),
            Code.ChainRevoked,
        )
    })
}
