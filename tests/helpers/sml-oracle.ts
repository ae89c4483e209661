import type { SmlValue } from "../../firmware/core/sml-write"
import { absent, crc, list, octets, signed, unsigned } from "./tlv"

/**
 * The messages of SML 1.04 once more, spelled out in words and encoded by the tests' own writer: what the firmware's tables
 * are held against. `?` = may be absent.
 */
const structures: Record<string, string> = {
    ListEntry: "s6 status? time? u8? i8? value s?",
    PeriodEntry: "s6 u8 i8 value s?",
    HeaderEntry: "s6 u8 i8",
    PeriodRow: "time u64 [ValueEntry] s?",
    ValueEntry: "value s?",
    TupelEntry: "s time u64 u8 i8 i64 u8 i8 i64 u8 i8 i64 s u8 i8 i64 u8 i8 i64 u8 i8 i64 s",
    Tree: "s ppv? [Tree]?",
    LocalTime: "u32 i16 i16",
    TimestampedValue: "time u64 simple",
    CosemValue: "i8 u8",
}

const profileReq = "s? s? s? bool? time? time? [s] [s]? Tree?"

export const messages: [tag: number, fields: string][] = [
    [0x0100, "s? s s s? s? s? u8?"],
    [0x0101, "s? s? s s time? u8?"],
    [0x0200, "s?"],
    [0x0201, "s?"],
    [0x0300, profileReq],
    [0x0301, "s time u32 [s] [HeaderEntry] [PeriodRow] s? s?"],
    [0x0400, profileReq],
    [0x0401, "s time u32 [s] time u64 [PeriodEntry] s? s?"],
    [0x0500, "s? s? s? [s] s?"],
    [0x0501, "s [s] Tree"],
    [0x0600, "s? s? s? [s] Tree"],
    [0x0700, "s s? s? s? s?"],
    [0x0701, "s? s s? time? [ListEntry] s? time?"],
    [0xff01, "s s6 s? Tree?"],
]

/** Pseudo-random numbers 0 <= n < 1 (mulberry32). */
export function randomOf(seed: number): () => number {
    let state = seed | 0
    return () => {
        state = (state + 0x6d2b79f5) | 0
        let t = Math.imul(state ^ (state >>> 15), 1 | state)
        t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296
    }
}

/** A value both as the oracle encodes it and as the firmware's writer is given it. */
export interface Both {
    octets: Buffer
    value: SmlValue
}

/** Makes a random value of a type of the words above. */
export function make(type: string, random: () => number, depth = 0): Both {
    const below = (n: number) => Math.floor(random() * n)
    const all = (types: string[]): Both => {
        const parts = types.map(each => make(each, random, depth + 1))
        return { octets: list(...parts.map(part => part.octets)), value: parts.map(part => part.value) }
    }
    const choice = (alternatives: string[]): Both => {
        const tag = 1 + below(alternatives.length)
        const { octets, value } = make(alternatives[tag - 1], random, depth + 1)
        return { octets: list(unsigned(1, tag), octets), value: [tag, value] }
    }
    const integer = (letter: string, bits: number): Both => {
        const raw = Buffer.from(Array.from({ length: bits / 8 }, () => (below(3) === 0 ? 0xff * below(2) : below(256))))
        const big = BigInt("0x" + raw.toString("hex"))
        const exact = letter === "i" ? BigInt.asIntN(bits, big) : big
        const encode = letter === "i" ? signed : unsigned
        const safe = exact <= Number.MAX_SAFE_INTEGER && exact >= Number.MIN_SAFE_INTEGER
        // A number where it is exact; 64 bits only as octets, which only Value and Status take.
        return { octets: encode(bits / 8, exact), value: safe ? Number(exact) : (raw as SmlValue) }
    }
    if (type.endsWith("?"))
        return below(3) === 0 ? { octets: absent, value: undefined } : make(type.slice(0, -1), random, depth)
    if (type.startsWith("[")) {
        const item = type.slice(1, -1)
        return all(Array.from({ length: 1 + below(depth > 4 ? 1 : below(8) === 0 ? 20 : 3) }, () => item))
    }
    if (type === "s" || type === "s6") {
        const length = type === "s6" ? 6 : below(10) === 0 ? 250 + below(30) : 1 + below(20)
        const content = Buffer.from(Array.from({ length }, () => (below(4) === 0 ? 0x1b : below(256))))
        return { octets: octets(content), value: content }
    }
    if (type === "bool") {
        const value = below(2) === 1
        return { octets: Buffer.from([0x42, value ? 1 : 0]), value }
    }
    if (type === "u64" || type === "i64") {
        const value = Math.floor(random() * 2 ** 53) * (type === "i64" && below(2) === 0 ? -1 : 1)
        return { octets: type === "i64" ? signed(8, value) : unsigned(8, value), value }
    }
    const number = /^([ui])(8|16|32)$/.exec(type)
    if (number) return integer(number[1], Number(number[2]))
    if (type === "time") return choice(["u32", "u32", "LocalTime"])
    if (type === "ppv")
        return choice(depth > 8 ? ["value"] : ["value", "PeriodEntry", "TupelEntry", "time", "ListEntry"])
    if (type === "status" || type === "value" || type === "simple") {
        const width = 1 << below(4)
        const kind = type === "status" ? 2 : below(type === "value" && depth < 10 ? 5 : 4)
        if (kind === 0) {
            const made = make("s", random, depth)
            return { octets: made.octets, value: [0x00, made.value] }
        }
        if (kind === 3) {
            const made = make("bool", random, depth)
            return { octets: made.octets, value: [0x40, made.value] }
        }
        if (kind === 4) {
            const made = choice(["time", "TimestampedValue", "CosemValue"])
            const [tag, value] = made.value as [number, SmlValue]
            return { octets: made.octets, value: [0x70 + tag, value] }
        }
        const made = integer(kind === 1 ? "i" : "u", 8 * width)
        return { octets: made.octets, value: [(kind === 1 ? 0x50 : 0x60) + width, made.value] }
    }
    if (type === "Tree" && depth > 6) {
        const name = make("s", random, depth)
        return { octets: list(name.octets, absent, absent), value: [name.value, undefined, undefined] }
    }
    return all(structures[type].split(" "))
}

/** CRC-16/Kermit, bit by bit. */
export function kermit(data: Uint8Array): number {
    let value = 0
    for (const octet of data)
        for (let bit = 0; bit < 8; ++bit) {
            const carry = (value ^ (octet >> bit)) & 1
            value = (value >> 1) ^ (carry ? 0x8408 : 0)
        }
    return value
}

export interface Envelope {
    transactionId?: string
    kermit?: boolean
    /** Octets in place of the CRC element and the end 00. */
    tail?: Buffer
    tag?: Buffer
}

/** A message around a body, its tag in full width, its CRC of either kind. */
export function envelope(tag: number, body: Buffer, options: Envelope = {}): Buffer {
    const covered = Buffer.concat([
        Buffer.from([0x76]),
        octets(options.transactionId ?? "01"),
        unsigned(1, 0),
        unsigned(1, 0),
        list(options.tag ?? unsigned(4, tag), body),
    ])
    if (options.tail) return Buffer.concat([covered, options.tail])
    const check = options.kermit ? kermit(covered) : crc(covered)
    const sent = options.kermit ? [check >> 8, check & 255] : [check & 255, check >> 8]
    return Buffer.concat([covered, Buffer.from([0x63, ...sent, 0])])
}

/** Open and Close around messages, as a response. */
export function around(...inner: Buffer[]): Buffer[] {
    const open = list(absent, absent, octets("31"), octets("0a01504c420100000001"), absent, absent)
    return [envelope(0x0101, open), ...inner, envelope(0x0201, list(absent))]
}
