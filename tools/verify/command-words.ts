import { isoOf } from "./chain.ts"
import type { AskedFor } from "./command-file.ts"

const reads: Record<string, string> = {
    "8181c78201ff": "say what it is",
    "8181c78205ff": "give its public key",
    "810060050000": "give its status",
    "8181c78810ff": "give its time",
    "81811106ffff": "list its meters",
    "8181c7f010ff": "give its certificates",
    "8181c7f020ff": "list what it holds",
    "8181c7f040ff": "give its metering parameters",
    "8181c7f041ff": "give its calibration constants",
    "8181c7f042ff": "give its label",
    "8181c7f043ff": "give its access table",
    "8181c7f048ff": "give its addresses",
    "8181c7f049ff": "make a key for an exchange of keys",
    "8181c7f050ff": "give its metrological logbook",
    "8181c7f052ff": "give its device logbook",
    "8181c7f060ff": "attest its software",
    "8181c7f061ff": "say what its software slots hold",
}

function minutes(value: Buffer, at: number): string {
    const all = value.readUInt16BE(at)
    return `${Math.trunc(all / 60)}`.padStart(2, "0") + ":" + `${all % 60}`.padStart(2, "0")
}

function printable(value: Buffer): string {
    return value.toString("utf8").replace(/[^\p{L}\p{N}\p{P}\p{S} ]/gu, "?")
}

function u32(value: Buffer): number {
    return value.length === 4 ? value.readUInt32BE(0) : Number.NaN
}

function hash(value: Buffer, at: number): string {
    return `${value.toString("hex", at, at + 8)}…`
}

function rolloverText(value: Buffer): string {
    if (value[0] === 1) return "begin a key rollover"
    if (value[0] === 2) return `take the certificate of its new key (SHA-256 ${value.toString("hex", 3, 11)}…)`
    return "give up its key rollover"
}

const writes: Record<string, (value: Buffer) => string> = {
    "8181c78810ff": value => `set its time to ${isoOf(u32(value))}`,
    "8181c7f040ff": value =>
        value.length === 4
            ? `use tariff 2 from ${minutes(value, 0)} to ${minutes(value, 2)}`
            : `set its metering parameters to ${value.toString("hex")}`,
    "8181c7f041ff": value => `set its calibration constants to ${value.toString("hex")}`,
    "8181c7f042ff": value => `set its label to "${printable(value)}"`,
    "8181c7f043ff": value => `take access table ${value.length >= 4 ? value.readUInt32BE(0) : "?"}`,
    "8181c7f044ff": value => `take another provider, whose certificate has SHA-256 ${value.toString("hex", 4, 12)}…`,
    "8181c7f045ff": () => "forget its provider",
    "8181c7f046ff": value =>
        value.length === 1 ? "be erased, whoever brings this order" : "erase itself, by the order inside",
    "8181c7f047ff": rolloverText,
    "8181c7f048ff": value => `set its addresses to ${printable(value)}`,
    "8181c7f049ff": () => "take a sealed symmetric key",
    "8181c7f051ff": value => `clear its metrological logbook, seen up to entry ${u32(value)}`,
    "8181c7f062ff": value => `receive software of ${u32(value.subarray(0, 4))} octets, SHA-256 ${hash(value, 4)}`,
    "8181c7f063ff": value => `take block ${value.length > 1 ? value.readUInt16BE(0) : "?"} of the software announced`,
    "8181c7f064ff": value => `try the software with SHA-256 ${hash(value, 0)}`,
    "8181c7f065ff": value => `keep the software with SHA-256 ${hash(value, 0)}`,
    "8181c7f066ff": () => "go back to the software before",
    "8181c7f053ff": value => `clear its device logbook, seen up to entry ${u32(value)}`,
}

/** What a request asks a device to do, for a person: "set its time to 2026-11-22T14:00:00Z". */
export function requestText({ tag, path, listName, value, from, to }: AskedFor): string {
    const name = path[0] ?? ""
    if (tag === 0x0700)
        return listName.length === 10
            ? `give its signed list ${listName.readUInt32BE(6)} again`
            : "measure and sign a reading"
    if (tag === 0x0400) {
        const range = [from === undefined ? "" : ` from ${isoOf(from)}`, to === undefined ? "" : ` to ${isoOf(to)}`]
        return `give its signed load profile${range.join("")}`
    }
    if (tag === 0x0600) return writes[name]?.(value) ?? `set ${name} to ${value.toString("hex")}`
    const first = path[1]?.length === 12 ? Number.parseInt(path[1].slice(4), 16) : 0
    return (reads[name] ?? `give ${name}`) + (first > 0 ? ` from entry ${first}` : "")
}
