import { pbkdf2Sync } from "node:crypto"
import { beforeEach, expect, test } from "vitest"
import { AccessTable } from "../../firmware/core/access"
import { passwordHolds } from "../../firmware/core/password"
import { installPlatform, platform } from "../../firmware/core/platform"
import { SignedListFields, signedListRes, TIME_TRUSTED, writeSignedList } from "../../firmware/core/signed-list"
import { closeRes, openRes } from "../../firmware/core/sml-messages"
import { writeFile } from "../../firmware/core/sml-transport"
import { CustomerPage } from "../../firmware/muc/customer"
import { KeptReadings } from "../../firmware/muc/kept"
import { KeyRing } from "../../firmware/muc/keys"
import { accessAt, keptPlaces, lockoutAt } from "../../firmware/muc/layout"
import { Lockout } from "../../firmware/muc/lockout"
import { MeterList } from "../../firmware/muc/meters"
import { OwnReadings } from "../../firmware/muc/own-readings"
import { passwordVerifier } from "../../tools/commission/secrets"
import { Cut, MemoryStore } from "../helpers/memory-store"
import { ModelTime } from "../helpers/model-time"

const password = "Grüße, meter"
const verifier = passwordVerifier(password)
const meter = Buffer.from("0a01504c42010000126a", "hex")
const other = Buffer.from("0a01504c42010000126b", "hex")
const day = 86_400
const noon = 20_000 * day + day / 2

let time: ModelTime
let store: MemoryStore
let locks: number[]
let own: string

beforeEach(() => {
    time = new ModelTime()
    time.install()
    store = new MemoryStore(0x20000)
    locks = []
    own = ""
    new KeyRing(store).put(35, Buffer.alloc(0), verifier)
    new MeterList(store).add(meter)
})

/** A signed list's file, as a meter answers it. */
function list(id: Buffer, seconds: number, drawn: number): Buffer {
    const fields = new SignedListFields()
    fields.serverId = id
    fields.timeQuality = TIME_TRUSTED
    fields.seconds = seconds
    fields.drawn = drawn
    fields.power = -12_345
    fields.checksum = Buffer.alloc(32)
    fields.previous = Buffer.alloc(32)
    const tid = Buffer.from([7])
    const message = signedListRes(tid, undefined, writeSignedList(fields), Buffer.alloc(64, 5))
    return writeFile([openRes(tid, undefined, tid, id, undefined), message, closeRes(tid)])
}

/** The page as after a start of the board. */
function started() {
    const lockout = new Lockout(store, failures => locks.push(failures))
    const settings = { get: (key: string) => (key === "own_meters" ? own : "") }
    const kept = new KeptReadings(store)
    const page = new CustomerPage(
        new OwnReadings(kept, new AccessTable(store, accessAt), new MeterList(store), settings),
        new KeyRing(store),
        lockout,
    )
    return { kept, page, lockout }
}

function ask(page: CustomerPage, request: string | Buffer): { status: string; head: string; body: Buffer } {
    const parts: Buffer[] = []
    page.respond(Buffer.from(request as string, "latin1"), octets => parts.push(octets))
    const all = Buffer.concat(parts)
    const end = all.indexOf("\r\n\r\n")
    const head = all.subarray(0, end).toString()
    return { status: head.split("\r\n")[0].slice(9, 12), head, body: all.subarray(end + 4) }
}

const authorization = (words: string) => `Authorization: Basic ${Buffer.from(words).toString("base64")}\r\n`
const get = (path: string, words = `user:${password}`) =>
    `GET ${path} HTTP/1.1\r\nHost: muc\r\n${authorization(words)}\r\n`

test("PBKDF2-HMAC-SHA-256 as node:crypto makes it, and a comparison over all octets", () => {
    for (const [words, iterations] of [
        ["", 1],
        ["a", 2],
        [password, 1000],
        ["x".repeat(100), 33],
    ] as const) {
        const head = Buffer.alloc(20, 9)
        head.writeUInt32BE(iterations)
        const made = Buffer.concat([head, pbkdf2Sync(words, head.subarray(4), iterations, 32, "sha256")])
        expect(passwordHolds(made, Buffer.from(words))).toBe(true)
        expect(passwordHolds(made, Buffer.from(`${words} `))).toBe(false)
        for (const at of [20, 51]) {
            const changed = Buffer.from(made)
            changed[at] ^= 1
            expect(passwordHolds(changed, Buffer.from(words))).toBe(false)
        }
    }
})

test("a verifier that is damaged, or that would keep the board busy for ever, is nobody's", () => {
    for (const head of ["00000000", "ffffffff", "00004e21"])
        expect(passwordHolds(Buffer.from(head + "00".repeat(48), "hex"), Buffer.from(""))).toBe(false)
    expect(passwordHolds(Buffer.alloc(51), Buffer.from(""))).toBe(false)
})

test("three wrong passwords: nobody is let in for 30 s, then 60, 120 … an hour; the right one begins anew", () => {
    const { lockout } = started()
    const wrong = () => lockout.lets(verifier, Buffer.from("wrong"))
    const waits: number[] = []
    for (let i = 0; i < 12; ++i) {
        expect(wrong()).toBe(false)
        waits.push(lockout.secondsLeft())
        time.ms += lockout.secondsLeft() * 1000
    }
    expect(waits).toEqual([0, 0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600])
    expect(locks).toEqual([3, 4, 5, 6, 7, 8, 9, 10, 11, 12])
    expect(lockout.lets(verifier, Buffer.from(password))).toBe(true)
    wrong()
    expect(lockout.secondsLeft()).toBe(0)
})

test("the count is durable before the password is looked at: cutting the power then wins no try, and a start begins the wait anew", () => {
    const { lockout } = started()
    for (let i = 0; i < 3; ++i) lockout.lets(verifier, Buffer.from("wrong"))
    time.ms += 29_000
    expect(started().lockout.secondsLeft()).toBe(30)
    expect(started().lockout.secondsLeft()).toBe(30)
    // The power goes as soon as the password is looked at.
    const again = started().lockout
    time.ms += 30_000
    expect(again.secondsLeft()).toBe(0)
    const machine = platform()
    let macs = 0
    installPlatform({
        ...machine,
        hmacSha256: (key, parts) => {
            if (++macs === 2) throw new Cut()
            return machine.hmacSha256(key, parts)
        },
    })
    expect(() => again.lets(verifier, Buffer.from("cut"))).toThrow(Cut)
    time.install()
    expect(started().lockout.secondsLeft()).toBe(60)
})

test("a count that is damaged locks for the longest time", () => {
    store.write(lockoutAt, Buffer.from("a5ffffffffffff", "hex"))
    expect(started().lockout.secondsLeft()).toBe(3600)
})

test("a password that was right is known for ten minutes without being reckoned again, another is not", () => {
    const { lockout } = started()
    expect(lockout.lets(verifier, Buffer.from(password))).toBe(true)
    const before = store.written
    expect(lockout.lets(verifier, Buffer.from(password))).toBe(true)
    expect(store.written).toBe(before)
    expect(lockout.lets(passwordVerifier("new"), Buffer.from(password))).toBe(false)
    time.ms += 700_000
    expect(lockout.lets(verifier, Buffer.from(password))).toBe(true)
    expect(store.written).toBeGreaterThan(before)
})

test.each([
    ["GET / HTTP/1.1\r\nHost: muc\r\n\r\n", "401"],
    ["GET / HTTP/1.1\r\nHost: muc\r\nAuthorization: Bearer eA==\r\n\r\n", "401"],
    ["GET / HTTP/1.1\r\nHost: muc\r\nAuthorization: Basic !!!!\r\n\r\n", "401"],
    [`GET / HTTP/1.1\r\nHost: muc\r\nAuthorization: Basic ${"QUFB".repeat(60)}\r\n\r\n`, "401"],
    [get("/", `admin:${password}`), "401"],
    [get("/", "user:wrong"), "401"],
    [get("/", `user:${password}x`), "401"],
    [get("/").replace("Host: muc\r\n", ""), "400"],
    [get("/").replace("Host", "Host: a\r\nHost"), "400"],
    [get("/").replace("GET /", "GET"), "400"],
    [get("/").replace("GET /", "GET / /"), "400"],
    [get("/").replace("muc", "m\0c"), "400"],
    [get("/").replace("muc", "müc"), "400"],
    ["\r\n\r\n", "400"],
    [get("/").replace("1.1", "2.0"), "505"],
    [get("/").replace("GET", "HEAD"), "405"],
    [get("/").replace("GET", "POST"), "405"],
    [get("/").replace("Host", "Content-Length: 1\r\nHost"), "413"],
    [get("/").replace("Host", "Transfer-Encoding: chunked\r\nHost"), "413"],
    [get("/").replace("muc", "m".repeat(2000)), "431"],
    [get("/evidence/1"), "404"],
    [get("/evidence/../"), "404"],
    [get("/readings.json?x"), "404"],
    [get("/"), "200"],
    [get("/").replace("Host", "HOST").replace("Authorization", "authorization"), "200"],
])("%j is answered %s", (request, status) => {
    const { head, body } = ask(started().page, request)
    expect(head.split("\r\n")[0].slice(9, 12)).toBe(status)
    expect(head).toContain("Connection: close")
    expect(head).toContain("Cache-Control: no-store")
    if (status === "401") expect(head).toContain('WWW-Authenticate: Basic realm="Plomb", charset="UTF-8"')
    if (status !== "200") expect(body.toString()).toContain(status)
})

test("any octets are answered, and never with readings", () => {
    const { kept, page } = started()
    kept.take(list(meter, noon, 1), noon)
    const good = Buffer.from(get("/readings.json", "user:wrong"))
    for (let i = 0; i < 3000; ++i) {
        const mutated = Buffer.from(good.subarray(0, 1 + ((i * 37) % good.length)))
        for (let k = 0; k < 3; ++k) mutated[(i * (k + 11)) % mutated.length] = (i * 7 + k * 91) & 0xff
        expect(ask(page, mutated.toString("latin1")).status).toMatch(/^[45]/)
    }
})

test("while it is locked, the right password is refused with 429 and the seconds to wait", () => {
    const { page } = started()
    for (let i = 0; i < 3; ++i) expect(ask(page, get("/", "user:wrong")).status).toBe("401")
    const { status, head } = ask(page, get("/"))
    expect([status, /Retry-After: (\d+)/.exec(head)?.[1]]).toEqual(["429", "30"])
    time.ms += 30_000
    expect(ask(page, get("/")).status).toBe("200")
})

test("without a password installed nobody is let in", () => {
    new KeyRing(store).put(35, Buffer.alloc(0), Buffer.alloc(0))
    expect(ask(started().page, get("/")).status).toBe("503")
})

const readings = (page: CustomerPage) => JSON.parse(ask(page, get("/readings.json")).body.toString())

test("readings as they came: values with all decimals, evidence octet for octet", () => {
    const { kept, page } = started()
    expect(readings(page)).toEqual([])
    const file = list(meter, noon, 123_456_789)
    kept.take(file, noon + 3)
    expect(readings(page)).toEqual([
        {
            meter: meter.toString("hex"),
            time: noon,
            drawn_kWh: 12_345.6789,
            fedIn_kWh: 0,
            power_W: -1234.5,
            evidence: "/evidence/1",
        },
    ])
    expect(ask(page, get("/")).body.toString()).toContain("<td>12345.6789<td>0.0000<td>-1234.5<td><a href=/evidence/1>")
    const { body, head } = ask(page, get("/evidence/1"))
    expect(body.equals(file)).toBe(true)
    expect(head).toContain(`filename="${meter.toString("hex")}-1.sml"`)
})

test("of each day the first stays, and the newest of all; what is older than there is room for goes", () => {
    const { kept, page } = started()
    for (let d = 0; d < 30; ++d)
        for (let hour = 0; hour < 24; ++hour) {
            const at = noon - day / 2 + d * day + hour * 3600
            kept.take(list(meter, at, d * 24 + hour), at)
        }
    const held = readings(page).map((each: any) => Math.round(each.drawn_kWh * 10_000))
    expect(held).toHaveLength(keptPlaces)
    expect(held.slice(0, 4)).toEqual([29 * 24 + 23, 29 * 24, 28 * 24, 27 * 24])
})

test("power that goes at any write loses at most the reading that was being replaced", () => {
    const { kept } = started()
    for (let i = 0; i < 3; ++i) kept.take(list(meter, noon + i, i), noon + i)
    const before = Buffer.from(store.cells)
    const next = list(meter, noon + 9, 9)
    const whole = (() => {
        const from = store.written
        kept.take(next, noon + 9)
        return store.written - from
    })()
    expect(whole).toBeGreaterThan(0)
    for (let cut = 0; cut < 1200; cut += 7) {
        store.cells.set(before)
        store.cutAfter = cut
        try {
            new KeptReadings(store).take(next, noon + 9)
        } catch {
            // Power is gone.
        }
        store.cutAfter = Number.POSITIVE_INFINITY
        const held = readings(started().page)
        expect(held.length).toBeGreaterThanOrEqual(1)
        for (const each of held) expect([0, 2, 9]).toContain(Math.round(each.drawn_kWh * 10_000))
    }
})

test("only the customer's own meters are shown: the only one of the line, else those of the setting", () => {
    const { kept, page } = started()
    kept.take(list(other, noon, 2), noon)
    kept.take(list(meter, noon, 1), noon)
    const shown = () => readings(page).map((each: any) => each.meter)
    expect(shown()).toEqual([meter.toString("hex")])
    expect(ask(page, get("/evidence/1")).status).toBe("404")
    new MeterList(store).add(other)
    const two = started().page
    expect(readings(two)).toEqual([])
    own = other.toString("hex").toUpperCase()
    expect(readings(two).map((each: any) => each.meter)).toEqual([other.toString("hex")])
})

test("rows of the access table: without readCurrent nothing, without readProfile the newest of each meter only", () => {
    const { kept } = started()
    for (let d = 0; d < 4; ++d) kept.take(list(meter, noon + d * day, d), noon + d * day)
    const table = new AccessTable(store, accessAt)
    const without = (fn: number) => {
        const octets = Buffer.from(table.octets())
        octets.writeUInt32BE(table.version() + 1, 0)
        octets.writeUInt16BE(octets.readUInt16BE(4 + 2 * fn) & ~0x100, 4 + 2 * fn)
        table.replace(octets, 3, 1)
    }
    expect(readings(started().page)).toHaveLength(4)
    without(1)
    expect(readings(started().page).map((each: any) => each.evidence)).toEqual(["/evidence/4"])
    expect(ask(started().page, get("/evidence/2")).status).toBe("404")
    without(0)
    expect(ask(started().page, get("/")).status).toBe("403")
})
