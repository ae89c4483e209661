import { randomBytes } from "node:crypto"
import { beforeEach, describe, expect, test } from "vitest"
import { AccessTable } from "../../firmware/core/access"
import { Ask, Reply, readCustomerAnswer, readingSize, requestOf } from "../../firmware/core/customer-line"
import { Code } from "../../firmware/core/errors"
import {
    floorOf,
    Indicator,
    isQuestion,
    noAge,
    Quality,
    questionOf,
    readValues,
    type Values,
} from "../../firmware/core/indicator"
import { Held } from "../../firmware/core/inventory"
import { Logbook } from "../../firmware/core/logbook"
import { uintBE } from "../../firmware/core/octets"
import { PlcReceiver } from "../../firmware/core/plc-frame"
import { PlcLink, PlcWay, plcLinkSize } from "../../firmware/core/plc-link"
import { SignedListFields, signedListRes, TIME_TRUSTED, writeSignedList } from "../../firmware/core/signed-list"
import { closeRes, openRes } from "../../firmware/core/sml-messages"
import { writeFile } from "../../firmware/core/sml-transport"
import { isEuSummer } from "../../firmware/core/time"
import { Role } from "../../firmware/core/x509-role"
import { CustomerSide } from "../../firmware/muc/customer-side"
import { IndicatorSide } from "../../firmware/muc/indicator-side"
import { KeptReadings } from "../../firmware/muc/kept"
import { KeyExchange } from "../../firmware/muc/key-exchange"
import { KeyRing } from "../../firmware/muc/keys"
import { accessAt, displayDayAt, displayLinkAt, logbookAt, logbookEntries, userLinkAt } from "../../firmware/muc/layout"
import { loggedLockout } from "../../firmware/muc/lockout"
import { MeterList } from "../../firmware/muc/meters"
import { OwnReadings } from "../../firmware/muc/own-readings"
import { PlcEnd, PlcServer } from "../../firmware/muc/plc-server"
import { PlcUart } from "../../hal/plc-uart"
import { passwordVerifier } from "../../tools/commission/secrets"
import { nodeCcm } from "../../tools/node/ccm"
import { sealKey } from "../../tools/operator/seal"
import { Cut, MemoryStore } from "../helpers/memory-store"
import { ModelTime } from "../helpers/model-time"

const none = Buffer.alloc(0)
const key = Buffer.alloc(32, 0x5a)
const otherKey = Buffer.alloc(32, 0xa5)
const meter = Buffer.from("0a01504c42010000126a", "hex")
const other = Buffer.from("0a01504c42010000126b", "hex")
const noon = 20_000 * 86_400 + 43_200

let time: ModelTime
let store: MemoryStore
let own: string

beforeEach(() => {
    time = new ModelTime()
    time.install()
    store = new MemoryStore(0x20000)
    own = ""
    new KeyRing(store).put(Held.DisplayKey, none, key)
    new MeterList(store).add(meter)
})

const now = () => noon + Math.floor(time.ms / 1000)

/** A signed list's file, as a meter answers it. */
function list(pagination: number, drawn: number, more: Partial<SignedListFields> = {}): Buffer {
    const fields = new SignedListFields()
    Object.assign(fields, { serverId: meter, timeQuality: TIME_TRUSTED, seconds: now(), secondsIndex: 5 })
    Object.assign(fields, { pagination, drawn, power: 18_557, checksum: Buffer.alloc(32), previous: Buffer.alloc(32) })
    Object.assign(fields, more)
    const tid = Buffer.from([7])
    const message = signedListRes(tid, undefined, writeSignedList(fields), Buffer.alloc(64, 5))
    return writeFile([openRes(tid, undefined, tid, fields.serverId, undefined), message, closeRes(tid)])
}

/** The MUC's side as after a start of the board; frames that go to it, and those that come. */
function started(display = 2) {
    let coming = none
    const heard = new PlcReceiver()
    const frames: Buffer[] = []
    const port = {
        open: () => {},
        send: (octets: Buffer) => frames.push(...heard.take(octets)),
        receive: () => {
            const octets = coming
            coming = none
            return octets
        },
        sent: () => true,
    }
    const kept = new KeptReadings(store)
    const settings = { get: (name: string) => (name === "own_meters" ? own : "") }
    const side = new IndicatorSide(new Indicator(store, displayDayAt, 60), kept, new MeterList(store), settings)
    const clock = { secondsIndex: () => 1, utcSeconds: now, quality: () => 2 }
    const logbook = new Logbook(store, logbookAt, logbookEntries, "ring", clock)
    const keys = new KeyRing(store)
    const end = new PlcEnd(Held.DisplayKey, displayLinkAt, display, side)
    const visible = new OwnReadings(kept, new AccessTable(store, accessAt), new MeterList(store), settings)
    const customer = new CustomerSide(visible, keys, loggedLockout(store, logbook))
    const ends = [end, new PlcEnd(Held.UserKey, userLinkAt, 3, customer)]
    const server = new PlcServer(new PlcUart(port), ends, store, keys, nodeCcm, logbook)
    return {
        side,
        keys,
        server,
        end,
        logbook,
        frames,
        hear: (octets: Uint8Array) => {
            coming = Buffer.concat([coming, octets])
        },
        take: (raw: Buffer) => {
            const head = kept.take(raw, now())
            if (head) side.see(head, now())
        },
        run: (seconds: number) => {
            const end = time.ms + 1000 * seconds
            while (time.ms < end) server.round()
        },
    }
}

/** The display's link, with a memory of its own. */
function displayLink(withKey = key, address = 2, memory = new MemoryStore(plcLinkSize)): PlcLink {
    const link = new PlcLink(memory, 0, nodeCcm, PlcWay.ToMuc, address, 1)
    link.give(withKey)
    return link
}

/** What the display reads of frames: the newest. */
function shown(link: PlcLink, frames: Buffer[]): Values {
    const all = frames.splice(0).map(frame => readValues(link.open(frame)))
    expect(all.length).toBeGreaterThan(0)
    return all[all.length - 1]
}

const refusals = (log: Logbook) =>
    Array.from({ length: log.newest() }, (_, i) => uintBE(log.read(i + 1)!, 16, 2)).sort()
const question = (link: PlcLink, underNew = false) => link.seal(questionOf(link.floor(), link.floor(true)), underNew)

describe("what the display is told", () => {
    test("nothing where no reading came: honestly no age", () => {
        const muc = started()
        muc.run(2)
        expect(shown(displayLink(), muc.frames)).toMatchObject({ age: noAge, flags: 0 })
    })

    test("power, consumption since the day's first reading, the time of it and its age", () => {
        const muc = started()
        const link = displayLink()
        muc.take(list(1, 100_000))
        muc.run(20)
        muc.take(list(2, 100_250))
        muc.run(15)
        const values = shown(link, muc.frames)
        expect(values).toMatchObject({ power: 18_557, energy: 250, from: noon, time: noon + 20, zone: 60 })
        expect(values.flags).toBe(Quality.TimeKnown | Quality.EnergyKnown)
        muc.run(600)
        expect(shown(link, muc.frames).age).toBeGreaterThan(540)
    })

    test("a list that the meter had stored does not stand for the present, nor one of another meter", () => {
        const muc = started()
        const link = displayLink()
        muc.take(list(7, 5_000))
        muc.run(15)
        expect(shown(link, muc.frames).power).toBe(18_557)
        muc.take(list(6, 4_000, { power: 1, seconds: noon - 900 }))
        muc.take(list(9, 9_000, { power: 2, serverId: other }))
        muc.run(70)
        expect(shown(link, muc.frames)).toMatchObject({ power: 18_557, time: noon })
        muc.take(list(8, 6_000, { power: 3, seconds: noon - 300 }))
        muc.run(15)
        const values = shown(link, muc.frames)
        expect(values.power).toBe(3)
        expect(values.age).toBeGreaterThan(380)
    })

    test("of several meters the one that stands first in own_meters", () => {
        const muc = started()
        const link = displayLink()
        new MeterList(store).add(other)
        own = `${other.toString("hex")},${meter.toString("hex")}`
        muc.take(list(1, 1, { power: 11 }))
        muc.take(list(1, 1, { power: 22, serverId: other }))
        muc.take(list(2, 1, { power: 33 }))
        muc.run(15)
        expect(shown(link, muc.frames).power).toBe(22)
    })

    test("that the meter reports a fault, or that its time is not known", () => {
        const muc = started()
        const link = displayLink()
        muc.take(list(1, 1_000, { status: 0x2 }))
        muc.run(15)
        expect(shown(link, muc.frames).flags & Quality.MeterFault).toBe(Quality.MeterFault)
        muc.take(list(2, 1_000, { status: 0x130 }))
        muc.run(15)
        expect(shown(link, muc.frames).flags & Quality.MeterFault).toBe(0)
        muc.take(list(3, 1_000, { status: 1, timeQuality: 1 }))
        muc.run(15)
        expect(shown(link, muc.frames)).toMatchObject({ flags: Quality.MeterFault, time: 0 })
    })

    test("after a power cut what was kept last, as old as it is, and the day goes on; with a clock that stopped nothing", () => {
        const before = started()
        before.take(list(1, 1_000))
        time.ms += 60_000
        before.take(list(2, 1_500))
        time.ms += 120_000
        const after = started()
        const link = displayLink()
        after.side.recall(now())
        after.run(15)
        const values = shown(link, after.frames)
        expect(values).toMatchObject({ energy: 500, from: noon, time: noon + 60 })
        expect(values.age).toBeGreaterThanOrEqual(120)
        const without = started()
        without.side.recall(0)
        without.run(15)
        expect(shown(link, without.frames).age).toBe(noAge)
    })
})

describe("what comes over the line", () => {
    test("a display that asks is answered at once, from the counter on that it names", () => {
        const muc = started()
        const link = displayLink()
        muc.run(12)
        muc.frames.length = 0
        link.open(displayAnswers(2 ** 50))
        muc.hear(question(link))
        muc.run(1)
        expect(shown(link, muc.frames).age).toBe(noAge)
    })

    /** A frame with a high counter, so that the display's floor lies above the MUC's. */
    function displayAnswers(counter: number): Buffer {
        const sender = new PlcLink(new MemoryStore(plcLinkSize), 0, nodeCcm, PlcWay.FromMuc, 1, 2)
        sender.give(key)
        sender.raise(counter)
        return Buffer.from(sender.seal(Buffer.of(0)).subarray(1, -1))
    }

    test("a frame that is played again is refused and stands in the logbook once, and all of them are counted", () => {
        const muc = started()
        const link = displayLink()
        const asked = question(link)
        muc.hear(asked)
        muc.run(2)
        muc.frames.length = 0
        for (let i = 0; i < 4; ++i) {
            muc.hear(asked)
            muc.run(1)
        }
        expect(muc.frames.length).toBe(0)
        expect(refusals(muc.logbook)).toEqual([Code.PlcReplayed])
        expect(uintBE(muc.logbook.head(), 40, 4)).toBe(3)
        // Also after a power cut.
        const after = started()
        after.run(2)
        after.frames.length = 0
        after.hear(asked)
        after.run(2)
        expect(after.frames.length).toBe(0)
        expect(uintBE(after.logbook.head(), 40, 4)).toBe(4)
    })

    test("a wrong key is refused and entered; garbled frames, noise and a neighbour's are passed over", () => {
        const muc = started()
        muc.run(2)
        muc.frames.length = 0
        muc.hear(question(displayLink(otherKey)))
        muc.run(2)
        expect(refusals(muc.logbook)).toEqual([Code.PlcWrongKey])
        const garbled = question(displayLink())
        garbled[20] ^= 0x10
        for (const octets of [garbled, question(displayLink(key, 3)), randomBytes(3000), Buffer.alloc(9)]) {
            muc.hear(octets)
            muc.run(2)
        }
        const backwards = new PlcLink(new MemoryStore(plcLinkSize), 0, nodeCcm, PlcWay.FromMuc, 2, 1)
        backwards.give(key)
        muc.hear(backwards.seal(questionOf(1, 1)))
        muc.run(2)
        expect(muc.frames.length).toBe(0)
        expect(refusals(muc.logbook)).toEqual([Code.PlcWrongKey])
        muc.hear(question(displayLink()))
        muc.run(2)
        expect(muc.frames.length).toBe(1)
    })

    test("what is sealed by the right key and is no question is refused", () => {
        const muc = started()
        muc.run(2)
        muc.frames.length = 0
        muc.hear(displayLink().seal(Buffer.from("give me the register")))
        muc.run(2)
        expect(muc.frames.length).toBe(0)
        expect(refusals(muc.logbook)).toEqual([])
    })
})

describe("keys", () => {
    test("without one the line is silent, and whatever comes is nobody's", () => {
        new KeyRing(store).put(Held.DisplayKey, none, none)
        const muc = started()
        muc.hear(question(displayLink()))
        muc.run(120)
        expect(muc.frames.length).toBe(0)
        expect(muc.logbook.newest()).toBe(0)
    })

    test("one that is changed goes beside the former until the display has it; one that is removed is gone from the memory", () => {
        const muc = started()
        const link = displayLink()
        muc.run(2)
        shown(link, muc.frames)
        muc.keys.put(Held.DisplayKey, none, otherKey)
        muc.server.rekey(Held.DisplayKey)
        muc.run(61)
        shown(link, muc.frames)
        link.give(otherKey)
        muc.hear(question(link, true))
        muc.run(2)
        shown(link, muc.frames)
        expect([muc.end.link!.keys(), link.keys()]).toEqual([1, 1])
        expect(store.cells.includes(key)).toBe(false)
        muc.keys.put(Held.DisplayKey, none, none)
        muc.server.rekey(Held.DisplayKey)
        muc.run(120)
        expect(muc.frames.length).toBe(0)
        expect(store.cells.includes(otherKey)).toBe(false)
    })

    test("one that was put in again does not repeat a counter", () => {
        const counters = new Set<number>()
        for (let i = 0; i < 5; ++i) {
            const ring = new KeyRing(store)
            ring.put(Held.DisplayKey, none, none)
            started().run(1)
            ring.put(Held.DisplayKey, none, key)
            const muc = started()
            muc.run(130)
            expect(muc.frames.length).toBeGreaterThan(1)
            for (const frame of muc.frames) {
                // Behind the key's number, version, both addresses; stuffing moves nothing but zeros.
                const link = displayLink()
                link.open(frame)
                expect(counters.has(link.floor())).toBe(false)
                counters.add(link.floor())
            }
        }
    })

    test("counters that are damaged end the link, until a new key is ordered", () => {
        started().run(2)
        store.cells.fill(0x77, displayLinkAt + 1, displayLinkAt + plcLinkSize)
        const muc = started()
        muc.run(70)
        expect(muc.frames.length).toBe(0)
        muc.keys.put(Held.DisplayKey, none, otherKey)
        muc.server.rekey(Held.DisplayKey)
        muc.run(2)
        expect(shown(displayLink(otherKey), muc.frames).age).toBe(noAge)
    })

    test("power cuts at any octet while it talks: no counter comes twice, and there is always a next picture", () => {
        const memory = new MemoryStore(plcLinkSize)
        let newest = 0
        for (let cut = 0; cut < 420; cut += 7) {
            store.cutAfter = cut
            try {
                const muc = started()
                for (let i = 0; i < 3; ++i) {
                    muc.take(list(3 * cut + i + 1, 1_000))
                    muc.run(11)
                    const link = displayLink(key, 2, memory)
                    muc.hear(question(link))
                    muc.run(1)
                    for (const frame of muc.frames.splice(0)) {
                        link.open(frame)
                        expect(link.floor()).toBeGreaterThan(newest)
                        newest = link.floor()
                    }
                }
            } catch (error) {
                if (!(error instanceof Cut)) throw error
            }
            store.cutAfter = Number.POSITIVE_INFINITY
            const muc = started()
            const link = displayLink(key, 2, memory)
            muc.hear(question(link))
            muc.run(3)
            const last = muc.frames.pop()!
            expect(readValues(link.open(last)).zone).toBe(60)
            newest = link.floor()
        }
    }, 60_000)
})

describe("the customer", () => {
    const userKey = Buffer.alloc(32, 0x33)
    const password = "correct horse"
    let memory: MemoryStore
    let ids: number
    beforeEach(() => {
        const ring = new KeyRing(store)
        ring.put(Held.DisplayKey, none, none)
        ring.put(Held.UserKey, none, userKey)
        ring.put(Held.UserPassword, none, passwordVerifier(password))
        memory = new MemoryStore(plcLinkSize)
        ids = 0
    })

    type Muc = ReturnType<typeof started>
    const adapter = () => {
        const link = new PlcLink(memory, 0, nodeCcm, PlcWay.ToMuc, 3, 1)
        link.give(userKey)
        return link
    }
    /** What the MUC answers to octets on the line. */
    function exchange(muc: Muc, link: PlcLink, message: Buffer): Buffer | undefined {
        muc.hear(link.seal(message))
        muc.run(2)
        const frames = muc.frames.splice(0)
        expect(frames.length).toBeLessThan(2)
        return frames.length > 0 ? link.open(frames[0]) : undefined
    }
    const ask = (muc: Muc, link: PlcLink, words: string, what = Ask.Reading, number = 0, offset = 0) =>
        readCustomerAnswer(exchange(muc, link, requestOf(++ids, what, number, offset, Buffer.from(words)))!)

    test("with his password he sees his readings, the newest first, and gets each list as it left the meter", () => {
        const muc = started()
        const link = adapter()
        const files = [list(1, 1_000), list(2, 2_000, { seconds: now() + 86_400 })]
        muc.take(files[0])
        time.ms += 86_400_000
        muc.take(files[1])
        muc.take(list(1, 5, { serverId: other }))
        const first = ask(muc, link, password)
        expect([first.reply, first.count, first.id]).toEqual([Reply.Here, 2, 1])
        expect(first.content.length).toBe(readingSize)
        expect(first.content.subarray(16, 26).equals(meter)).toBe(true)
        expect(first.content.readBigUInt64LE(28)).toBe(2_000n)
        const second = ask(muc, link, password, Ask.Reading, 1)
        expect(second.content.readBigUInt64LE(28)).toBe(1_000n)
        expect(ask(muc, link, password, Ask.Reading, 2)).toMatchObject({ reply: Reply.None, count: 2 })
        const number = second.content.readUInt32LE(0)
        let file = none
        while (file.length < files[0].length) {
            const part = ask(muc, link, password, Ask.Evidence, number, file.length)
            expect([part.reply, part.count]).toEqual([Reply.Here, files[0].length])
            file = Buffer.concat([file, part.content])
        }
        expect(file.equals(files[0])).toBe(true)
        for (const [asked, offset] of [
            [number, file.length],
            [number, 0xffff],
            [99, 0],
        ])
            expect(ask(muc, link, password, Ask.Evidence, asked, offset).reply).toBe(Reply.None)
        // The third list was the neighbour's meter.
        expect(ask(muc, link, password, Ask.Evidence, first.content.readUInt32LE(0) + 1).reply).toBe(Reply.None)
        expect(ask(muc, link, password, 7 as Ask).reply).toBe(Reply.None)
    })

    test("wrong passwords lock him out, over a power cut too, and the lock-out is in the logbook", () => {
        let muc = started()
        const link = adapter()
        muc.take(list(1, 1_000))
        for (let i = 0; i < 3; ++i)
            expect(ask(muc, link, `wrong ${i}`)).toMatchObject({ reply: Reply.WrongPassword, content: none })
        const locked = ask(muc, link, password)
        expect(locked).toMatchObject({ reply: Reply.Locked, content: none })
        expect(locked.count).toBeGreaterThan(20)
        expect(refusals(muc.logbook)).toEqual([Code.PasswordLocked])
        muc = started()
        muc.run(1)
        exchange(muc, link, questionOf(link.floor(), link.floor()))
        link.raise(2 ** 51)
        expect(ask(muc, link, password).reply).toBe(Reply.Locked)
        time.ms += 31_000
        expect(ask(muc, link, password).reply).toBe(Reply.Here)
    })

    test("a request that is sent again, as after an answer that was lost, is no second try", () => {
        const muc = started()
        const link = adapter()
        const request = requestOf(7, Ask.Reading, 0, 0, Buffer.from("wrong"))
        for (let i = 0; i < 5; ++i)
            expect(readCustomerAnswer(exchange(muc, link, request)!).reply).toBe(Reply.WrongPassword)
        expect(ask(muc, link, password).reply).toBe(Reply.None)
    })

    test("without a password installed, or with no right in the access table, nothing", () => {
        const ring = new KeyRing(store)
        ring.put(Held.UserPassword, none, none)
        const muc = started()
        const link = adapter()
        muc.take(list(1, 1_000))
        expect(ask(muc, link, password)).toMatchObject({ reply: Reply.NoPassword, content: none })
        ring.put(Held.UserPassword, none, passwordVerifier(password))
        expect(ask(muc, link, password).reply).toBe(Reply.Here)
        const table = new AccessTable(store, accessAt)
        const octets = Buffer.from(table.octets())
        octets.writeUInt32BE(2, 0)
        octets.writeUInt16BE(octets.readUInt16BE(4) & ~0x100, 4)
        table.replace(octets, Role.securityManagement, 1)
        expect(ask(started(), adapter(), password)).toMatchObject({ reply: Reply.Denied, content: none })
    })

    test("his frame played again is not answered with readings, and what was read of it opens nothing", () => {
        const muc = started()
        const link = adapter()
        muc.take(list(1, 1_000))
        const asked = link.seal(requestOf(1, Ask.Reading, 0, 0, Buffer.from(password)))
        expect(asked.includes(password)).toBe(false)
        muc.hear(asked)
        muc.run(2)
        expect(muc.frames.length).toBe(1)
        muc.frames.length = 0
        time.ms += 10_000
        for (let i = 0; i < 3; ++i) {
            muc.hear(asked)
            muc.run(1)
        }
        // One floor at most in five seconds.
        expect(muc.frames.length).toBe(1)
        expect(isQuestion(link.open(muc.frames[0]))).toBe(true)
        expect(refusals(muc.logbook)).toEqual([Code.PlcReplayed])
    })

    test("the display's key opens nothing here, and the display gets nothing of the customer's", () => {
        const muc = started()
        muc.take(list(1, 1_000))
        const stranger = new PlcLink(new MemoryStore(plcLinkSize), 0, nodeCcm, PlcWay.ToMuc, 3, 1)
        stranger.give(key)
        muc.hear(stranger.seal(requestOf(1, Ask.Reading, 0, 0, Buffer.from(password))))
        muc.run(2)
        expect(muc.frames.length).toBe(0)
        expect(refusals(muc.logbook)).toEqual([Code.PlcWrongKey])
    })

    test("after a power cut of the MUC an adapter whose counter is too low is told so, and goes on", () => {
        const before = started()
        const link = adapter()
        before.take(list(1, 1_000))
        expect(ask(before, link, password).reply).toBe(Reply.Here)
        const after = started()
        after.run(1)
        let told: Buffer | undefined
        for (let i = 0; i < 3 && !told; ++i) {
            told = exchange(after, link, questionOf(link.floor(), link.floor()))
            after.run(5)
        }
        link.raise(floorOf(told!))
        expect(ask(after, link, password).reply).toBe(Reply.Here)
    })

    test("anything else that is sealed by his key is refused, and ends nothing", () => {
        const muc = started()
        const link = adapter()
        muc.take(list(1, 1_000))
        for (let i = 0; i < 200; ++i) {
            const octets = randomBytes(1 + (i % 100))
            octets[0] = i % 8
            const answer = exchange(muc, link, octets)
            if (answer && !isQuestion(answer))
                expect([Reply.WrongPassword, Reply.Locked]).toContain(readCustomerAnswer(answer).reply)
        }
        time.ms += 4_000_000
        expect(ask(muc, link, password).reply).toBe(Reply.Here)
    })
})

describe("summer time", () => {
    const inBrussels = (seconds: number, options: Intl.DateTimeFormatOptions) =>
        new Intl.DateTimeFormat("en-GB", { timeZone: "Europe/Brussels", ...options }).format(new Date(1000 * seconds))

    test("is that of the European Union, as the time zone data base has it, hour by hour around each change", () => {
        for (let year = 2024; year < 2060; ++year)
            for (const month of [0, 2, 9, 11])
                for (let hour = 0; hour < 31 * 24; ++hour) {
                    const at = Date.UTC(year, month, 1, hour) / 1000
                    const local = Number(inBrussels(at, { hour: "2-digit", hourCycle: "h23" }))
                    const ahead = (local - (hour % 24) + 24) % 24
                    expect(isEuSummer(at), `${year} ${month} ${hour}`).toBe(ahead === 2)
                }
    }, 60_000)

    test.each([
        ["2027-03-28", 23],
        ["2027-10-31", 25],
        ["2027-07-01", 24],
    ])("%s has one beginning, and %i hours", (date, hours) => {
        const indicator = new Indicator(store, displayDayAt, 60, true)
        const noonThere = Date.parse(`${date}T11:00:00Z`) / 1000
        const days = new Map<number, number>()
        for (let at = noonThere - 30 * 3600; at < noonThere + 30 * 3600; at += 600) {
            indicator.take(at, true, 0, at, true)
            const values = readValues(indicator.due(true)!)
            if (inBrussels(at, { dateStyle: "short" }) === inBrussels(noonThere, { dateStyle: "short" }))
                days.set(values.from, (days.get(values.from) ?? 0) + 1)
            expect(values.energy).toBe(at - values.from)
        }
        expect([...days.values()]).toEqual([hours * 6])
        const [from] = days.keys()
        expect(inBrussels(from, { timeStyle: "short" })).toBe("00:00")
    })
})

test("an exchange of a key keeps its pair from what TLS makes in advance, for a minute; a handshake ends it", () => {
    const made: number[] = []
    const secret = Buffer.alloc(32, 3)
    const inner = {
        prepare: () => made.push(time.ms),
        begin: () =>
            Buffer.from(
                `${"6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"}4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5`,
                "hex",
            ),
        agree: () => secret,
    }
    const id = Buffer.from("05000000000001", "hex")
    const exchange = new KeyExchange(inner, id)
    exchange.prepare()
    exchange.offer()
    exchange.prepare()
    expect(made.length).toBe(1)
    time.advance(60_000)
    exchange.prepare()
    expect(made.length).toBe(2)
    exchange.offer()
    exchange.begin()
    exchange.prepare()
    expect(made.length).toBe(3)
    // What is sealed to a pair that is gone opens nothing, whatever the agreement gives.
    const offered = exchange.offer()
    const sealed = sealKey(offered, id, Held.DisplayKey, none, key)
    expect(() => exchange.open(sealed)).toThrow()
    expect(() => exchange.open(Buffer.alloc(63))).toThrow()
})
