import { createCipheriv, createDecipheriv } from "node:crypto"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { AxdrReader } from "../../firmware/core/axdr"
import { readApdu } from "../../firmware/core/dlms"
import { cipherApdu, DlmsKeys, hlsAnswer, openCiphered, readCiphered } from "../../firmware/core/dlms-security"
import {
    HDLC_SNRM,
    HdlcLink,
    HdlcReceiver,
    HdlcServerLink,
    hdlcAddress,
    hdlcFrame,
    LINK_MESSAGE,
    LINK_UP,
} from "../../firmware/core/hdlc"
import {
    IEC_SUM,
    IEC_XOR,
    IecReceiver,
    IecValues,
    iecChecked,
    iecParity,
    iecSevenBits,
    readIec,
} from "../../firmware/core/iec62056"
import { iecNumber, iecObis, iecTime, iecUnit } from "../../firmware/core/iec62056-obis"
import { p1Crc, readP1 } from "../../firmware/core/p1"
import { Reading } from "../../firmware/core/reading"
import { fromManchester, fromThreeOfSix } from "../../firmware/core/wmbus-line"
import { wirelessFrame } from "../../tools/campaign/mbus-seeds.ts"
import { cosemTree, type Element } from "../../tools/decode/cosem.ts"
import { decimal } from "../../tools/decode/decimal.ts"
import { decodeWireless } from "../../tools/decode/mbus.ts"
import { obisText } from "../../tools/decode/obis.ts"
import { codeThrown } from "../helpers/errors.ts"

const octets = (options: fc.IntArrayConstraints = {}) => fc.uint8Array(options).map(each => Buffer.from(each))

describe("HDLC", () => {
    const frames = fc.record({
        size: fc.constantFrom(1, 2, 4),
        information: octets({ maxLength: 300 }),
        control: fc.constantFrom(0x10, 0x13, 0x31, 0x73, 0x93),
        segmented: fc.boolean(),
    })

    it("every frame comes back whole, in whatever pieces it comes, with noise between", () => {
        fc.assert(
            fc.property(
                fc.array(frames, { minLength: 1, maxLength: 5 }),
                fc.integer({ min: 1, max: 60 }),
                (list, piece) => {
                    const destination = hdlcAddress(16, 0, 1)
                    const noise = Buffer.from("0055aa", "hex")
                    const sent = list.map(each =>
                        hdlcFrame(
                            destination,
                            hdlcAddress(1, 17, each.size),
                            each.control,
                            each.information,
                            each.segmented,
                        ),
                    )
                    const stream = Buffer.concat(sent.flatMap(each => [noise, each]))
                    const came: [string, number, boolean][] = []
                    const receiver = new HdlcReceiver(2100, frame =>
                        came.push([frame.information().toString("hex"), frame.control, frame.segmented]),
                    )
                    for (let at = 0; at < stream.length; at += piece) receiver.feed(stream.subarray(at, at + piece))
                    receiver.timeout()
                    expect(came).toEqual(
                        list.map(each => [each.information.toString("hex"), each.control, each.segmented]),
                    )
                    expect(receiver.junk).toBe(noise.length * list.length)
                },
            ),
        )
    })

    it("messages of any length pass a link both ways, whatever the segments are", () => {
        const size = fc.integer({ min: 8, max: 200 })
        fc.assert(
            fc.property(
                fc.array(octets({ minLength: 1, maxLength: 900 }), { minLength: 1, maxLength: 4 }),
                size,
                size,
                (messages, a, b) => {
                    const [one, two] = [hdlcAddress(16, 0, 1), hdlcAddress(1, 17, 2)]
                    const links = [new HdlcLink(one, two, a, 2000), new HdlcServerLink(two, one, b, 2000)]
                    const came: Buffer[][] = [[], []]
                    const receivers = [0, 1].map(
                        i =>
                            new HdlcReceiver(2100, frame => {
                                if (links[i].take(frame) === LINK_MESSAGE) came[i].push(links[i].message)
                            }),
                    )
                    const run = (from: number) => {
                        for (let turn = from; links[turn].toSend.length > 0; turn ^= 1) {
                            const frame = links[turn].toSend
                            links[turn].toSend = Buffer.alloc(0)
                            receivers[turn ^ 1].feed(frame)
                        }
                    }
                    links[0].command(HDLC_SNRM)
                    run(0)
                    expect(links.map(each => each.up)).toEqual([true, true])
                    messages.forEach((message, i) => {
                        links[i & 1].send(message)
                        run(i & 1)
                    })
                    expect(came[1]).toEqual(messages.filter((_, i) => i % 2 === 0))
                    expect(came[0]).toEqual(messages.filter((_, i) => i % 2 === 1))
                },
            ),
        )
    })

    it("a frame that comes again, or out of its order, changes nothing", () => {
        const [one, two] = [hdlcAddress(16, 0, 1), hdlcAddress(1, 17, 2)]
        const link = new HdlcServerLink(two, one, 128, 100)
        const give = (frame: Buffer) => {
            let event = -1
            new HdlcReceiver(2100, each => {
                event = link.take(each)
            }).feed(frame)
            return event
        }
        expect(give(hdlcFrame(two, one, 0x93, Buffer.alloc(0), false))).toBe(LINK_UP)
        const first = hdlcFrame(two, one, 0x10, Buffer.from("abc"), false)
        expect(give(first)).toBe(LINK_MESSAGE)
        expect(codeThrown(() => give(first))).toBe("HdlcSequence")
        expect(codeThrown(() => give(hdlcFrame(two, one, 0x14, Buffer.from("abc"), false)))).toBe("HdlcSequence")
        expect(codeThrown(() => give(hdlcFrame(two, one, 0x12, Buffer.alloc(101), false)))).toBe("HdlcSequence")
    })
})

/** COSEM data as a tree and its octets. */
const { cosem } = fc.letrec<{ cosem: [unknown, Buffer] }>(tie => ({
    cosem: fc.oneof(
        { depthSize: "small", maxDepth: 6 },
        fc.constant<[unknown, Buffer]>([{ null: null }, Buffer.of(0)]),
        fc.boolean().map((value): [unknown, Buffer] => [{ boolean: value }, Buffer.of(3, value ? 1 : 0)]),
        fc
            .integer({ min: -128, max: 127 })
            .map((value): [unknown, Buffer] => [{ integer: value }, Buffer.of(15, value & 255)]),
        fc.integer().map((value): [unknown, Buffer] => {
            const data = Buffer.alloc(5, 5)
            data.writeInt32BE(value, 1)
            return [{ "double-long": value }, data]
        }),
        fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n).map((value): [unknown, Buffer] => {
            const data = Buffer.alloc(9, 20)
            data.writeBigInt64BE(value, 1)
            const small = value <= 2n ** 53n - 1n && value >= -(2n ** 53n)
            return [{ long64: small ? Number(value) : String(value) }, data]
        }),
        fc.double({ noNaN: true, noDefaultInfinity: true }).map((value): [unknown, Buffer] => {
            const data = Buffer.alloc(9, 24)
            data.writeDoubleBE(value, 1)
            return [{ float64: value + 0 }, data]
        }),
        octets({ maxLength: 200 }).map((value): [unknown, Buffer] => [
            { "octet-string": value.toString("hex") },
            Buffer.concat([value.length > 127 ? Buffer.of(9, 0x81, value.length) : Buffer.of(9, value.length), value]),
        ]),
        fc
            .tuple(fc.boolean(), fc.array(tie("cosem"), { maxLength: 5 }))
            .map(([array, items]): [unknown, Buffer] => [
                { [array ? "array" : "structure"]: items.map(each => each[0]) },
                Buffer.concat([Buffer.of(array ? 1 : 2, items.length), ...items.map(each => each[1])]),
            ]),
    ),
}))

function treeOf(data: Buffer): unknown {
    const elements: Element[] = []
    const reader = new AxdrReader(data, 0, data.length)
    while (reader.next()) elements.push({ ...reader } as Element)
    expect(reader.end).toBe(data.length)
    return cosemTree(data, elements)
}

describe("COSEM data", () => {
    it("is read as it was written", () => {
        fc.assert(
            fc.property(cosem, ([tree, data]) => {
                expect(treeOf(data)).toEqual(tree)
            }),
        )
    })

    it("cut anywhere is refused as cut", () => {
        fc.assert(
            fc.property(cosem, fc.nat(), ([, data], at) => {
                expect(codeThrown(() => treeOf(data.subarray(0, at % data.length)))).toBe("AxdrTruncated")
            }),
        )
    })

    it("a compact array is read as its elements", () => {
        // Of structures {octet-string, long-unsigned, array of two unsigned}.
        const data = Buffer.from("13020309120100021110024142000a0102014300ff0304", "hex")
        data[9] = data.length - 10
        const element = (text: string, long: number, pair: number[]) => ({
            structure: [
                { "octet-string": text },
                { "long-unsigned": long },
                { array: pair.map(each => ({ unsigned: each })) },
            ],
        })
        expect(treeOf(data)).toEqual({ "compact-array": [element("4142", 10, [1, 2]), element("43", 255, [3, 4])] })
        expect(codeThrown(() => treeOf(Buffer.from("13010001000100", "hex")))).toBe("AxdrType")
        expect(codeThrown(() => treeOf(Buffer.from("1301ffff01ffff0f0100", "hex")))).toBe("AxdrTruncated")
    })
})

describe("ciphering of suite 0", () => {
    const cases = fc.record({
        key: octets({ minLength: 16, maxLength: 16 }),
        authentication: octets({ minLength: 16, maxLength: 16 }),
        title: octets({ minLength: 8, maxLength: 8 }),
        counter: fc.integer({ min: 0, max: 0xffffffff }),
        data: octets({ maxLength: 100 }),
        control: fc.constantFrom(0x10, 0x20, 0x30),
    })

    it("is what node:crypto makes, and opens again", () => {
        fc.assert(
            fc.property(cases, ({ key, authentication, title, counter, data, control }) => {
                const plain = Buffer.concat([Buffer.from("0f0000000100", "hex"), Buffer.of(9, data.length), data])
                expect(readApdu(plain, 0, plain.length).whole).toBe(true)
                const keys = new DlmsKeys(key, authentication)
                const sealed = cipherApdu(plain, 0xdb, control, keys, title, counter)
                const number = Buffer.alloc(4)
                number.writeUInt32BE(counter)
                const vector = Buffer.concat([title, number])
                const cipher = createCipheriv("aes-128-gcm", key, vector, { authTagLength: 12 })
                const head = Buffer.concat([Buffer.of(control), authentication])
                if (control === 0x10) cipher.setAAD(Buffer.concat([head, plain]))
                if (control === 0x30) cipher.setAAD(head)
                const body = control === 0x10 ? plain : cipher.update(plain)
                cipher.final()
                const tag = control === 0x20 ? Buffer.alloc(0) : cipher.getAuthTag()
                const wanted = Buffer.concat([Buffer.of(control), number, body, tag])
                expect(sealed.subarray(-wanted.length).equals(wanted)).toBe(true)
                const read = readCiphered(sealed, 0, sealed.length)
                expect(openCiphered(read, keys, Buffer.alloc(0), counter - 1).equals(plain)).toBe(true)
                expect(codeThrown(() => openCiphered(read, keys, Buffer.alloc(0), counter))).toBe("DlmsReplayed")
            }),
        )
    })

    it("the answer to a challenge is a GMAC that node:crypto confirms", () => {
        fc.assert(
            fc.property(cases, octets({ minLength: 8, maxLength: 64 }), (each, challenge) => {
                const answer = hlsAnswer(
                    challenge,
                    new DlmsKeys(each.key, each.authentication),
                    each.title,
                    each.counter,
                )
                const decipher = createDecipheriv(
                    "aes-128-gcm",
                    each.key,
                    Buffer.concat([each.title, answer.subarray(1, 5)]),
                    {
                        authTagLength: 12,
                    },
                )
                decipher.setAAD(Buffer.concat([Buffer.of(0x10), each.authentication, challenge]))
                decipher.setAuthTag(answer.subarray(5))
                expect(() => decipher.final()).not.toThrow()
            }),
        )
    })
})

describe("IEC 62056-21", () => {
    const word = (unit: string, maxLength: number) =>
        fc.string({ unit: fc.constantFrom(...unit), minLength: 1, maxLength })
    const values = fc.record({ value: word("0123456789.-ABC", 12), unit: fc.option(word("kWhVarm3", 5)) })
    const sets = fc.array(fc.tuple(word("0123456789.-:CF", 12), fc.array(values, { minLength: 1, maxLength: 3 })), {
        minLength: 1,
        maxLength: 6,
    })

    it("data sets are read as they were written, with parity and without, and no changed octet passes", () => {
        fc.assert(
            fc.property(
                sets,
                fc.constantFrom(IEC_XOR, IEC_SUM),
                fc.nat(),
                fc.integer({ min: 0, max: 6 }),
                (list, check, where, bit) => {
                    const text = list
                        .map(
                            ([address, all]) =>
                                address +
                                all.map(each => `(${each.value}${each.unit ? `*${each.unit}` : ""})`).join(""),
                        )
                        .join("\r\n")
                    const message = iecChecked(Buffer.from(`\u0002${text}\r\n!\r\n\u0003`), check)
                    const plain = iecSevenBits(iecParity(message))
                    expect(plain.equals(message)).toBe(true)
                    const read = readIec(plain, check)
                    const reader = new IecValues(plain, read.at, read.end)
                    const part = (at: number, length: number) => plain.toString("latin1", at, at + length)
                    for (const [address, all] of list)
                        for (const [index, each] of all.entries()) {
                            expect(reader.next()).toBe(true)
                            expect([
                                part(reader.addressAt, reader.addressLength),
                                reader.index,
                                part(reader.valueAt, reader.valueLength),
                                part(reader.unitAt, reader.unitLength),
                            ]).toEqual([address, index, each.value, each.unit ?? ""])
                        }
                    expect(reader.next()).toBe(false)
                    const damaged = Buffer.from(message)
                    damaged[1 + (where % (message.length - 1))] ^= 1 << bit
                    expect(codeThrown(() => readIec(damaged, check))).toMatch(/^Iec/)
                },
            ),
        )
    })

    it("numbers are exact", () => {
        fc.assert(
            fc.property(fc.maxSafeInteger(), fc.integer({ min: 0, max: 9 }), (raw, decimals) => {
                const text = decimal(BigInt(raw), -decimals)
                const reading = new Reading(Buffer.alloc(6), Buffer.alloc(0), 0)
                iecNumber(Buffer.from(text), 0, text.length, reading)
                expect([reading.exact, reading.value + 0, reading.exponent]).toEqual([
                    true,
                    raw + 0,
                    decimals === 0 ? 0 : -decimals,
                ])
            }),
        )
    })

    it("addresses with A-B are OBIS codes; reduced ones where the unit says electricity", () => {
        const obis = (text: string, unit: number) => {
            const code = iecObis(Buffer.from(text), 0, text.length, unit)
            return code ? obisText(code) : undefined
        }
        fc.assert(
            fc.property(fc.array(fc.nat(255), { minLength: 6, maxLength: 6 }), ([a, b, c, d, e, f]) => {
                expect(obis(`${a}-${b}:${c}.${d}.${e}*${f}`, 255)).toBe(`${a}-${b}:${c}.${d}.${e}*${f}`)
            }),
        )
        const cases: [string, number, string | undefined][] = [
            ["1.8.0", 30, "1-0:1.8.0*255"],
            ["1.8", 30, "1-0:1.8.0*255"],
            ["1.8.1*03", 30, "1-0:1.8.1*3"],
            ["1.6.0&2", 27, "1-0:1.6.0*2"],
            ["32.7.0", 35, "1-0:32.7.0*255"],
            // Heat meters: energy, volume.
            ["6.8", 30, undefined],
            ["6.26", 13, undefined],
            ["1.8.0", 255, undefined],
            ["C.1.0", 255, "0-0:96.1.0*255"],
            ["F.F", 255, "0-0:97.97.0*255"],
            ["C.5.0", 255, undefined],
            ["300.1", 30, undefined],
            ["1-0:", 30, undefined],
            ["1.8.0.0.0", 30, undefined],
        ]
        for (const [text, unit, wanted] of cases) expect([text, obis(text, unit)]).toEqual([text, wanted])
    })

    it("units with what stands in front of them, and times", () => {
        const unit = (text: string) => {
            const reading = new Reading(Buffer.alloc(6), Buffer.alloc(0), 0)
            iecUnit(Buffer.from(text), 0, text.length, reading)
            return [reading.unit, reading.exponent]
        }
        const units = ["kWh", "MWh", "Wh", "kVArh", "kvar", "m3", "GJ", "mA", "V", "C", "furlong", ""]
        const codes = [
            [30, 3],
            [30, 6],
            [30, 0],
            [32, 3],
            [29, 3],
            [13, 0],
            [25, 9],
            [33, -3],
            [35, 0],
            [9, 0],
            [255, 0],
            [255, 0],
        ]
        expect(units.map(unit)).toEqual(codes)
        const time = (text: string) => iecTime(Buffer.from(text), 0, text.length)
        expect(time("230630123456S")).toEqual([2023, 6, 30, 12, 34, 56])
        expect(time("2306301234")).toEqual([2023, 6, 30, 12, 34, -1])
        expect(time("700101010000W")[0]).toBe(1970)
        for (const text of ["", "231330000000", "23063012345x", "2306"]) expect(time(text)).toEqual([])
    })

    it("a P1 telegram holds with its CRC alone", () => {
        fc.assert(
            fc.property(word("0123456789(*)kWh.\r\n", 80), fc.integer({ min: 1, max: 0xffff }), (text, change) => {
                const body = Buffer.from(`/ABC5X\r\n\r\n1-0:1.8.0(${text.replace(/[()]/g, "")})\r\n!`)
                const crc = p1Crc(body, 0, body.length)
                const with4 = (value: number) =>
                    Buffer.concat([body, Buffer.from(`${value.toString(16).padStart(4, "0")}\r\n`)])
                expect(readP1(with4(crc), true).crc).toBe(crc)
                expect(codeThrown(() => readP1(with4(crc ^ change), true))).toBe("P1Crc")
            }),
        )
    })

    it("a receiver gives each message once, in whatever pieces", () => {
        const one = iecChecked(Buffer.from("\u0002(1)\u0003"), IEC_XOR)
        const stream = Buffer.concat([Buffer.from("xx/ABC5METER\r\n"), one, Buffer.of(6), one, Buffer.of(21)])
        fc.assert(
            fc.property(fc.integer({ min: 1, max: 40 }), piece => {
                const came: string[] = []
                const receiver = new IecReceiver(false, 64, message => came.push(message.toString("hex")))
                for (let at = 0; at < stream.length; at += piece) receiver.feed(stream.subarray(at, at + piece))
                expect(came).toEqual([
                    Buffer.from("/ABC5METER\r\n").toString("hex"),
                    one.toString("hex"),
                    "06",
                    one.toString("hex"),
                    "15",
                ])
                expect(receiver.junk).toBe(2)
            }),
        )
    })
})

describe("chips of a wireless receiver", () => {
    const codes = [0x16, 0x0d, 0x0e, 0x0b, 0x1c, 0x19, 0x1a, 0x13, 0x2c, 0x25, 0x26, 0x23, 0x34, 0x31, 0x32, 0x29]
    const packed = (bits: string) =>
        Buffer.from((bits.match(/.{1,8}/g) ?? []).map(each => Number.parseInt(each.padEnd(8, "0"), 2)))
    const nibbles = (data: Buffer) => [...data].flatMap(octet => [octet >> 4, octet & 15])
    const three = (data: Buffer) =>
        packed(
            nibbles(data)
                .map(each => codes[each].toString(2).padStart(6, "0"))
                .join(""),
        )
    const manchester = (data: Buffer) =>
        packed(
            nibbles(data)
                .map(each =>
                    each
                        .toString(2)
                        .padStart(4, "0")
                        .replace(/./g, bit => (bit === "1" ? "01" : "10")),
                )
                .join(""),
        )

    it("give the octets that were sent, up to what is no code", () => {
        fc.assert(
            fc.property(octets({ minLength: 1, maxLength: 290 }), data => {
                // The tail of a last octet may be one more code by chance; what was sent stands in front of it.
                expect(
                    fromThreeOfSix(Buffer.concat([three(data), Buffer.of(0, 0)]))
                        .subarray(0, data.length)
                        .equals(data),
                ).toBe(true)
                expect(fromManchester(Buffer.concat([manchester(data), Buffer.of(0)])).equals(data)).toBe(true)
            }),
        )
    })

    it("a telegram of mode T in frame format A", () => {
        const frame = wirelessFrame(Buffer.from("7a2a0000000c1427048502", "hex"), 1)
        const [telegram] = decodeWireless(fromThreeOfSix(three(frame)), undefined).telegrams
        expect([telegram.format, telegram.readings?.[0].value]).toEqual(["A", "28504.27"])
        expect(codeThrown(() => fromThreeOfSix(Buffer.alloc(20)))).toBe("MbusFrame")
    })
})
