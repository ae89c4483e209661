import { describe, expect, it } from "vitest"
import { CRC_KERMIT, CRC_X25 } from "../../firmware/core/crc16"
import { Code } from "../../firmware/core/errors"
import { ENTRY_NO_TIME, ENTRY_REDUCED, ENTRY_UNSIGNED, entryQuirks } from "../../firmware/core/sml-quirks"
import {
    QUIRK_ABSENT,
    QUIRK_BARE_TIME,
    QUIRK_EMPTY_LIST,
    QUIRK_FILL,
    QUIRK_KERMIT,
    QUIRK_ORDER,
    QUIRK_SHORT_CRC,
    readFile,
} from "../../firmware/core/sml-read"
import {
    childrenAt,
    integerAt,
    isAbsent,
    octetsAt,
    secondsAt,
    TIME_ABSENT,
    TIME_LOCAL,
    TIME_SEC_INDEX,
    TIME_STAMP,
    timeKindAt,
} from "../../firmware/core/sml-values"
import { codeThrown } from "../helpers/errors"
import { around, envelope, kermit } from "../helpers/sml-oracle"
import { absent, crc, list, octets, file as oracleFile, signed, unsigned } from "../helpers/tlv"

const codeOf = (action: () => unknown) => Code[codeThrown(action) as keyof typeof Code]

const power = octets("0100100700ff")
const drawn = octets("0100010800ff")
const plainServer = octets("0a01504c420100000001")

/** A GetList.Res with these entries, or with this in place of valList. */
function listRes(entries: Buffer[] | Buffer, server = plainServer): Buffer {
    const valList = Buffer.isBuffer(entries) ? entries : list(...entries)
    return list(absent, server, octets("0100620affff"), absent, valList, absent, absent)
}

function entry(
    value: Buffer,
    options: { name?: Buffer; status?: Buffer; time?: Buffer; unit?: Buffer; scaler?: Buffer } = {},
) {
    const { name = drawn, status = absent, time = absent, unit = unsigned(1, 30), scaler = signed(1, -1) } = options
    return list(name, status, time, unit, scaler, value, absent)
}

const framed = (body: Buffer, tag = 0x0701) => oracleFile(...around(envelope(tag, body)))

/** Flags of the file in the tolerant profile, and the code of its refusal in the strict one. */
function both(raw: Buffer): [flags: number, code: number | undefined] {
    return [readFile(raw, true, 0).flags, codeOf(() => readFile(raw, false, 0))]
}

/** The value element of the only entry, read strictly. */
function readValue(value: Buffer): { octets: Buffer; at: number } {
    const message = readFile(framed(listRes([entry(value)])), false, 0).messages[1]
    return {
        octets: message.octets,
        at: childrenAt(message.octets, childrenAt(message.octets, message.fields[4])[0])[5],
    }
}

describe("values", () => {
    it("integers of every width from 1 to 8 octets are extended by their type, not by their width", () => {
        for (let width = 1; width <= 8; ++width) {
            const low = width >= 7 ? -(2 ** 53 - 1) : -(2 ** (8 * width - 1))
            for (const value of [low, -2, -1, 0, 1, -low - 1]) {
                const { octets, at } = readValue(signed(width, value))
                expect(integerAt(octets, at)).toBe(value)
            }
            for (const value of [0, 1, Math.min(2 ** 53 - 1, 2 ** (8 * width) - 1)]) {
                const { octets, at } = readValue(unsigned(width, value))
                expect(integerAt(octets, at)).toBe(value)
            }
        }
    })

    it("an integer beyond 2^53 is refused as a number and exact as octets", () => {
        for (const value of [signed(8, -(2n ** 60n)), unsigned(8, 2n ** 64n - 1n), unsigned(8, 2n ** 53n)]) {
            const { octets, at } = readValue(value)
            expect(codeOf(() => integerAt(octets, at))).toBe(Code.OutOfRange)
            expect(octetsAt(octets, at).equals(value.subarray(1))).toBe(true)
        }
    })

    it("boolean, octet string, all ListTypes and an absent element are told apart", () => {
        for (const value of [Buffer.from("4200", "hex"), Buffer.from("42aa", "hex"), octets("00".repeat(128))]) {
            const { octets, at } = readValue(value)
            expect(octets.toString("hex", at, at + value.length)).toBe(value.toString("hex"))
        }
        const time = list(unsigned(1, 1), unsigned(4, 77))
        readValue(list(unsigned(1, 1), time))
        readValue(list(unsigned(1, 2), list(time, unsigned(3, 5), signed(2, -4))))
        readValue(list(unsigned(1, 3), list(signed(1, -1), unsigned(1, 30))))
        const { octets: content, at } = readValue(absent)
        expect(isAbsent(content, at)).toBe(true)
        expect(octetsAt(content, at).length).toBe(0)
    })

    it("the three kinds of time, offsets cut to one octet, and no time", () => {
        const local = list(unsigned(4, 1687779211), signed(1, 60), signed(1, 60))
        const cases: [Buffer, number, number][] = [
            [list(unsigned(1, 1), unsigned(3, 77)), TIME_SEC_INDEX, 77],
            [list(unsigned(1, 2), unsigned(4, 1597129751)), TIME_STAMP, 1597129751],
            [list(unsigned(1, 3), local), TIME_LOCAL, 1687779211],
            [absent, TIME_ABSENT, 0],
        ]
        for (const [time, kind, seconds] of cases) {
            const message = readFile(framed(listRes([entry(unsigned(1, 1), { time })])), false, 0).messages[1]
            const at = childrenAt(message.octets, childrenAt(message.octets, message.fields[4])[0])[2]
            expect([timeKindAt(message.octets, at), secondsAt(message.octets, at)]).toEqual([kind, seconds])
        }
    })

    it("a string with a long type-length field and a list of more than 15 entries", () => {
        const entries = Array.from({ length: 30 }, (_, i) => entry(unsigned(1, i)))
        const message = readFile(framed(listRes(entries)), false, 0).messages[1]
        expect(message.octets[message.fields[4]]).toBe(0xf1)
        const places = childrenAt(message.octets, message.fields[4])
        expect(places.map(at => integerAt(message.octets, childrenAt(message.octets, at)[5]))).toEqual(
            Array.from({ length: 30 }, (_, i) => i),
        )
    })

    it("1B runs in the payload come back single", () => {
        for (const run of [3, 4, 5, 7, 8, 9, 64]) {
            const { octets: content, at } = readValue(octets("1b".repeat(run) + "01010101"))
            expect(octetsAt(content, at).toString("hex")).toBe("1b".repeat(run) + "01010101")
        }
    })
})

describe("quirks pass in the tolerant profile with their flag, and never in the strict one", () => {
    it("a time that is a bare unsigned (Holley DTZ541)", () => {
        const raw = framed(listRes([entry(unsigned(1, 5), { time: unsigned(4, 4711) })]))
        expect(both(raw)).toEqual([QUIRK_BARE_TIME, Code.SmlType])
        const message = readFile(raw, true, 0).messages[1]
        const at = childrenAt(message.octets, childrenAt(message.octets, message.fields[4])[0])[2]
        expect([timeKindAt(message.octets, at), secondsAt(message.octets, at)]).toEqual([TIME_SEC_INDEX, 4711])
    })

    it("the Kermit CRC, high octet first, of file and messages alike", () => {
        const inner = list(absent, absent, octets("31"), octets("0a01"), absent, absent)
        const open = envelope(0x0101, inner, { kermit: true })
        const close = envelope(0x0201, list(absent), { kermit: true })
        const message = envelope(0x0701, listRes([entry(unsigned(4, 5))]), { kermit: true })
        const all = oracleFile(open, message, close)
        const sum = kermit(all.subarray(0, -2))
        all.set([sum >> 8, sum & 255], all.length - 2)
        expect(both(all)).toEqual([QUIRK_KERMIT, Code.SmlFileCrc])
        expect(readFile(all, true, 0).crc).toBe(CRC_KERMIT)
        // A message of the other kind inside is not good.
        const mixed = oracleFile(open, envelope(0x0701, listRes([entry(unsigned(4, 5))])), close)
        const mixedSum = kermit(mixed.subarray(0, -2))
        mixed.set([mixedSum >> 8, mixedSum & 255], mixed.length - 2)
        expect(codeOf(() => readFile(mixed, true, 0))).toBe(Code.SmlMessageCrc)
    })

    it("a message CRC in one octet because the other is 00 (Iskra)", () => {
        const body = listRes([entry(unsigned(1, 5))])
        for (let n = 0; ; ++n) {
            const transactionId = n.toString(16).padStart(4, "0")
            const whole = envelope(0x0701, body, { transactionId })
            if (whole[whole.length - 3] !== 0) continue
            const tail = Buffer.from([0x62, whole[whole.length - 2], 0])
            const raw = oracleFile(...around(envelope(0x0701, body, { transactionId, tail })))
            expect(both(raw)).toEqual([QUIRK_SHORT_CRC, Code.SmlWidth])
            break
        }
    })

    it("an empty valList", () => {
        expect(both(framed(listRes(Buffer.from([0x70]))))).toEqual([QUIRK_EMPTY_LIST, Code.SmlCount])
    })

    it("a mandatory number or time that is absent", () => {
        const period = list(octets("0100010800ff"), absent, absent, unsigned(4, 1), absent)
        const path = list(octets("8181c78611ff"))
        const row = (valTime: Buffer) =>
            list(
                plainServer,
                list(unsigned(1, 1), unsigned(4, 1)),
                unsigned(4, 900),
                path,
                valTime,
                unsigned(8, 0),
                list(period),
                absent,
                absent,
            )
        expect(both(framed(row(absent), 0x0401))).toEqual([QUIRK_ABSENT, Code.SmlType])
    })

    it("fill octets other than 00", () => {
        const good = framed(listRes([entry(unsigned(1, 5), { name: octets("0100020800ff") })]))
        for (const size of [1, 2, 3, 4]) {
            const raw = framed(listRes([entry(octets("aa".repeat(size)))]))
            const fill = raw[raw.length - 3]
            if (fill === 0) continue
            raw[raw.length - 9] = 0x55
            const sum = crc(raw.subarray(0, -2))
            raw.set([sum & 255, sum >> 8], raw.length - 2)
            expect(both(raw)).toEqual([QUIRK_FILL, Code.SmlEnd])
        }
        expect(readFile(good, false, 0).crc).toBe(CRC_X25)
    })

    it("more 00 after the last message than the end says", () => {
        const raw = oracleFile(...around(), Buffer.alloc(8))
        const [flags, code] = both(raw)
        expect(flags).toBe(QUIRK_FILL)
        expect(code).toBe(Code.SmlCount)
    })

    it("a file without Open or Close, or with requests among responses, is flagged in both profiles", () => {
        const message = envelope(0x0701, listRes([entry(unsigned(1, 5))]))
        const [open, close] = around()
        const request = envelope(0x0700, list(octets("01"), absent, absent, absent, absent))
        for (const messages of [[message], [open, message], [message, close], [open, request, close]])
            for (const tolerant of [false, true])
                expect(readFile(oracleFile(...messages), tolerant, 0).flags).toBe(QUIRK_ORDER)
    })

    it("DZG: 16.7.0 tagged signed is unsigned while the status word says drawing; whole kWh and secIndex 0 are named", () => {
        const dzg = octets("0a01445a47000282225e")
        const of = (status: number, value: Buffer, server = dzg) => {
            const entries = [
                entry(unsigned(4, 1), { status: unsigned(3, status), scaler: signed(1, 3) }),
                entry(value, { name: power, unit: unsigned(1, 27), time: list(unsigned(1, 1), unsigned(1, 0)) }),
            ]
            return entryQuirks(readFile(framed(listRes(entries, server)), true, 0).messages[1])
        }
        expect(of(0x1c0104, signed(2, -29912))).toEqual([ENTRY_REDUCED, ENTRY_UNSIGNED | ENTRY_NO_TIME])
        expect(of(0x1c0904, signed(2, -29912))[1]).toBe(ENTRY_NO_TIME)
        expect(of(0x1c0104, signed(4, -29912))[1]).toBe(ENTRY_NO_TIME)
        expect(of(0x1c0104, signed(2, 29912))[1]).toBe(ENTRY_NO_TIME)
        expect(of(0x1c0104, signed(2, -29912), plainServer)[1]).toBe(ENTRY_NO_TIME)
    })
})

describe("malformed elements are refused with code and offset", () => {
    const code = (value: Buffer) => codeOf(() => readFile(framed(listRes([entry(value)])), true, 0))

    it("reserved types, long integers, widths above nominal, no width", () => {
        expect(code(Buffer.from("12aa", "hex"))).toBe(Code.SmlType)
        expect(code(Buffer.from("8502aa", "hex"))).toBe(Code.SmlLength)
        expect(code(Buffer.from("e00401aa", "hex").subarray(0, 4))).toBe(Code.SmlWidth)
        expect(code(Buffer.from("6a010203040506070809", "hex"))).toBe(Code.SmlWidth)
        expect(code(Buffer.from("61", "hex"))).toBe(Code.SmlWidth)
        expect(code(Buffer.from("51", "hex"))).toBe(Code.SmlWidth)
        expect(code(Buffer.from("430101", "hex"))).toBe(Code.SmlWidth)
        expect(
            codeOf(() => readFile(framed(listRes([entry(unsigned(1, 1), { unit: unsigned(3, 30) })])), true, 0)),
        ).toBe(Code.SmlWidth)
    })

    it("lengths below their own field, beyond the end, of five octets; counts beyond what is left", () => {
        expect(code(Buffer.from("00", "hex"))).toBe(Code.SmlLength)
        expect(code(Buffer.from("8001", "hex"))).toBe(Code.SmlLength)
        expect(code(Buffer.from("8f8f8f0f", "hex"))).toBe(Code.SmlLength)
        expect(code(Buffer.from("808080800f", "hex"))).toBe(Code.SmlLength)
        expect(code(Buffer.from("8f1faa", "hex"))).toBe(Code.SmlLength)
        expect(code(Buffer.from("ff8f0f", "hex"))).toBe(Code.SmlLength)
    })

    it("a choice with an unknown tag, a name of 5 octets, a list of 6 in place of 7", () => {
        expect(code(list(unsigned(1, 4), absent))).toBe(Code.SmlTag)
        expect(code(list(unsigned(1, 0), absent))).toBe(Code.SmlTag)
        expect(codeOf(() => readFile(framed(listRes([entry(absent, { name: octets("0102030405") })])), true, 0))).toBe(
            Code.SmlWidth,
        )
        expect(
            codeOf(() => readFile(framed(listRes([list(drawn, absent, absent, absent, absent, absent)])), true, 0)),
        ).toBe(Code.SmlCount)
    })

    it("trees nested deeper than 16 lists; 16 are read", () => {
        const tree = (levels: number): Buffer =>
            list(octets("aa"), absent, levels > 1 ? list(tree(levels - 1)) : absent)
        const raw = (levels: number) => framed(list(plainServer, list(octets("aa")), tree(levels)), 0x0501)
        expect(readFile(raw(8), false, 0).flags).toBe(0)
        expect(codeOf(() => readFile(raw(9), false, 0))).toBe(Code.SmlNesting)
    })

    it("a message CRC that fails under a good transport CRC, a missing 00, a cut message, 41 messages", () => {
        const body = listRes([entry(unsigned(1, 5))])
        const bad = envelope(0x0701, body)
        bad[20] ^= 1
        expect(codeOf(() => readFile(oracleFile(...around(bad)), true, 0))).toBe(Code.SmlMessageCrc)
        const good = envelope(0x0701, body)
        expect(
            codeOf(() =>
                readFile(oracleFile(...around(Buffer.concat([good.subarray(0, -1), Buffer.from([1])]))), false, 0),
            ),
        ).toBe(Code.SmlMessageEnd)
        const many = Array.from({ length: 39 }, () => good)
        expect(codeOf(() => readFile(oracleFile(...around(...many)), false, 0))).toBe(Code.SmlTooManyMessages)
        expect(readFile(oracleFile(...around(...many.slice(1))), false, 0).messages.length).toBe(40)
    })

    it("the offset is that of the element in the file", () => {
        const raw = framed(listRes([entry(Buffer.from("6a010203040506070809", "hex"))]))
        try {
            readFile(raw, false, 0)
            expect.unreachable()
        } catch (error) {
            expect(raw[(error as { at: number }).at]).toBe(0x6a)
        }
    })
})
