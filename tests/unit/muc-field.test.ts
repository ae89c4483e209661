import { generateKeyPairSync, sign } from "node:crypto"
import { beforeEach, describe, expect, it, vi } from "vitest"
import { Code } from "../../firmware/core/errors"
import { Held } from "../../firmware/core/inventory"
import { Event, Logbook } from "../../firmware/core/logbook"
import { installPlatform } from "../../firmware/core/platform"
import { signedListRes } from "../../firmware/core/signed-list"
import { closeRes, openRes } from "../../firmware/core/sml-messages"
import { writeFile } from "../../firmware/core/sml-transport"
import { TELEGRAM_MBUS, TELEGRAM_WMBUS } from "../../firmware/core/telegram-list"
import type { MucCommandTrust } from "../../firmware/muc/command-trust"
import { FieldMeters } from "../../firmware/muc/field-meters"
import { wirelessTelegram } from "../../firmware/muc/field-radio"
import { countedCodes, FieldSide } from "../../firmware/muc/field-side"
import { KeyRing } from "../../firmware/muc/keys"
import { logbookAt, logbookEntries, mostFieldMeters } from "../../firmware/muc/layout"
import { TelegramLists } from "../../firmware/muc/telegrams"
import type { Machine } from "../../hal/machine"
import { meterKey, mode5, mode7, sampleRecords, wirelessFrame } from "../../tools/campaign/mbus-seeds.ts"
import { meterContent, meterIdentification } from "../../tools/chips/mbus-content.ts"
import { nodePlatform } from "../../tools/node/platform.ts"
import { keyFromText } from "../../tools/verify/curves.ts"
import { judgeEvidence } from "../../tools/verify/evidence.ts"
import { judgeSeries } from "../../tools/verify/linkage.ts"
import { Cut, MemoryStore } from "../helpers/memory-store.ts"

const mucId = Buffer.from("05000000000001", "hex")
const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
const key = keyFromText(publicKey.export({ format: "pem", type: "spki" }) as string)
let seconds = 1_800_000_000
const clock = { utcSeconds: () => seconds, secondsIndex: () => seconds - 1_799_999_000, quality: () => 2 }
const machine = {
    custody: {
        protection: 1,
        sign: (digest: Buffer) => signDigest(digest),
    },
    softwareIdentification: "plomb-muc_field 0.1.0",
    softwareChecksum: Buffer.alloc(32, 7),
} as unknown as Machine

/** The octets whose digest the firmware asks to have signed: node:crypto hashes by itself. */
let signedOctets: Buffer[] = []
vi.mock("../../firmware/core/telegram-list", async original => {
    const module = await original<typeof import("../../firmware/core/telegram-list")>()
    return {
        ...module,
        writeTelegramList: (...words: Parameters<typeof module.writeTelegramList>) => {
            const octets = module.writeTelegramList(...words)
            signedOctets.push(octets)
            return octets
        },
    }
})

function signDigest(_digest: Buffer): Buffer {
    return sign("sha256", signedOctets[signedOctets.length - 1], { key: privateKey, dsaEncoding: "ieee-p1363" })
}

/** A wired frame with what a meter says. */
function wired(number: number): Buffer {
    const content = Buffer.from(meterContent(meterIdentification(number), number))
    const length = content.length + 2
    const body = Buffer.concat([Buffer.from([8, 1]), content])
    const sum = body.reduce((all, octet) => all + octet, 0) & 0xff
    return Buffer.concat([Buffer.from([0x68, length, length, 0x68]), body, Buffer.from([sum, 0x16])])
}

/** A list as a head-end stores it. */
function judged(lists: TelegramLists, number: number, change: (sml: Buffer) => void = () => {}) {
    const list = lists.list(number)
    if (!list) throw new Error(`there is no list ${number}`)
    const id = Buffer.of(1)
    const sml = writeFile([
        openRes(id, undefined, id, mucId, undefined),
        signedListRes(id, undefined, list[1], list[0]),
        closeRes(id),
    ])
    change(sml)
    const evidence = {
        sml,
        request: Buffer.alloc(0),
        chain: [],
        crls: [],
        receivedAt: new Date((seconds + 100) * 1000).toISOString(),
        source: { muc: "", headend: "test" },
    }
    if ("refused" in key) throw new Error(key.refused)
    return judgeEvidence(`list ${number}`, evidence, { anchors: [], key })[0]
}

const lists = (store: MemoryStore) => new TelegramLists(store, machine, mucId, clock)
const address = Buffer.from("8f41010000200102", "hex")

beforeEach(() => {
    seconds = 1_800_000_000
    signedOctets = []
})

describe("signed lists of telegrams", () => {
    it("hold each telegram as received, with meter, time and protection, and the verifier reads them by itself", () => {
        const store = new MemoryStore(0x20000)
        const kept = lists(store)
        const frames = Array.from({ length: 60 }, (_, i) => wired(20_000_001 + i))
        for (const frame of frames) {
            kept.add(TELEGRAM_MBUS, 0x21, address, frame)
            kept.round()
            ++seconds
        }
        const verdicts = Array.from({ length: kept.newest }, (_, i) => judged(kept, i + 1))
        expect(verdicts.map(({ name }) => name)).toEqual(verdicts.map(() => "signed by the key you named"))
        expect(judgeSeries(verdicts)[0].complete).toBe(true)
        const telegrams = verdicts.flatMap(each => each.telegrams ?? [])
        expect(telegrams.length).toBeGreaterThan(12)
        telegrams.forEach((each, i) => {
            expect(each).toEqual({
                kind: "mbus",
                meter: address.toString("hex"),
                line: 2,
                protection: "decrypted",
                atSeconds: 1_800_000_000 + i,
                octets: frames[i],
            })
        })
        expect(verdicts[0].reading["1"]).toContain("1-0:1.8.0")
    })

    it("are no proof with one octet changed, wherever it is in what was signed", () => {
        const kept = lists(new MemoryStore(0x20000))
        kept.add(TELEGRAM_MBUS, 0, address, wired(1))
        for (let i = 0; i < 20 && kept.newest === 0; ++i) {
            kept.add(TELEGRAM_MBUS, 0, address, wired(2 + i))
            kept.round()
        }
        const whole = judged(kept, 1)
        expect(whole.name).toBe("signed by the key you named")
        const signed = whole.proof?.signed ?? Buffer.alloc(0)
        for (let at = 0; at < signed.length; at += 23) {
            const bad = judged(kept, 1, sml => {
                sml[sml.indexOf(signed) + at] ^= 4
            })
            expect({ at, name: bad.name }).toEqual({ at, name: "not proof" })
        }
    })

    it("lose no telegram that was taken and double none, wherever the power goes", () => {
        for (let cutAfter = 0; cutAfter < 9000; cutAfter += 197) {
            const store = new MemoryStore(0x20000)
            store.cutAfter = cutAfter
            let taken = 0
            try {
                const kept = lists(store)
                for (let i = 0; i < 40; ++i) {
                    kept.add(TELEGRAM_MBUS, 0, address, wired(1000 + i))
                    ++taken
                    kept.round()
                }
            } catch (error) {
                if (!(error instanceof Cut)) throw error
            }
            store.cutAfter = Number.POSITIVE_INFINITY
            const after = lists(store)
            const verdicts = Array.from({ length: after.newest }, (_, i) => judged(after, i + 1))
            const found = verdicts.flatMap(each => each.telegrams ?? []).map(each => each.octets.toString("hex"))
            const wanted = Array.from({ length: found.length }, (_, i) => wired(1000 + i).toString("hex"))
            expect(found).toEqual(wanted)
            expect([taken, taken + 1]).toContain(found.length)
            if (verdicts.length > 1) expect(judgeSeries(verdicts)[0].complete).toBe(true)
        }
    })

    it("wait for a telegram that is still being written", () => {
        let ms = 0
        installPlatform({ ...nodePlatform, millis: () => ms })
        const store = new MemoryStore(0x20000)
        const kept = lists(store)
        const write = store.write.bind(store)
        store.write = (at, data) => {
            store.write = write
            write(at, data.subarray(0, 20))
            // Other fibers run between the pieces.
            kept.add(TELEGRAM_MBUS, 0, address, wired(2))
            ms += 600_000
            kept.round()
            write(at + 20, data.subarray(20))
        }
        kept.add(TELEGRAM_MBUS, 0, address, wired(1))
        expect(kept.newest).toBe(0)
        kept.round()
        installPlatform(nodePlatform)
        expect(judged(kept, 1).telegrams?.map(each => each.octets)).toEqual([wired(1), wired(2)])
    })

    it("refuse a telegram longer than any list", () => {
        expect(() => lists(new MemoryStore(0x20000)).add(TELEGRAM_WMBUS, 0, address, Buffer.alloc(1480))).toThrow(
            `E${Code.TelegramTooLong}`,
        )
    })
})

describe("telegrams of radio meters", () => {
    const records = Buffer.from(sampleRecords.slice(0, 3).join(""), "hex")
    const frame = (content: Buffer) => wirelessFrame(content, 0)
    const meter = frame(mode5(records, 9)).subarray(2, 10)
    let side: FieldSide
    let store: MemoryStore

    function sideWith(secret: Buffer | undefined): FieldSide {
        store = new MemoryStore(0x20000)
        const keys = new KeyRing(store)
        if (secret) keys.put(Held.MBusKey, Buffer.from(meter), secret)
        const trust = clock as unknown as MucCommandTrust
        const logbook = new Logbook(store, logbookAt, logbookEntries, "ring", trust)
        return new FieldSide(new FieldMeters(store, 1), lists(store), keys, trust, logbook, { get: () => "" })
    }

    const counted = () =>
        Object.fromEntries(
            countedCodes.flatMap((code, i) => (side.counts[i] > 0 ? [[Code[code], side.counts[i]]] : [])),
        )
    /** Codes of the logbook's entries about telegrams. */
    const entered = () => {
        const codes: string[] = []
        for (let number = 0; number <= side.logbook.newest(); ++number) {
            const entry = side.logbook.read(number)
            if (entry && entry[13] === Event.telegramRefused) codes.push(Code[entry.readUInt16BE(16)])
        }
        return codes
    }

    it("are taken with mode 5 and mode 7 where the key is right; who is heard first joins the list", () => {
        side = sideWith(meterKey)
        wirelessTelegram(side, 0, frame(mode5(records, 9)))
        expect(side.meters.count(0)).toBe(1)
        seconds += 3600
        wirelessTelegram(side, 0, frame(mode7(records, 77)))
        expect([side.taken, counted()]).toEqual([2, {}])
    })

    it("give four results: wrong key, damaged, unsupported mode, replayed", () => {
        side = sideWith(meterKey)
        const good = frame(mode7(records, 77))
        wirelessTelegram(side, 0, good)
        seconds += 7200
        wirelessTelegram(side, 0, good)
        expect(counted()).toEqual({ MbusReplayed: 1 })
        const damaged = Buffer.from(frame(mode7(records, 78)))
        damaged[damaged.length - 1] ^= 1
        wirelessTelegram(side, 0, damaged)
        const other = Buffer.from(frame(mode5(records, 10)))
        other[other.indexOf(0x7a, 10) + 4] = 0x04
        wirelessTelegram(side, 0, other)
        expect(counted()).toEqual({ MbusReplayed: 1, MbusMac: 1, MbusMode: 1 })
        expect(entered()).toEqual(["MbusReplayed", "MbusMac", "MbusMode"])
        expect(side.taken).toBe(1)
        side = sideWith(Buffer.alloc(16, 0x55))
        wirelessTelegram(side, 0, good)
        expect([counted(), side.taken, side.meters.count(0)]).toEqual([{ MbusWrongKey: 1 }, 0, 0])
    })

    it("of meters whose key is not held are nobody's concern", () => {
        side = sideWith(undefined)
        wirelessTelegram(side, 0, frame(mode5(records, 9)))
        expect([side.taken, counted(), side.meters.count(0)]).toEqual([0, {}, 0])
    })

    it("are replayed also where the power was away in between", () => {
        side = sideWith(meterKey)
        wirelessTelegram(side, 0, frame(mode7(records, 77)))
        const trust = clock as unknown as MucCommandTrust
        const logbook = new Logbook(store, logbookAt, logbookEntries, "ring", trust)
        side = new FieldSide(new FieldMeters(store, 1), lists(store), new KeyRing(store), trust, logbook, {
            get: () => "",
        })
        seconds += 7200
        wirelessTelegram(side, 0, frame(mode7(records, 77)))
        expect([side.taken, counted()]).toEqual([0, { MbusReplayed: 1 }])
    })
})

it("the list of meters survives a power cut at every octet, is full at its end, and gives places free", () => {
    const store = new MemoryStore(0x20000)
    const meters = new FieldMeters(store, 1)
    const who = (i: number) => Buffer.from(`meter ${i}`)
    for (let i = 0; i < mostFieldMeters; ++i) expect(meters.set(0, 0, who(i), 60, seconds)).toBe(i)
    expect(meters.set(0, 0, who(999), 60, seconds)).toBe(-1)
    meters.plan.remove(7)
    const before = Buffer.from(store.cells)
    for (let cutAfter = 0; cutAfter < 48; ++cutAfter) {
        before.copy(store.cells)
        store.cutAfter = cutAfter
        try {
            new FieldMeters(store, 1).set(0, 0, who(999), 60, seconds)
        } catch (error) {
            if (!(error instanceof Cut)) throw error
        }
        store.cutAfter = Number.POSITIVE_INFINITY
        const again = new FieldMeters(store, 1)
        expect([again.count(0), again.find(0, who(8))]).toEqual([again.find(0, who(999)) === 7 ? 250 : 249, 8])
    }
})
