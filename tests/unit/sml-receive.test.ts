import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { Code } from "../../firmware/core/errors"
import { SmlReceiver } from "../../firmware/core/sml-receive"
import { writeFile } from "../../firmware/core/sml-transport"
import { around, envelope } from "../helpers/sml-oracle"
import { crc, list, octets, file as oracleFile } from "../helpers/tlv"

const start = Buffer.from("1b1b1b1b01010101", "hex")
const small = oracleFile(...around())
const large = oracleFile(...around(envelope(0x0201, list(octets("1b".repeat(40) + "aa".repeat(90))))))

interface Heard {
    files: { at: number; raw: string }[]
    problems: [code: string, at: number][]
    receiver: SmlReceiver
}

/** Feeds `stream` in pieces of the given sizes, over and over. */
function hear(stream: Buffer, sizes: number[], options: { capacity?: number; timeout?: boolean } = {}): Heard {
    const heard: Omit<Heard, "receiver"> = { files: [], problems: [] }
    const receiver = new SmlReceiver(
        options.capacity ?? 512,
        false,
        (raw, _crc, at) => heard.files.push({ at, raw: raw.toString("hex") }),
        (code, at) => heard.problems.push([Code[code], at]),
    )
    for (let from = 0, i = 0; from < stream.length; ++i) {
        const size = sizes[i % sizes.length]
        receiver.feed(stream.subarray(from, from + size))
        from += size
    }
    if (options.timeout) receiver.timeout()
    return { ...heard, receiver }
}

const whole = (stream: Buffer, options = {}) => hear(stream, [stream.length], options)

describe("the receiver", () => {
    it("finds files back to back and counts what lies between", () => {
        const stream = Buffer.concat([Buffer.from("00ff1b1b", "hex"), small, Buffer.from("aa"), large, small])
        const { files, problems, receiver } = whole(stream)
        expect(files.map(each => each.at)).toEqual([4, 4 + small.length + 2, 6 + small.length + large.length])
        expect(problems).toEqual([])
        expect([receiver.files, receiver.junk]).toEqual([3, 6])
    })

    it("names each problem, where it began, and reads the next file", () => {
        const badCrc = Buffer.from(small)
        badCrc[12] ^= 1
        const summed = (...parts: Buffer[]) => {
            const copy = Buffer.concat(parts)
            const sum = crc(copy.subarray(0, -2))
            copy.set([sum & 255, sum >> 8], copy.length - 2)
            return copy
        }
        const badFill = summed(small.subarray(0, -3), Buffer.from([4, 0, 0]))
        const oneMore = summed(small.subarray(0, -8), Buffer.alloc(1), small.subarray(-8))
        const cases: [string, Buffer][] = [
            ["SmlFileCrc", badCrc],
            ["SmlEnd", badFill],
            ["SmlEnd", oneMore],
            ["SmlEscape", Buffer.concat([start, Buffer.from("1b1b1b1b1c000000", "hex")])],
            ["SmlTruncated", small.subarray(0, 30)],
            ["SmlTooLong", Buffer.concat([start, Buffer.alloc(600, 0x55)])],
            ["SmlVersion2", Buffer.from("1b1b1b1b02020202", "hex")],
        ]
        for (const [name, bad] of cases) {
            const stream = Buffer.concat([Buffer.from([0]), bad, large, small])
            const { files, problems, receiver } = whole(stream)
            expect([name, problems]).toEqual([name, [[name, 1]]])
            expect(files.map(each => each.raw)).toEqual([large.toString("hex"), small.toString("hex")])
            expect(receiver.problems[Code[name as keyof typeof Code] - Code.SmlTruncated]).toBe(1)
            expect(receiver.junk).toBe(1 + bad.length)
        }
    })

    it("reads a file as long as its buffer, not one octet longer", () => {
        expect(whole(large, { capacity: large.length }).files.length).toBe(1)
        expect(whole(large, { capacity: large.length - 1 }).problems).toEqual([["SmlTooLong", 0]])
    })

    it("a time-out drops what was begun, and a file hidden behind a false start is still told of", () => {
        const lone = Buffer.concat([small, small.subarray(0, 20)])
        expect(whole(lone, { timeout: true }).problems).toEqual([["SmlTimeout", small.length]])
        const hidden = Buffer.concat([start, Buffer.from("1b1b1b1b", "hex"), small])
        const { files, problems } = whole(hidden, { timeout: true })
        expect(files).toEqual([{ at: 12, raw: small.toString("hex") }])
        expect(problems[0][1]).toBe(0)
        const { receiver } = whole(Buffer.from("1b1b1b1b0101", "hex"), { timeout: true })
        receiver.feed(Buffer.from("0101", "hex"))
        expect(receiver.inside).toBe(false)
    })

    it("gives the same for the same octets in pieces of any size", () => {
        const noise = fc.oneof(
            fc.uint8Array({ maxLength: 40 }),
            fc
                .array(fc.constantFrom(0x1b, 0x01, 0x02, 0x1a, 0x00), { maxLength: 40 })
                .map(each => Uint8Array.from(each)),
        )
        const part = fc.oneof(
            noise,
            fc.constant(small),
            fc.constant(large),
            fc.constant(small.subarray(0, 33)),
            fc.constant(start),
        )
        fc.assert(
            fc.property(
                fc.array(part, { maxLength: 12 }),
                fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1, maxLength: 5 }),
                (parts, sizes) => {
                    const stream = Buffer.concat(parts)
                    const { receiver: a, ...once } = whole(stream, { timeout: true })
                    const { receiver: b, ...pieces } = hear(stream, sizes, { timeout: true })
                    expect(pieces).toEqual(once)
                    expect([b.files, b.junk, b.problems]).toEqual([a.files, a.junk, a.problems])
                    expect(a.junk + once.files.reduce((sum, each) => sum + each.raw.length / 2, 0)).toBe(stream.length)
                },
            ),
            { numRuns: 300 },
        )
    })

    it("reads every whole file whatever stands before it, between and after", () => {
        const octet = fc.oneof(fc.nat(255), fc.constantFrom(0x1b, 0x01, 0x1a))
        const noise = fc.array(octet, { maxLength: 60 }).map(each => Buffer.from(each))
        fc.assert(
            fc.property(
                fc.array(noise, { minLength: 1, maxLength: 6 }),
                fc.integer({ min: 1, max: 64 }),
                (noises, size) => {
                    const stream = Buffer.concat([...noises.flatMap(each => [each, small]), start.subarray(0, 6)])
                    const { files } = hear(stream, [size], { timeout: true })
                    const found = files.filter(each => each.raw === small.toString("hex"))
                    expect(found.length).toBe(noises.length)
                },
            ),
            { numRuns: 500 },
        )
    })

    it("octets lost, changed or put in inside one file never cost the next", () => {
        const change = fc.tuple(
            fc.nat(large.length - 1),
            fc.constantFrom("drop", "set", "insert"),
            fc.oneof(fc.nat(255), fc.constantFrom(0x1b, 0x01)),
        )
        fc.assert(
            fc.property(
                fc.array(change, { minLength: 1, maxLength: 8 }),
                fc.integer({ min: 1, max: 64 }),
                (changes, size) => {
                    const damaged = [...large]
                    for (const [at, what, octet] of changes)
                        damaged.splice(at, what === "insert" ? 0 : 1, ...(what === "drop" ? [] : [octet]))
                    const { files } = hear(Buffer.concat([Buffer.from(damaged), small, small]), [size], {
                        timeout: true,
                    })
                    expect(files.slice(-2).map(each => each.raw)).toEqual([
                        small.toString("hex"),
                        small.toString("hex"),
                    ])
                },
            ),
            { numRuns: 500 },
        )
    })

    it("is written so that it reads what the sender writes, whatever runs of 1B are inside", () => {
        const octet = fc.constantFrom(0x1b, 0x1b, 0x1b, 0x01, 0x1a, 0x00)
        fc.assert(
            fc.property(
                fc.array(fc.array(octet, { minLength: 1, maxLength: 60 }), { minLength: 1, maxLength: 4 }),
                contents => {
                    const messages = contents.map(each => envelope(0x0201, list(octets(Uint8Array.from(each)))))
                    const raw = writeFile(messages)
                    expect(raw.toString("hex")).toBe(oracleFile(...messages).toString("hex"))
                    expect(whole(raw).files).toEqual([{ at: 0, raw: raw.toString("hex") }])
                },
            ),
        )
    })
})
