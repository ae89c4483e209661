import { beforeEach, describe, expect, it } from "vitest"
import { crc16 } from "../../firmware/core/crc16"
import { cipherApdu, DlmsKeys } from "../../firmware/core/dlms-security"
import { Code } from "../../firmware/core/errors"
import { HdlcReceiver, readHdlc } from "../../firmware/core/hdlc"
import { Held } from "../../firmware/core/inventory"
import { Logbook } from "../../firmware/core/logbook"
import type { MucCommandTrust } from "../../firmware/muc/command-trust"
import { DlmsReader } from "../../firmware/muc/dlms-reader"
import { FieldMeters } from "../../firmware/muc/field-meters"
import { countedCodes, FieldSide } from "../../firmware/muc/field-side"
import { KeyRing } from "../../firmware/muc/keys"
import { logbookAt, logbookEntries } from "../../firmware/muc/layout"
import type { TelegramLists } from "../../firmware/muc/telegrams"
import { DlmsEmulator, type DlmsOptions } from "../../tools/emulate/dlms.ts"
import { MeterLine } from "../../tools/emulate/line.ts"
import { meterOf } from "../../tools/emulate/meter.ts"
import { telegramReadings } from "../../tools/verify/telegram-list.ts"
import { MemoryStore } from "../helpers/memory-store.ts"
import { ModelTime } from "../helpers/model-time"

const meterKeys = new DlmsKeys(Buffer.alloc(16, 1), Buffer.alloc(16, 2))
const both = Buffer.concat([meterKeys.encryption, meterKeys.authentication])
const title = Buffer.from("504c420010000001", "hex")

let seconds: number
let trusted: boolean
let store: MemoryStore
let side: FieldSide
let time: ModelTime
let reader: DlmsReader
let taken: { status: number; address: string; telegram: Buffer }[]
/** Frames of the MUC, and what is done to those of the meter. */
let asked: Buffer[]
let spoil: (frame: Buffer) => Buffer
let settings: Record<string, string>
let waiting: Buffer
let emulated: DlmsEmulator | undefined

const clock = { utcSeconds: () => (trusted ? seconds : 0), secondsIndex: () => seconds, quality: () => 2 }

/** The MUC's side of the line, on the same store: as after a power cut. */
function start(options: Partial<DlmsOptions>, errors = 0): void {
    const lists = {
        add: (_: number, status: number, address: Buffer, telegram: Buffer) =>
            taken.push({ status, address: address.toString("hex"), telegram: Buffer.from(telegram) }),
        clientTitle: () => Buffer.from("504c4d0000000001", "hex"),
    } as unknown as TelegramLists
    const trust = clock as unknown as MucCommandTrust
    const logbook = new Logbook(store, logbookAt, logbookEntries, "ring", trust)
    const get = (name: string) => settings[name] ?? ""
    side = new FieldSide(new FieldMeters(store, 1), lists, new KeyRing(store), trust, logbook, { get })
    waiting = Buffer.alloc(0)
    const line = new MeterLine(
        {
            name: "memory",
            onData: () => {},
            write: octets => {
                waiting = Buffer.concat([waiting, spoil(Buffer.from(octets))])
            },
            setBaud: () => {},
            close: async () => {},
        },
        errors,
        1,
        () => {},
    )
    // The meter does not lose its power.
    emulated ??= new DlmsEmulator(meterOf(), line, { pushMs: 0, ...options })
    const meter = emulated
    const port = {
        open: () => {},
        send: (octets: Buffer) => {
            asked.push(Buffer.from(octets))
            meter.take(Buffer.from(octets))
        },
        receive: () => {
            const octets = waiting
            waiting = Buffer.alloc(0)
            return octets
        },
        sent: () => true,
    }
    reader = new DlmsReader(side, 0, port)
    reader.open()
}

/** Reads now whoever is due. */
function turn(): void {
    seconds += 7200
    expect(reader.turn()).toBe(true)
}

beforeEach(() => {
    seconds = 1_800_000_000
    trusted = true
    store = new MemoryStore(0x20000)
    time = new ModelTime()
    time.install()
    taken = []
    asked = []
    settings = {}
    spoil = frame => frame
    emulated = undefined
})

const counted = () =>
    Object.fromEntries(
        countedCodes.flatMap((code, i) => (side.counts[i] > 0 ? [[Code[code] ?? "other", side.counts[i]]] : [])),
    )
const read = (key?: Buffer) =>
    telegramReadings({ kind: "dlms", meter: "", line: 0, protection: "", octets: taken.at(-1)!.telegram }, key)
const values = [
    { obis: "1-0:1.8.0*255", value: "12345678", unit: "Wh" },
    { obis: "1-0:2.8.0*255", value: "250000", unit: "Wh" },
]

/** A frame with other information of the same length, and its check. */
function reframed(frame: Buffer, information: Buffer): Buffer {
    const { informationAt } = readHdlc(Buffer.from(frame.subarray(1, -1)))
    const changed = Buffer.from(frame)
    information.copy(changed, 1 + informationAt)
    changed.writeUInt16LE(crc16(changed, 1, changed.length - 3, 0xffff) ^ 0xffff, changed.length - 3)
    return changed
}

/** LLC header and APDU of a frame of the meter. */
const informationOf = (frame: Buffer) => readHdlc(Buffer.from(frame.subarray(1, -1))).information()
const isGetResponse = (frame: Buffer) => informationOf(frame)[3] === 0xcc

describe("a meter alone on its line", () => {
    it("is read as the public client; what was asked and answered stands in the telegram", () => {
        start({})
        side.searches = 1
        expect(reader.turn()).toBe(false)
        turn()
        expect(taken).toMatchObject([{ status: 0, address: "" }])
        expect(read()).toEqual(expect.arrayContaining(values.map(each => expect.objectContaining(each))))
    })

    it("is read with a password, which no telegram holds; with another one it refuses", () => {
        settings.dlms_password = "secret42"
        start({ password: "secret42" })
        side.searches = 1
        reader.turn()
        turn()
        expect(taken).toHaveLength(1)
        expect(taken[0].telegram.includes("secret42")).toBe(false)
        settings.dlms_password = "secret43"
        turn()
        expect([taken.length, side.problem(0)]).toEqual([1, Code.MeterRefused])
    })

    it("gives what the setting names, in blocks too; of what it has not it says so", () => {
        settings.dlms_read = "000f0000280000ff02" + "000301000e0700ff02" + "00030100630800ff02"
        start({})
        side.searches = 1
        reader.turn()
        turn()
        expect(read()).toEqual(expect.arrayContaining([expect.objectContaining({ obis: "1-0:14.7.0*255" })]))
    })

    it("through a line that damages one frame in ten every reading is whole, or none", () => {
        start({}, 0.1)
        side.searches = 1
        reader.turn()
        for (let i = 0; i < 40; ++i) {
            turn()
            if (taken.length > 0)
                expect(read()).toEqual(expect.arrayContaining(values.map(each => expect.objectContaining(each))))
        }
        expect(taken.length).toBeGreaterThan(20)
        expect(Object.keys(counted()).every(each => each === "MeterGarbled" || each === "MeterSilent")).toBe(true)
    })

    it("that says nothing is told as silent", () => {
        spoil = () => Buffer.alloc(0)
        start({})
        side.searches = 1
        reader.turn()
        turn()
        expect(counted()).toEqual({ MeterSilent: 1 })
    })
})

describe("a meter with keys", () => {
    function secured(key: Buffer | undefined = both, keys = meterKeys): void {
        if (key) new KeyRing(store).put(Held.MBusKey, title, key)
        start({ keys })
        if (side.meters.find(0, title) < 0) side.meters.set(0, 17, title, 60, seconds)
    }

    it("is read ciphered, both prove their keys; the telegram can be read with them alone", () => {
        secured()
        turn()
        expect(taken).toMatchObject([{ status: 2, address: title.toString("hex") }])
        expect(read(both)).toEqual(expect.arrayContaining(values.map(each => expect.objectContaining(each))))
        expect(read()).toBe("no key")
    })

    it("uses no invocation counter twice, wherever the power goes", () => {
        const used = new Set<number>()
        let count = 0
        for (let starts = 0; starts < 4; ++starts) {
            secured()
            asked = []
            for (let i = 0; i < 45; ++i) turn()
            const frames: Buffer[] = []
            new HdlcReceiver(2100, frame => frames.push(frame.information())).feed(Buffer.concat(asked))
            for (const information of frames) {
                // glo-get-request, glo-action-request: tag, length, control, counter.
                if (information[3] !== 0xc8 && information[3] !== 0xcb) continue
                used.add(information.readUInt32BE(6))
                ++count
            }
        }
        expect(count).toBeGreaterThan(900)
        expect(used.size).toBe(count)
        expect(taken).toHaveLength(180)
    })

    it("is not read while neither clock nor store says with which counter to begin", () => {
        trusted = false
        secured()
        turn()
        expect([taken.length, side.problem(0), asked.length]).toEqual([0, Code.TimeNotTrusted, 0])
    })

    it("gives four results: wrong key, damaged, unsupported, replayed", () => {
        secured()
        let former: Buffer | undefined
        spoil = frame => {
            if (isGetResponse(frame)) former ??= informationOf(frame)
            return frame
        }
        turn()
        const outcome = (change: (information: Buffer) => Buffer) => {
            secured()
            spoil = frame => (isGetResponse(frame) ? reframed(frame, change(informationOf(frame))) : frame)
            turn()
            return [counted(), Code[side.problem(0)], taken.length]
        }
        const flipped = (at: number) => (octets: Buffer) => {
            const changed = Buffer.from(octets)
            changed[at < 0 ? octets.length + at : at] ^= 1
            return changed
        }
        expect(outcome(flipped(-1))).toEqual([{ MbusMac: 1 }, "DlmsMac", 1])
        // The suite in the control octet.
        expect(outcome(flipped(5))).toEqual([{ MbusMode: 1 }, "DlmsMode", 1])
        expect(outcome(() => former!)).toEqual([{ MbusReplayed: 1 }, "DlmsReplayed", 1])
        const foreign = new DlmsKeys(Buffer.alloc(16, 9), meterKeys.authentication)
        const value = Buffer.from("c401c1000600bc614e", "hex")
        expect(
            outcome(octets =>
                Buffer.concat([
                    octets.subarray(0, 3),
                    cipherApdu(value, 0xcc, 0x30, foreign, title, octets.readUInt32BE(6)),
                ]),
            ),
        ).toEqual([{ MbusWrongKey: 1 }, "DlmsWrongKey", 1])
        spoil = frame => frame
        secured()
        turn()
        expect(taken.length).toBe(2)
    })

    it("is not read without keys, nor with the encryption key alone, nor by a key that is not its own", () => {
        secured(Buffer.alloc(0))
        turn()
        expect([counted(), asked.length]).toEqual([{ MbusNoKey: 1 }, 0])
        secured(meterKeys.encryption)
        turn()
        expect([counted(), asked.length]).toEqual([{ MbusMode: 1 }, 0])
        secured(Buffer.alloc(32, 7))
        turn()
        expect([taken.length, Code[side.problem(0)]]).toEqual([0, "MeterRefused"])
    })
})
