import { Code } from "../../../firmware/core/errors.ts"
import {
    attestationPath,
    meteringPath,
    metrologicalLogbookPath,
    metrologicalResetPath,
    timePath,
} from "../../../firmware/core/sml-parameter.ts"
import type { Report } from "../report.ts"
import { readLog } from "./logs.ts"
import { onStage } from "./on-stage.ts"
import { get, half, set, word } from "./requests.ts"

/**
 * "The metering service provider, manufacturer and metrological institutes are always permitted to check the version and correctness of the
 * running software"; metrological parameters and their logbook are the institute's.
 */
export function run(): Promise<Report> {
    return onStage(
        "Inspection by the metrological institute",
        async (stage, story) => {
            const { meter } = stage
            const inspector = await stage.certify("inspector", "inspector")
            const operator = await stage.certify("operator", "operator")
            const manufacturer = stage.person("manufacturer")
            for (const who of [inspector, manufacturer, operator])
                story.done(who, "has the software attested", await stage.tell(who, meter, [get(attestationPath)]))

            const hours = Buffer.concat([half(6 * 60), half(22 * 60)])
            story.refused(
                manufacturer,
                "sets the hours of the tariff",
                await stage.tell(manufacturer, meter, [set(meteringPath, hours)]),
                Code.FunctionDenied,
            )
            story.done(
                inspector,
                "sets the hours of the tariff",
                await stage.tell(inspector, meter, [set(meteringPath, hours)]),
            )
            story.done(
                inspector,
                "sets the time",
                await stage.tell(inspector, meter, [set(timePath, word(stage.seconds() + 60))]),
            )
            story.refused(
                operator,
                "reads the metrological logbook",
                await stage.tell(operator, meter, [get(metrologicalLogbookPath)]),
                Code.FunctionDenied,
            )
            const log = await readLog(stage, inspector, meter, metrologicalLogbookPath)
            story.done(inspector, "reads the metrological logbook", log.came)
            story.shows(
                "logbook",
                "every entry names the one before, the head the newest",
                "whole",
                log.whole ? "whole" : "broken",
            )
            for (const [event, fn] of [
                ["parameterSet", "setMeteringParameters"],
                ["timeSet", "setTime"],
            ]) {
                const entry = log.entries.find(each => each.event === event && each.signer === inspector.signer.id)
                story.shows("logbook", `tells ${event}`, fn, entry?.fn ?? "nothing")
            }
            const attempt = log.entries.find(each => each.event === "refused" && each.signer === manufacturer.signer.id)
            story.shows(
                "logbook",
                "tells the manufacturer's attempt",
                "E5213",
                attempt ? `E${attempt.code}` : "nothing",
            )

            story.refused(
                manufacturer,
                "clears the metrological logbook",
                await stage.tell(manufacturer, meter, [set(metrologicalResetPath, word(log.last))]),
                Code.FunctionDenied,
            )
            story.refused(
                inspector,
                "clears what was not read to the end",
                await stage.tell(inspector, meter, [set(metrologicalResetPath, word(log.last))]),
                Code.LogbookNotSeen,
            )
            const rest = await readLog(stage, inspector, meter, metrologicalLogbookPath)
            story.done(
                inspector,
                "clears the metrological logbook",
                await stage.tell(inspector, meter, [set(metrologicalResetPath, word(rest.last))]),
            )
            const fresh = await readLog(stage, inspector, meter, metrologicalLogbookPath)
            story.shows("logbook", "begins with", "logbookReset", fresh.entries[0]?.event ?? "nothing")
            story.shows(
                "logbook",
                "names what was cleared",
                `${rest.count} entries`,
                `${fresh.entries[0]?.octets.readUInt32BE(26)} entries`,
            )
            story.notes.push(`${rest.count} entries before it was cleared.`)
        },
        { muc: false },
    )
}
