import { isoOf } from "./chain.ts"
import type { LogEntry } from "./logbook-file.ts"
import { roleName } from "./role.ts"

/** What entries tell, by the number of the event. */
export const events: Record<number, string> = {
    1: "time set",
    2: "parameters set",
    3: "calibrated",
    4: "access table changed",
    5: "provider changed",
    6: "provider deleted",
    7: "key rollover",
    8: "logbook reset",
    9: "erased",
    10: "refused",
    11: "seal opened",
    12: "clock stopped",
    13: "software received",
    14: "software activated",
    15: "software withdrawn",
    16: "what was announced before did not come about",
    17: "seal closed",
    18: "symmetric keys set",
    19: "addresses set",
    20: "certificate taken",
    21: "software confirmed",
    22: "software announced",
    23: "meters of the field buses set",
    24: "telegrams of a meter refused",
}

/** Functions of the access table by number. */
const functions = (
    "readCurrent readProfile setTime setMeteringParameters calibrate readMetrologicalLogbook resetMetrologicalLogbook " +
    "installMetrologicalSoftware readSoftware setParameters readLogbook resetLogbook installSoftware setAccess setKeys " +
    "setAddresses changeProvider deleteProvider erase rolloverKey relay"
).split(" ")

export const resetEvent = 8
const none = 255

/** One entry as a line: number, time, what, whose. */
export function entryText(entry: LogEntry): string {
    const { number, utc, quality, secondsIndex, event, fn, role, code, signer, detail } = entry
    const time = utc > 0 ? isoOf(utc) : `second ${secondsIndex}`
    const doubt = quality === 2 ? "" : " (clock not trusted)"
    const what = events[event] ?? `event ${event}`
    const which = fn === none ? "" : ` (${functions[fn] ?? `function ${fn}`})`
    const why = code === 0 ? "" : ` E${code}`
    const who = role === none ? "nobody known" : `${roleName(role)} ${signer}`
    const more = detail.some(each => each !== 0) ? `, ${detail.toString("hex").replace(/(00)+$/, "")}` : ""
    return `${`${number}`.padStart(5)}  ${time}${doubt}  ${what}${which}${why}, by ${who}${more}`
}
