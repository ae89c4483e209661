import { createHash } from "node:crypto"
import { Fn } from "../../../firmware/core/access.ts"
import { Event } from "../../../firmware/core/logbook.ts"
import { Role } from "../../../firmware/core/x509-role.ts"
import type { Came } from "./answer.ts"
import type { Addressee, Company, Person } from "./company.ts"
import { get, word } from "./requests.ts"

/** One entry of a logbook, read by the description in firmware/core/logbook.ts. */
export interface LogEntry {
    number: number
    event: string
    fn: string
    role: string
    code: number
    signer: string
    octets: Buffer
}

/** What was read of a logbook. */
export interface Log {
    count: number
    first: number
    /** SHA-256 of the newest entry, as the head says. */
    hash: Buffer
    entries: LogEntry[]
    /** Each entry names the one before, the head the newest. */
    whole: boolean
    last: number
    came: Came
}

/** Reads a logbook to its end, as one with the right to; `from` the number to begin with. */
export async function readLog(company: Company, by: Person, of: Addressee, path: Buffer, from = 0): Promise<Log> {
    const entries: LogEntry[] = []
    let came = await company.tell(by, of, [get(path, numberElement(from))])
    let head = came.trees[0]?.children[0]?.value ?? Buffer.alloc(48)
    for (;;) {
        const [first, ...rest] = came.trees[0]?.children ?? []
        if (first) head = first.value
        const fresh = rest
            .map(({ value }) => entryOf(value))
            .filter(({ number }) => number > (entries.at(-1)?.number ?? 0))
        entries.push(...fresh)
        const last = head.readUInt32BE(4) + head.readUInt32BE(0) - 1
        if (fresh.length === 0 || entries.at(-1)!.number >= last) break
        came = await company.tell(by, of, [get(path, numberElement(entries.at(-1)!.number + 1))])
    }
    const hash = head.subarray(8, 40)
    const linked = entries.every(
        (entry, i) => i === 0 || entry.octets.subarray(42).equals(sha256(entries[i - 1].octets)),
    )
    const newest = entries.at(-1)
    return {
        count: head.readUInt32BE(0),
        first: head.readUInt32BE(4),
        hash,
        entries,
        whole: linked && (newest === undefined || hash.equals(sha256(newest.octets))),
        last: newest?.number ?? 0,
        came,
    }
}

function numberElement(number: number): Buffer {
    return Buffer.concat([Buffer.alloc(2), word(number)])
}

function entryOf(octets: Buffer): LogEntry {
    return {
        number: octets.readUInt32BE(0),
        event: Event[octets[13]] ?? `event ${octets[13]}`,
        fn: octets[14] === 255 ? "" : (Fn[octets[14]] ?? `function ${octets[14]}`),
        role: octets[15] === 255 ? "nobody" : (Role[octets[15]] ?? `role ${octets[15]}`),
        code: octets.readUInt16BE(16),
        signer: octets.toString("hex", 18, 26),
        octets,
    }
}

function sha256(octets: Uint8Array): Buffer {
    return createHash("sha256").update(octets).digest()
}
