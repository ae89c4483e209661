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
        get heardAt() {
            return heardAt
        },
    } as unknown as SecureUplink
    const initialization = {
        due: () => more.due?.() ?? false,
        run: () => void asked.push(time.ms / minute),
    } as unknown as Initialization
    const router = {} as Router
    expect(() => serveUplink(uplink, router, { host: "h", port: 1 }, initialization)).toThrow(Over)
    return { connected: connected.map(Math.floor), asked: asked.map(Math.floor) }
}

test("a connection on which nothing came for ten minutes is made anew", () => {
    expect(run(35 * minute, {}).connected).toEqual([0, 10, 21, 31])
    expect(log).toContain("uplink h:1 resumed")
    expect(log).toContain("uplink h:1 silent: connecting anew")
})

test("one on which something comes now and then stays", () => {
    let turns = 0
    const receive = () => (++turns % 15 === 0 ? Buffer.from([0]) : undefined)
    expect(run(120 * minute, { receive }).connected).toEqual([0])
})

test("the directory is asked at the start and when its time has come, with the uplink closed, which then comes back at once", () => {
    let next = 0
    const connect = () => {
        next = time.ms + 5 * minute
    }
    expect(run(9 * minute, { due: () => time.ms >= next, connect })).toEqual({ connected: [0, 5], asked: [0, 5] })
    expect(log).toContain("uplink h:1 closed for the directory")
})

test("a head-end that refuses is called again after 1, 2, 4 … 60 seconds", () => {
    const at: number[] = []
    run(5 * minute, {
        connect: () => {
            at.push(Math.round(time.ms / 1000))
            fail(Code.LinkRefused, -1, "a connection", "none")
        },
    })
    expect(at).toEqual([0, 1, 3, 7, 15, 31, 63, 123, 183, 243])
})
