import { createHash } from "node:crypto"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { beforeEach, describe, expect, it } from "vitest"
import { Code } from "../../firmware/core/errors"
import { HdlcReceiver } from "../../firmware/core/hdlc"
import { Held } from "../../firmware/core/inventory"
import { Event, Logbook } from "../../firmware/core/logbook"
import { P1Receiver } from "../../firmware/core/p1-receive"
import type { MucCommandTrust } from "../../firmware/muc/command-trust"
import { FieldMeters } from "../../firmware/muc/field-meters"
import { DlmsPush, p1Telegram } from "../../firmware/muc/field-pushed"
import { countedCodes, FieldSide } from "../../firmware/muc/field-side"
import { KeyRing } from "../../firmware/muc/keys"
import { logbookAt, logbookEntries } from "../../firmware/muc/layout"
import type { TelegramLists } from "../../firmware/muc/telegrams"
import { generalCiphered, hdlcUi, llcOfServer, notification, p1Text } from "../../tools/chips/push-meter.ts"
import { decodeDlms } from "../../tools/decode/dlms.ts"
import { telegramReadings } from "../../tools/verify/telegram-list.ts"
import { hasVectors, vectorPath } from "../extras.ts"
import { MemoryStore } from "../helpers/memory-store.ts"

const keys = { encryption: Buffer.alloc(16, 0x11), authentication: Buffer.alloc(16, 0xd2) }
const both = Buffer.concat([keys.encryption, keys.authentication])
const title = Buffer.from("5341470000000abc", "hex")
const dsmr = p1Text([
    "/ISK5\\2MT382-1000",
    "1-3:0.2.8(50)",
    "0-0:96.1.1(4B384547303034303436333935353037)",
    "1-0:1.8.1(000123.456*kWh)",
    "1-0:2.8.1(000002.444*kWh)",
])
const source = Buffer.from("0223", "hex")
const list = { "0100010800ff": 1234567, "0100020800ff": 89 }

let seconds = 1_800_000_000
const clock = { utcSeconds: () => seconds, secondsIndex: () => 1, quality: () => 2 } as unknown as MucCommandTrust
let store: MemoryStore
let side: FieldSide
let taken: { kind: number; status: number; address: string; telegram: string }[]

/** The MUC's side of a line, on the same store: as after a power cut. */
function start(): void {
    const lists = {
        add: (kind: number, status: number, address: Buffer, telegram: Buffer) =>
            taken.push({ kind, status, address: address.toString("hex"), telegram: telegram.toString("hex") }),
    } as unknown as TelegramLists
    const logbook = new Logbook(store, logbookAt, logbookEntries, "ring", clock)
    side = new FieldSide(new FieldMeters(store, 2), lists, new KeyRing(store), clock, logbook, { get: () => "" })
}

function hold(key: Buffer | undefined): void {
    store = new MemoryStore(0x20000)
    if (key) new KeyRing(store).put(Held.MBusKey, title, key)
    start()
}

beforeEach(() => {
    seconds = 1_800_000_000
    taken = []
    hold(both)
})

const counted = () =>
    Object.fromEntries(
        countedCodes.flatMap((code, i) => (side.counts[i] > 0 ? [[Code[code] ?? "other", side.counts[i]]] : [])),
    )
const entered = () => {
    const codes: string[] = []
    for (let number = 0; number <= side.logbook.newest(); ++number) {
        const entry = side.logbook.read(number)
        if (entry && entry[13] === Event.telegramRefused) codes.push(Code[entry.readUInt16BE(16)])
    }
    return codes
}

const buses = {
    p1: {
        kind: 6,
        plain: dsmr,
        sealed: (counter: number, by = keys, control?: number) => generalCiphered(dsmr, title, counter, by, control),
        feed: (octets: Buffer) => {
            const receiver = new P1Receiver(1400, telegram => p1Telegram(side, 0, telegram))
            for (let at = 0; at < octets.length; at += 17) receiver.feed(octets.subarray(at, at + 17))
            receiver.timeout()
        },
        /** As in the list: the text, or the frame. */
        address: Buffer.from("ISK5\\2MT382-1000").toString("hex"),
    },
    "DLMS push": {
        kind: 5,
        plain: hdlcUi(Buffer.concat([llcOfServer, notification(1, list)]), source),
        sealed: (counter: number, by = keys, control?: number) =>
            hdlcUi(
                Buffer.concat([llcOfServer, generalCiphered(notification(1, list), title, counter, by, control)]),
                source,
            ),
        feed: (octets: Buffer) => {
            const push = new DlmsPush(side, 0)
            const receiver = new HdlcReceiver(1400, frame => push.take(frame))
            for (let at = 0; at < octets.length; at += 17) receiver.feed(octets.subarray(at, at + 17))
            receiver.timeout()
        },
        address: "0223",
    },
}

describe.each(Object.entries(buses))("%s", (_, bus) => {
    const kindName = bus.kind === 6 ? "p1" : "dlms"
    const listed = (telegram: string, key?: Buffer) =>
        telegramReadings(
            { kind: kindName, meter: "", line: 0, protection: "", octets: Buffer.from(telegram, "hex") },
            key,
        )

    it("an encrypted telegram is taken as it came; its meter joins the list; with the key it can be read, without it cannot", () => {
        bus.feed(bus.sealed(7))
        const telegram = bus.sealed(7).toString("hex")
        expect(taken).toEqual([{ kind: bus.kind, status: 2, address: title.toString("hex"), telegram }])
        expect([counted(), side.meters.find(0, title)]).toEqual([{}, 0])
        const readings = listed(telegram, both)
        expect(readings).toContainEqual(
            expect.objectContaining(
                bus.kind === 6
                    ? { obis: "1-0:1.8.1*255", value: "123456", unit: "Wh" }
                    : { obis: "1-0:1.8.0*255", value: "1234567" },
            ),
        )
        expect(listed(telegram)).toBe("no key")
    })

    it("gives four results, each with its entry: wrong key, damaged, unsupported, replayed", () => {
        bus.feed(bus.sealed(7))
        seconds += 7200
        bus.feed(bus.sealed(7))
        bus.feed(bus.sealed(6))
        expect(counted()).toEqual({ MbusReplayed: 2 })
        const damaged = (at: number) => {
            const octets = generalCiphered(bus.kind === 6 ? dsmr : notification(1, list), title, 8, keys)
            octets[octets.length - at] ^= 1
            return bus.kind === 6 ? octets : hdlcUi(Buffer.concat([llcOfServer, octets]), source)
        }
        // The tag; and an octet that it covers.
        bus.feed(damaged(1))
        bus.feed(damaged(14))
        expect(counted()).toEqual({ MbusReplayed: 2, MbusMac: 2 })
        bus.feed(bus.sealed(8, keys, 0x20))
        bus.feed(bus.sealed(8, keys, 0x10))
        bus.feed(bus.sealed(8, keys, 0x31))
        expect(counted()).toEqual({ MbusReplayed: 2, MbusMac: 2, MbusMode: 3 })
        bus.feed(bus.sealed(8, { ...keys, encryption: Buffer.alloc(16, 0x12) }))
        expect(counted()).toEqual({ MbusReplayed: 2, MbusMac: 2, MbusMode: 3, MbusWrongKey: 1 })
        expect(entered()).toEqual(["DlmsReplayed", "DlmsMac", "DlmsMode", "DlmsWrongKey"])
        expect(taken.length).toBe(1)
        bus.feed(bus.sealed(8))
        expect(taken.length).toBe(2)
    })

    it("is replayed also where the power was away in between", () => {
        bus.feed(bus.sealed(7))
        start()
        seconds += 7200
        bus.feed(bus.sealed(7))
        expect([taken.length, counted()]).toEqual([1, { MbusReplayed: 1 }])
        bus.feed(bus.sealed(8))
        expect(taken.length).toBe(2)
    })

    it("of a meter whose key is not held is nobody's concern, and with another key nobody joins", () => {
        hold(undefined)
        bus.feed(bus.sealed(7))
        expect([taken, counted(), side.meters.count(0)]).toEqual([[], {}, 0])
        hold(Buffer.alloc(32, 0x55))
        bus.feed(bus.sealed(7))
        expect([taken, counted(), side.meters.count(0)]).toEqual([[], { MbusWrongKey: 1 }, 0])
    })

    it("with the encryption key alone it counts as decrypted", () => {
        hold(keys.encryption)
        bus.feed(bus.sealed(7, keys, 0x20))
        seconds += 7200
        bus.feed(bus.sealed(8))
        expect(taken.map(({ status }) => status)).toEqual([1, 1])
    })

    it("in plain: who is heard first is the meter of the line, read in its turn; a stranger is not listened to", () => {
        bus.feed(bus.plain)
        bus.feed(bus.plain)
        expect(taken).toEqual([
            { kind: bus.kind, status: 0, address: bus.address, telegram: bus.plain.toString("hex") },
        ])
        expect(Array.isArray(listed(taken[0].telegram))).toBe(true)
        seconds += 7200
        const other =
            bus.kind === 6
                ? p1Text(["/ABC5other", "1-0:1.8.1(000123.456*kWh)"])
                : hdlcUi(Buffer.concat([llcOfServer, notification(1, list)]), Buffer.from("0225", "hex"))
        bus.feed(other)
        expect([taken.length, side.meters.count(0)]).toEqual([1, 1])
        bus.feed(bus.plain)
        expect(taken.length).toBe(2)
    })

    it("a line whose meter has keys takes nothing in plain", () => {
        bus.feed(bus.sealed(7))
        seconds += 7200
        bus.feed(bus.plain)
        expect(taken.length).toBe(1)
    })

    it("hands on nothing that was damaged on the line, wherever, and takes the next telegram", () => {
        const hashes = new Set<string>()
        // The end of the last line of a text is in no check.
        for (let at = 0; at < bus.plain.length - 2; at += 3) {
            hold(both)
            taken = []
            const harmed = Buffer.from(bus.plain)
            harmed[at] ^= 0x10
            bus.feed(Buffer.concat([harmed, bus.plain]))
            for (const each of taken) hashes.add(createHash("sha256").update(each.telegram).digest("hex"))
            expect([at, taken.length]).toEqual([at, 1])
        }
        expect(hashes.size).toBe(1)
    })
})

it("a DLMS list in segments is one telegram of all its frames", () => {
    const message = Buffer.concat([llcOfServer, generalCiphered(notification(1, list), title, 7, keys)])
    const frames = Buffer.concat([hdlcUi(message.subarray(0, 30), source, true), hdlcUi(message.subarray(30), source)])
    buses["DLMS push"].feed(frames)
    expect(taken.map(({ telegram }) => telegram)).toEqual([frames.toString("hex")])
    expect(telegramReadings({ kind: "dlms", meter: "", line: 0, protection: "", octets: frames }, both)).toHaveLength(2)
})

const sources = ["iec62056-21-dsmr-parser", "dlms-amshan", "dlms-cosem-pwitab"]

describe.skipIf(!hasVectors(...sources))("public examples", () => {
    const folder = vectorPath(sources[0])

    it("telegrams of P1 meters are taken as they came", () => {
        const names = existsSync(folder) ? readdirSync(folder).filter(each => each.endsWith(".raw")) : []
        expect(names.length).toBeGreaterThan(5)
        for (const name of names) {
            hold(undefined)
            taken = []
            // One was stored without the end of its last line.
            const octets = Buffer.concat([readFileSync(join(folder, name)), Buffer.from("\r\n")])
            buses.p1.feed(octets)
            expect([name, taken.length, counted()]).toEqual([name, 1, {}])
            expect(octets.toString("hex")).toContain(taken[0].telegram)
        }
    })

    it("the model's check, frame and tag are those of others", () => {
        const raw = readFileSync(join(folder, "telegram_v5.raw"), "latin1")
        const body = raw.slice(0, raw.indexOf("!"))
        const [identification, , ...lines] = body.trimEnd().split("\r\n")
        expect(
            p1Text([identification, ...lines])
                .toString("latin1")
                .trimEnd(),
        ).toBe(raw.trimEnd())
        const [green] = JSON.parse(readFileSync(join(vectorPath(sources[2]), "ciphering.json"), "utf8")).cases
        const hex = (text: string) => Buffer.from(text, "hex")
        const made = generalCiphered(
            hex(green.plaintext),
            hex(green.systemTitle),
            Number.parseInt(green.invocationCounter, 16),
            { encryption: hex(green.encryptionKey), authentication: hex(green.authenticationKey) },
        )
        expect(made.subarray(-25).toString("hex")).toBe(green.ciphertextAndTag)
        const pushes = JSON.parse(readFileSync(join(vectorPath(sources[1]), "push-lists.json"), "utf8")).cases
        for (const { name, llcPdu } of pushes) {
            hold(undefined)
            taken = []
            buses["DLMS push"].feed(hdlcUi(hex(llcPdu), source))
            expect([name, taken.length]).toEqual([name, 1])
            expect(
                decodeDlms(hex(taken[0].telegram), { title: Buffer.alloc(0), last: -1 }).apdus[0].error,
            ).toBeUndefined()
        }
    })
})
