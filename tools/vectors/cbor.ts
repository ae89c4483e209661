import { isDeepStrictEqual } from "node:util"
import { answer } from "./device/cbor-answer.ts"
import type { Case, Format } from "./format.ts"

interface Example {
    hex: string
    /** A deterministic encoder gives the same octets. */
    roundtrip: boolean
    decoded?: unknown
    diagnostic?: string
}

/** A value of strict CBOR; integers are all BigInt. */
export type CborValue = bigint | boolean | null | string | Uint8Array | CborValue[] | Map<CborValue, CborValue> | Tagged

export interface Tagged {
    tag: bigint
    value: CborValue
}

/** The examples of RFC 8949 appendix A. */
export const cbor: Format = {
    name: "CBOR",
    program: "tools/vectors/device/cbor.ts",
    capacity: 8192,
    answer,
    recognises: json => Array.isArray(json) && json[0]?.cbor !== undefined && json[0].hex !== undefined,
    cases: json => (json as Example[]).map(example),
}

/** What the profile of `firmware/core/cbor.ts` does not take. */
function unsupportedReason(octets: Buffer, roundtrip: boolean): string | undefined {
    if (octets[0] === 0xf9 || octets[0] === 0xfa || octets[0] === 0xfb)
        return "floating point: no manifest and no COSE header has it"
    if (octets[0] >> 5 === 7 && ![0xf4, 0xf5, 0xf6].includes(octets[0]))
        return "simple values other than false, true and null: no manifest and no COSE header has them"
    if (!roundtrip && octets.at(-1) === 0xff) return "indefinite length: deterministic encoding only (RFC 8949 4.2.1)"
    return undefined
}

function example({ hex, roundtrip, decoded, diagnostic }: Example): Case {
    const octets = Buffer.from(hex, "hex")
    const unsupported = unsupportedReason(octets, roundtrip)
    if (unsupported) return { id: hex, unsupported }
    return {
        id: hex,
        request: octets,
        judge(reply) {
            if (!("octets" in reply))
                return { fail: "error" in reply ? `refused with E${reply.error} at ${reply.at}` : reply.escaped }
            const value = unflatten(reply.octets)
            const same =
                diagnostic === undefined ? isDeepStrictEqual(plain(value), decoded) : notation(value) === diagnostic
            return same
                ? "pass"
                : { fail: `expected ${diagnostic ?? JSON.stringify(decoded)}, came ${notation(value)}` }
        },
    }
}

/** The value behind an answer of `device/cbor-answer.ts`. */
export function unflatten(flat: Buffer): CborValue {
    let at = 0
    const value = next()
    if (at !== flat.length) throw new Error(`${flat.length - at} octets behind the item`)
    return value

    function next(): CborValue {
        const major = flat[at]
        const argument = flat.readBigUInt64BE(at + 1)
        const count = Number(argument)
        at += 9
        if (major === 0) return argument
        if (major === 1) return -1n - argument
        if (major === 2 || major === 3) {
            at += count
            const content = flat.subarray(at - count, at)
            return major === 2 ? new Uint8Array(content) : content.toString("utf8")
        }
        if (major === 4) return Array.from({ length: count }, next)
        if (major === 5) return new Map(Array.from({ length: count }, () => [next(), next()]))
        if (major === 6) return { tag: argument, value: next() }
        return count === 22 ? null : count === 21
    }
}

/** As JSON.parse would have it. */
function plain(value: CborValue): unknown {
    if (typeof value === "bigint") return Number(value)
    if (Array.isArray(value)) return value.map(plain)
    if (value instanceof Map) return Object.fromEntries([...value].map(([key, content]) => [key, plain(content)]))
    return value
}

/** Diagnostic notation (RFC 8949 8) of what the examples give in it. */
function notation(value: CborValue): string {
    if (typeof value === "bigint" || typeof value === "boolean" || value === null) return `${value}`
    if (typeof value === "string") return JSON.stringify(value)
    if (value instanceof Uint8Array) return `h'${Buffer.from(value).toString("hex")}'`
    if (Array.isArray(value)) return `[${value.map(notation).join(", ")}]`
    if (value instanceof Map)
        return `{${[...value].map(([key, content]) => `${notation(key)}: ${notation(content)}`).join(", ")}}`
    return `${value.tag}(${notation(value.value)})`
}
