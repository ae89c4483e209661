import { calibrationPath, labelPath, meteringPath } from "../../firmware/core/sml-parameter.ts"
import { UsageError } from "../cli/usage.ts"
import { half } from "./requests.ts"

/** A parameter of a device: its path, and its value as people write it. */
interface Parameter {
    path: Buffer
    write(text: string): Buffer
    read(value: Buffer): string
}

function minutesOf(text: string): number {
    const match = /^([01]?\d|2[0-3]):([0-5]\d)$/.exec(text)
    if (!match) throw new UsageError(`"${text}" is no time of day: expected HH:MM`)
    return 60 * Number(match[1]) + Number(match[2])
}

function clock(minutes: number): string {
    return `${Math.trunc(minutes / 60)}`.padStart(2, "0") + ":" + `${minutes % 60}`.padStart(2, "0")
}

/** Parameters by the name that `plomb operator parameter` gives them. */
export const parameters: Record<string, Parameter> = {
    label: {
        path: labelPath,
        write: text => {
            const value = Buffer.from(text)
            if (value.length > 32) throw new UsageError(`the label has ${value.length} octets of UTF-8, at most 32 fit`)
            return value
        },
        read: value => value.toString("utf8"),
    },
    tariff2: {
        path: meteringPath,
        write: text => {
            const [from, to, more] = text.split("-")
            if (to === undefined || more !== undefined)
                throw new UsageError(`tariff2 is FROM-TO, as 22:00-06:00, not "${text}"`)
            return Buffer.concat([half(minutesOf(from)), half(minutesOf(to))])
        },
        read: value =>
            value.length === 4
                ? `${clock(value.readUInt16BE(0))}-${clock(value.readUInt16BE(2))}`
                : value.toString("hex"),
    },
    calibration: {
        path: calibrationPath,
        write: text => {
            if (!/^([0-9a-fA-F]{2}){28}$/.test(text))
                throw new UsageError("calibration constants are 28 octets in hex digits")
            return Buffer.from(text, "hex")
        },
        read: value => value.toString("hex"),
    },
}

/** A moment: "now" or ISO 8601 with a zone; UTC seconds. Throws `UsageError`. */
export function momentOf(text: string): number {
    if (text === "now") return Math.round(Date.now() / 1000)
    const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)$/.test(text)
    const seconds = Date.parse(text) / 1000
    if (!isTime || !(seconds >= 0 && seconds <= 0xffffffff))
        throw new UsageError(`"${text}" is no moment: expected "now" or one like 2026-11-22T14:00:00Z`)
    return seconds
}
