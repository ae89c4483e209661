import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { Code, fail } from "../../firmware/core/errors"
import type { Router } from "../../firmware/muc/answer"
import type { Initialization } from "../../firmware/muc/initialization"
import type { SecureUplink } from "../../firmware/muc/secure-uplink"
import { serveUplink } from "../../firmware/muc/uplink"
import { ModelTime } from "../helpers/model-time"

/** Ends the loop that has no end. */
class Over extends Error {}

const time = new ModelTime()
const minute = 60_000
let log: string[]

beforeEach(() => {
    time.ms = 0
    time.install()
    log = []
    vi.spyOn(Math, "random").mockReturnValue(1)
    vi.spyOn(console, "log").mockImplementation(line => void log.push(String(line)))
})

afterEach(() => {
    vi.restoreAllMocks()
})

/** Runs the uplink for so long; the minutes at which it connected and the directory was asked. */
function run(
    ms: number,
    more: { due?: () => boolean; connect?: () => void; receive?: () => Buffer | undefined | null },
) {
    const connected: number[] = []
    const asked: number[] = []
    let heardAt = 0
    const uplink = {
        connect: () => {
            if (time.ms >= ms) throw new Over()
            connected.push(time.ms / minute)
            more.connect?.()
            heardAt = time.ms
        },
        receive: (timeoutMs: number) => {
            if (time.ms >= ms) throw new Over()
            const octets = more.receive?.()
            if (octets === undefined) time.advance(timeoutMs)
            else heardAt = time.ms
            return octets
        },
        resumed: () => connected.length > 1,
        close: () => {},
        outdated: () => false,
        get heardAt() {
            return heardAt
        },
    } as unknown as SecureUplink
    const initialization = {
        due: () => more.due?.() ?? false,
        run: () => void asked.push(time.ms / minute),
    } as unknown as Initialization
    const router = {} as Router
    expect(() => serveUplink(uplink, router, { get: () => "h:1" }, initialization)).toThrow(Over)
    return { connected: connected.map(Math.floor), asked: asked.map(Math.floor) }
}

test("a connection on which nothing ever comes is made anew after 2 minutes, then 4, 8 and every 10", () => {
    expect(run(40 * minute, {}).connected).toEqual([0, 2, 6, 14, 24, 35])
    expect(log).toContain("uplink h:1 resumed")
    expect(log).toContain("uplink h:1 silent: connecting anew")
})

/** What a head-end that says something every `everyMs` sends, as long as `speaks`. */
function polls(everyMs: number, speaks = () => true) {
    let next = 0
    return () => {
        if (time.ms < next || !speaks()) return undefined
        next = time.ms + everyMs
        return Buffer.from([0])
    }
}

for (const seconds of [10, 60, 100, 150, 300])
    test(`a head-end that asks every ${seconds} s keeps its connection once that is known`, () => {
        const { connected } = run(180 * minute, { receive: polls(seconds * 1000) })
        expect(connected.filter(at => at > 10)).toEqual([])
    })

test("the silence that is borne is four of the head-end's pauses: one of 60 s is missed in 4 minutes, one of 10 s in 40 s", () => {
    for (const [pauseMs, missedMs] of [
        [60_000, 240_000],
        [10_000, 40_000],
    ]) {
        time.ms = 0
        const gone = 30 * minute
        const at: number[] = []
        const connect = () => at.push(time.ms)
        run(40 * minute, { connect, receive: polls(pauseMs, () => time.ms < gone) })
        const [missed] = at.filter(each => each > gone)
        expect(missed).toBeGreaterThan(gone + missedMs - pauseMs)
        expect(missed).toBeLessThan(gone + missedMs + 15_000)
    }
})

test("the directory is asked at the start and when its time has come, with the uplink closed, which then comes back at once", () => {
    let next = 0
    const connect = () => {
        next = time.ms + 5 * minute
    }
    const due = () => time.ms >= next
    const came = run(9 * minute, { due, connect, receive: polls(minute) })
    expect(came).toEqual({ connected: [0, 5], asked: [0, 5] })
    expect(log).toContain("uplink h:1 closed for the directory")
})

/** Seconds at which a head-end is called that does this with each call. */
function calls(fails: () => void, draw: number): number[] {
    vi.spyOn(Math, "random").mockReturnValue(draw)
    const at: number[] = []
    run(5 * minute, {
        connect: () => {
            at.push(time.ms / 1000)
            fails()
        },
        receive: () => null,
    })
    return at
}

test("a head-end that refuses is called again after 1, 2, 4 … 60 seconds, less up to half of it drawn by chance", () => {
    const refuse = () => fail(Code.LinkRefused, -1, "a connection", "none")
    expect(calls(refuse, 1)).toEqual([0, 1, 3, 7, 15, 31, 63, 123, 183, 243])
    time.ms = 0
    expect(calls(refuse, 0).slice(0, 7)).toEqual([0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5])
})

test("one that takes the call and closes without a word is not called more often than that", () => {
    expect(calls(() => {}, 1)).toEqual([0, 1, 3, 7, 15, 31, 63, 123, 183, 243])
})
