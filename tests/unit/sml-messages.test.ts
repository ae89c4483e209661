import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { readFile, type SmlMessage } from "../../firmware/core/sml-read"
import { writeFile } from "../../firmware/core/sml-transport"
import { childrenAt, integerAt, octetsAt } from "../../firmware/core/sml-values"
import { type SmlValue, wrapMessage, writeMessage } from "../../firmware/core/sml-write"
import { envelope, make, messages, randomOf } from "../helpers/sml-oracle"
import { list, octets, file as oracleFile, unsigned } from "../helpers/tlv"

/** What the accessors give back, in the writer's words, by the structure the oracle made. */
function back(message: SmlMessage, at: number, like: SmlValue): SmlValue {
    const o = message.octets
    if (like === undefined || o[at] === 1) return undefined
    if (typeof like === "boolean") return o[at + 1] !== 0
    if (typeof like === "number") return integerAt(o, at)
    if (Buffer.isBuffer(like)) return octetsAt(o, at)
    const items = like as SmlValue[]
    const isList = (o[at] & 0x70) === 0x70
    if (!isList) return [items[0], back(message, at, items[1])]
    const children = childrenAt(o, at)
    if (items.length === 2 && typeof items[0] === "number" && children.length === 2 && o[children[0]] === 0x62)
        return [
            items[0] > 0x70 ? 0x70 + integerAt(o, children[0]) : integerAt(o, children[0]),
            back(message, children[1], items[1]),
        ]
    return children.map((child, i) => back(message, child, items[i]))
}

const open = writeMessage(Buffer.from([1]), 0, 0x0101, [
    undefined,
    undefined,
    Buffer.from("1"),
    Buffer.from("meter"),
    undefined,
    undefined,
])
const close = writeMessage(Buffer.from([3]), 0, 0x0201, [undefined])

describe("every message of SML 1.04", () => {
    for (const [tag, words] of messages) {
        it(`${tag.toString(16).padStart(4, "0")} is written as the tests' own encoder writes it, read back, and written the same`, () => {
            fc.assert(
                fc.property(fc.integer(), seed => {
                    const random = randomOf(seed)
                    const parts = words.split(" ").map(word => make(word, random))
                    const values = parts.map(part => part.value)
                    const transactionId = Buffer.from([seed & 255, 7])
                    const expected = envelope(tag, list(...parts.map(part => part.octets)), {
                        transactionId: transactionId.toString("hex"),
                    })
                    const written = writeMessage(transactionId, 0, tag, values)
                    expect(written.toString("hex")).toBe(expected.toString("hex"))

                    const raw = writeFile([open, written, close])
                    expect(raw.toString("hex")).toBe(oracleFile(open, expected, close).toString("hex"))
                    const message = readFile(raw, false, 0).messages[1]
                    expect(message.tag).toBe(tag)
                    expect(message.octets.toString("hex", message.start, message.end)).toBe(expected.toString("hex"))
                    const again = message.fields.map((at, i) => back(message, at, values[i]))
                    expect(again).toEqual(values)
                    expect(writeMessage(transactionId, 0, tag, again).equals(written)).toBe(true)
                }),
                { numRuns: 25 },
            )
        })
    }

    it("a Cosem message is carried as the TLV tree it is, with its CRC checked", () => {
        const body = list(octets("aa"), list(unsigned(2, 7), list(octets("00112233"))))
        const message = wrapMessage(Buffer.from([9]), 0, 0x0800, body)
        expect(message.equals(envelope(0x0800, body, { transactionId: "09" }))).toBe(true)
        const file = readFile(writeFile([open, message, close]), false, 0)
        expect(file.messages[1].tag).toBe(0x0800)
        const [at] = file.messages[1].fields
        expect(file.octets.toString("hex", at, at + body.length)).toBe(body.toString("hex"))
    })

    it("strings of 14, 15, 253 and 254 octets have the fewest type-length octets", () => {
        const head = (length: number) =>
            writeMessage(Buffer.from([1]), 0, 0x0200, [Buffer.alloc(length, 5)])
                .toString("hex")
                .slice(28, 34)
        expect([head(14), head(15), head(253), head(254)].map(each => each.replace(/(05)+$/, ""))).toEqual([
            "0f",
            "8101",
            "8f0f",
            "818001",
        ])
    })
})
