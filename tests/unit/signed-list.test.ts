import { describe, expect, it } from "vitest"
import { Code } from "../../firmware/core/errors"
import {
    readSignedList,
    SignedListFields,
    signedListRes,
    signedRowRes,
    writeSignedList,
    writeSignedRow,
} from "../../firmware/core/signed-list"
import { closeRes, openRes } from "../../firmware/core/sml-messages"
import { QUIRK_ORDER, readFile } from "../../firmware/core/sml-read"
import { writeFile } from "../../firmware/core/sml-transport"
import { codeThrown } from "../helpers/errors"
import { envelope } from "../helpers/sml-oracle"
import { absent, list, octets, signed, unsigned } from "../helpers/tlv"

const serverId = "0a01504c420100000001"
const signature = Buffer.alloc(64, 0x1b)

function sample(changes: Partial<SignedListFields> = {}): SignedListFields {
    const fields = new SignedListFields()
    fields.serverId = Buffer.from(serverId, "hex")
    fields.pagination = 4711
    fields.secondsIndex = 123456
    fields.timeQuality = 2
    fields.seconds = 1790000000
    fields.drawn = 2 ** 40 + 5
    fields.drawn1 = 17
    fields.drawn2 = 4294967296
    fields.fedIn = 3
    fields.power = -123456
    fields.status = 0x82000101
    fields.software = Buffer.from("plomb-meter 0.1.0")
    fields.checksum = Buffer.alloc(32, 0xcc)
    fields.keyProtection = 1
    fields.previous = Buffer.alloc(32, 0xdd)
    fields.drawn3 = 5
    fields.drawn4 = 2 ** 33
    fields.module = Buffer.from("metrology 1.0.0")
    fields.moduleChecksum = Buffer.alloc(32, 0xee)
    return Object.assign(fields, changes)
}

/** The profile's entries, by hand from its text. */
function entries(f: SignedListFields, profile = 2): Buffer[] {
    const item = (obis: string, value: Buffer, unit?: number, status?: Buffer) =>
        list(
            octets(obis),
            status ?? absent,
            absent,
            unit ? unsigned(1, unit) : absent,
            unit ? signed(1, -1) : absent,
            value,
            absent,
        )
    const ofSecond = (...items: Buffer[]) => (profile === 2 ? items : [])
    return [
        item("8181c7f001ff", octets(Buffer.from(`PLOMB-SL/${profile}`))),
        item("8181c7f002ff", unsigned(4, f.pagination)),
        item("810060080001", unsigned(4, f.secondsIndex)),
        item("8181c7f003ff", unsigned(1, f.timeQuality)),
        item("0100010800ff", unsigned(8, f.drawn), 30, unsigned(4, f.status)),
        item("0100010801ff", unsigned(8, f.drawn1), 30),
        item("0100010802ff", unsigned(8, f.drawn2), 30),
        ...ofSecond(item("0100010803ff", unsigned(8, f.drawn3), 30), item("0100010804ff", unsigned(8, f.drawn4), 30)),
        item("0100020800ff", unsigned(8, f.fedIn), 30),
        item("0100100700ff", signed(4, f.power), 27),
        item("0100600500ff", unsigned(4, f.status)),
        item("010000020000", octets(f.software)),
        item("0100605a0201", octets(f.checksum)),
        ...ofSecond(item("8181c7f006ff", octets(f.module)), item("8181c7f007ff", octets(f.moduleChecksum))),
        item("8181c7f004ff", unsigned(1, f.keyProtection)),
        item("8181c7f005ff", octets(f.previous)),
    ]
}

const time = (f: SignedListFields, seconds: number, index: number) =>
    f.timeQuality === 2 ? list(unsigned(1, 2), unsigned(4, seconds)) : list(unsigned(1, 1), unsigned(4, index))

function elements(f: SignedListFields, items = entries(f), listName = "0100620affff"): Buffer[] {
    return [octets(serverId), octets(listName), time(f, f.seconds, f.secondsIndex), list(...items)]
}

const open = openRes(Buffer.from([1]), undefined, Buffer.from("1"), Buffer.from(serverId, "hex"), undefined)
const close = closeRes(Buffer.from([3]))

function read(message: Buffer) {
    const file = readFile(writeFile([open, message, close]), false, 0)
    return { file, list: readSignedList(file, file.messages[1]) }
}

/** The list as the tests' own encoder makes it, with any part replaced. */
function made(
    items: Buffer[],
    options: { listName?: string; signature?: Buffer; tagged?: SignedListFields } = {},
): Buffer {
    const fields = options.tagged ?? sample()
    const parts = elements(fields, items, options.listName)
    return envelope(0x0701, list(absent, ...parts, octets(options.signature ?? signature), absent), {
        transactionId: "02",
    })
}

describe("PLOMB-SL/2", () => {
    it("a list of the former profile, PLOMB-SL/1, is read; a list that mixes the two is not", () => {
        const fields = sample({ drawn3: 0, drawn4: 0, module: Buffer.alloc(0), moduleChecksum: Buffer.alloc(0) })
        expect({ ...read(made(entries(fields, 1))).list.fields }).toEqual({ ...fields })
        const mixed = [entries(fields, 2)[0], ...entries(fields, 1).slice(1)]
        expect(codeThrown(() => read(made(mixed)))).toBe("ListProfile")
    })

    for (const timeQuality of [0, 1, 2])
        it(`with time quality ${timeQuality} is written as its text says, and reads back`, () => {
            const fields = sample({ timeQuality, seconds: timeQuality === 2 ? 1790000000 : 0 })
            const octetsToSign = writeSignedList(fields)
            expect(octetsToSign.toString("hex")).toBe(Buffer.concat(elements(fields)).toString("hex"))
            const clientId = Buffer.from("aabb", "hex")
            const { file, list: came } = read(signedListRes(Buffer.from([2]), clientId, octetsToSign, signature))
            expect(file.octets.subarray(came.from, came.to).equals(octetsToSign)).toBe(true)
            expect(came.signature.equals(signature)).toBe(true)
            expect(came.fields).toEqual(fields)
        })

    it("a missing, doubled or misplaced entry is refused with its OBIS code and place", () => {
        const good = entries(sample())
        for (let i = 0; i < good.length; ++i) {
            const without = good.filter((_, k) => k !== i)
            expect(codeThrown(() => read(made(without)))).toBe("ListOrder")
            const swapped = [...without, good[i]]
            if (i < good.length - 1) expect(codeThrown(() => read(made(swapped)))).toBe("ListOrder")
        }
        expect(codeThrown(() => read(made([...good, good[13]])))).toBe("ListOrder")
        expect(() => read(made(good.slice(1)))).toThrow(/expected 8181c7f001ff, came 8181c7f002ff/)
        expect(codeThrown(() => read(made(good)))).toBe("none")
    })

    it("an entry of another width, type, unit, scaler or with more than the profile has is refused", () => {
        const item = (
            obis: string,
            value: Buffer,
            unit: Buffer,
            scaler: Buffer,
            status: Buffer = absent,
            valTime: Buffer = absent,
        ) => list(octets(obis), status, valTime, unit, scaler, value, absent)
        const replaced = (i: number, entry: Buffer) =>
            codeThrown(() => read(made(entries(sample()).map((each, k) => (k === i ? entry : each)))))
        const wh = unsigned(1, 30)
        const tenth = signed(1, -1)
        expect(replaced(1, item("8181c7f002ff", unsigned(3, 5), absent, absent))).toBe("ListEntry")
        expect(replaced(5, item("0100010801ff", signed(8, 5), wh, tenth))).toBe("ListEntry")
        expect(replaced(5, item("0100010801ff", unsigned(8, 5), unsigned(1, 27), tenth))).toBe("ListEntry")
        expect(replaced(5, item("0100010801ff", unsigned(8, 5), wh, signed(1, 0)))).toBe("ListEntry")
        expect(replaced(5, item("0100010801ff", unsigned(8, 5), wh, tenth, unsigned(4, 1)))).toBe("ListEntry")
        expect(replaced(4, item("0100010800ff", unsigned(8, 5), wh, tenth))).toBe("ListEntry")
        expect(replaced(5, item("0100010801ff", unsigned(8, 5), wh, tenth, absent, time(sample(), 1, 1)))).toBe(
            "ListEntry",
        )
        expect(replaced(1, item("8181c7f002ff", unsigned(4, 5), unsigned(1, 0), absent))).toBe("ListEntry")
        expect(replaced(13, item("0100605a0201", octets("aa".repeat(31)), absent, absent))).toBe("ListEntry")
        expect(replaced(0, item("8181c7f001ff", octets(Buffer.from("PLOMB-SL/3")), absent, absent))).toBe("ListProfile")
        expect(replaced(3, item("8181c7f003ff", unsigned(1, 0), absent, absent))).toBe("ListEntry")
    })

    it("another list name, no signature or a short one, a file out of order is not the profile", () => {
        const good = entries(sample())
        expect(codeThrown(() => read(made(good, { listName: "010062ffffff" })))).toBe("ListProfile")
        expect(codeThrown(() => read(made(good, { signature: Buffer.alloc(0) })))).toBe("ListProfile")
        expect(codeThrown(() => read(made(good, { signature: Buffer.alloc(63) })))).toBe("ListProfile")
        const alone = readFile(writeFile([made(good)]), false, 0)
        expect(alone.flags).toBe(QUIRK_ORDER)
        expect(codeThrown(() => readSignedList(alone, alone.messages[0]))).toBe("ListProfile")
        const file = readFile(writeFile([open, made(good), close]), false, 0)
        expect(codeThrown(() => readSignedList(file, file.messages[0]))).toBe("ListProfile")
    })

    it("refuses to write what does not fit its place", () => {
        expect(codeThrown(() => writeSignedList(sample({ pagination: 2 ** 32 })))).toBe("SmlValue")
        expect(codeThrown(() => writeSignedList(sample({ power: 2 ** 31 })))).toBe("SmlValue")
        expect(codeThrown(() => writeSignedList(sample({ drawn: -1 })))).toBe("SmlValue")
        expect(codeThrown(() => writeSignedList(sample({ drawn: 2 ** 53 })))).toBe("SmlValue")
        expect(Code.SmlValue).toBe(1400)
    })
})

describe("PLOMB-SP/1", () => {
    it("a row is written as its text says, and reads back", () => {
        for (const timeQuality of [1, 2]) {
            const fields = sample({
                timeQuality,
                seconds: timeQuality === 2 ? 1790000000 : 0,
                status: 2 ** 45 + 1,
                periodEnd: 1789999200,
                drawn1: 0,
                drawn2: 0,
                drawn3: 0,
                drawn4: 0,
                module: Buffer.alloc(0),
                moduleChecksum: Buffer.alloc(0),
                power: 0,
                software: Buffer.alloc(0),
                checksum: Buffer.alloc(0),
            })
            const item = (obis: string, value: Buffer, unit = 255) =>
                list(octets(obis), unsigned(1, unit), signed(1, unit === 255 ? 0 : -1), value, absent)
            const rows = [
                item("8181c7f001ff", octets(Buffer.from("PLOMB-SP/1"))),
                item("8181c7f002ff", unsigned(4, fields.pagination)),
                item("810060080001", unsigned(4, fields.secondsIndex)),
                item("8181c7f003ff", unsigned(1, timeQuality)),
                item("0100010800ff", unsigned(8, fields.drawn), 30),
                item("0100020800ff", unsigned(8, fields.fedIn), 30),
                item("8181c7f004ff", unsigned(1, 1)),
                item("8181c7f005ff", octets(fields.previous)),
            ]
            const expected = [
                octets(serverId),
                time(fields, fields.seconds, fields.secondsIndex),
                unsigned(4, 900),
                list(octets("8181c78611ff")),
                time(fields, fields.periodEnd, fields.periodEnd),
                unsigned(8, fields.status),
                list(...rows),
            ]
            const octetsToSign = writeSignedRow(fields)
            expect(octetsToSign.toString("hex")).toBe(Buffer.concat(expected).toString("hex"))
            const { file, list: came } = read(signedRowRes(Buffer.from([2]), octetsToSign, signature))
            expect(file.octets.subarray(came.from, came.to).equals(octetsToSign)).toBe(true)
            expect(came.fields).toEqual(fields)
        }
    })
})
