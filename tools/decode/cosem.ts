import type { AxdrReader } from "../../firmware/core/axdr"

/** Names of the types of COSEM data (IEC 62056-6-2). */
const names: Record<number, string> = {
    0: "null",
    1: "array",
    2: "structure",
    3: "boolean",
    4: "bit-string",
    5: "double-long",
    6: "double-long-unsigned",
    9: "octet-string",
    10: "visible-string",
    12: "utf8-string",
    13: "bcd",
    15: "integer",
    16: "long",
    17: "unsigned",
    18: "long-unsigned",
    19: "compact-array",
    20: "long64",
    21: "long64-unsigned",
    22: "enum",
    23: "float32",
    24: "float64",
    25: "date-time",
    26: "date",
    27: "time",
    28: "delta-integer",
    29: "delta-long",
    30: "delta-double-long",
    31: "delta-unsigned",
    32: "delta-long-unsigned",
    33: "delta-double-long-unsigned",
    255: "dont-care",
}

/** An element as `AxdrReader` shows it. */
export type Element = Pick<AxdrReader, "type" | "depth" | "dataAt" | "length" | "count" | "exact" | "value">

/** One element as a tree: its type's name and what is in it. Numbers above 2^53 are decimal text. */
export type Cosem = Record<string, unknown>

/** The elements of one piece of data, containers first, as a tree. */
export function cosemTree(octets: Buffer, elements: Element[]): Cosem {
    const stack: unknown[][] = [[]]
    for (const element of elements) {
        stack.length = element.depth + 1
        const container = [1, 2, 19].includes(element.type)
        const children: unknown[] = []
        stack[element.depth].push({ [names[element.type]]: container ? children : contentOf(octets, element) })
        if (container) stack.push(children)
    }
    return stack[0][0] as Cosem
}

function contentOf(octets: Buffer, { type, dataAt, length, count, exact, value }: Element): unknown {
    const data = octets.subarray(dataAt, dataAt + length)
    if (type === 0 || type === 255) return null
    if (type === 3) return value !== 0
    if (type === 4)
        return [...data]
            .map(octet => octet.toString(2).padStart(8, "0"))
            .join("")
            .slice(0, count)
    if (type === 10) return data.toString("latin1")
    if (type === 12) return data.toString("utf8")
    if (exact) return value
    if (type === 20) return String(data.readBigInt64BE(0))
    if (type === 21) return String(data.readBigUInt64BE(0))
    return type === 23 || type === 24 ? null : data.toString("hex")
}
