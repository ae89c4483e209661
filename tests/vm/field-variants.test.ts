import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, onTestFinished, test } from "vitest"
import { DlmsKeys } from "../../firmware/core/dlms-security"
import { fieldMetersPath } from "../../firmware/core/sml-parameter"
import { FieldMeters } from "../../firmware/muc/field-meters"
import { crlsOf } from "../../tools/calibrate/issuance.ts"
import { meterKey, mode7, sampleRecords, wirelessFrame } from "../../tools/campaign/mbus-seeds.ts"
import { DlmsMeter, dlmsMeterTitle } from "../../tools/chips/dlms-meter.ts"
import { IecMeter } from "../../tools/chips/iec-meter.ts"
import { generalCiphered, hdlcUi, llcOfServer, notification, p1Text } from "../../tools/chips/push-meter.ts"
import { WmbusModule } from "../../tools/chips/wmbus-module.ts"
import { kind } from "../../tools/commission/secrets.ts"
import { installMuc } from "../../tools/desk/calibrated.ts"
import { mucServerId } from "../../tools/desk/desk.ts"
import { FieldDesk } from "../../tools/desk/field-desk.ts"
import { partyTls } from "../../tools/desk/parties.ts"
import { HeadEnd } from "../../tools/headend/headend.ts"
import type { StoredReading } from "../../tools/headend/store.ts"
import { initPki } from "../../tools/pki/init.ts"
import { telegramReadings } from "../../tools/verify/telegram-list.ts"
import { MemoryStore } from "../helpers/memory-store.ts"

const id = mucServerId(1)

/** An installed MUC with this row's image, and a head-end that it is connected to. */
async function stage(
    variant: string,
    meters: string[] = [],
    { key = meterKey, settings = {} }: { key?: Buffer; settings?: Record<string, string> } = {},
) {
    const folder = mkdtempSync(join(tmpdir(), "plomb-variant-"))
    const pki = join(folder, "pki")
    await initPki(pki)
    const secrets = meters.map(address => ({
        key: { kind: kind.mBus, address },
        name: address,
        value: () => key,
    }))
    await installMuc(join(folder, "state"), pki, 1, undefined, secrets)
    const log: string[] = []
    let now = () => Date.now() / 1000
    const headEnd = new HeadEnd({
        store: join(folder, "evidence"),
        tls: partyTls(pki, "operator"),
        anchors: [readFileSync(join(pki, "ca-root", "cert.pem"), "utf8")],
        crls: () => crlsOf(pki, ["ca-root", "manufacturer"]),
        nowSeconds: () => now(),
        timeoutMs: 120_000,
    })
    const { port } = await headEnd.listen(0)
    const desk = await FieldDesk.open({
        state: join(folder, "state"),
        variant,
        settings: { uplink: `127.0.0.1:${port}`, period: "1", ...settings },
        startMs: Date.now(),
        onLog: line => log.push(line),
    })
    now = () => desk.world.nowMs() / 1000
    onTestFinished(async () => {
        await desk.close()
        await headEnd.close()
        rmSync(folder, { recursive: true, force: true })
    })
    const { world } = desk
    const within = <T>(promise: Promise<T>) => world.runWhile(promise, Number.MAX_SAFE_INTEGER)
    return { desk, world, headEnd, log, within }
}

test("wireless M-Bus: a telegram is opened with the installed key, signed as received and proved; replay and wrong key are counted", async () => {
    const records = Buffer.from(sampleRecords.slice(0, 3).join(""), "hex")
    const good = wirelessFrame(mode7(records, 77), 0)
    const { desk, world, headEnd, within } = await stage("vm_wmbus", [good.subarray(2, 10).toString("hex")])
    const radio = new WmbusModule(desk.wires[0], world, "amb8465")
    await desk.board.powerOn()
    await within(headEnd.waitForMeter(id, 600_000))
    await world.runUntil(() => radio.mode !== undefined, 60_000)
    radio.air(good, 0xf0)
    await world.runFor(70_000)
    radio.air(good, 0xf0)
    await world.runFor(5000)
    const damaged = Buffer.from(wirelessFrame(mode7(records, 78), 0))
    damaged[damaged.length - 1] ^= 1
    radio.air(damaged, 0xf0)
    await world.runFor(130_000)
    const { verdicts } = await within(headEnd.pull(id))
    expect(verdicts.map(({ name }) => name)).toEqual(["proof"])
    expect(verdicts[0].telegrams).toMatchObject([{ kind: "wmbus", protection: "MAC holds", octets: Buffer.from(good) }])
    const [counted] = await within(headEnd.parameter(id, fieldMetersPath))
    const words = Array.from({ length: counted.length / 4 }, (_, i) => counted.readUInt32BE(4 * i))
    // Taken; then silent, garbled, another, no key, wrong key, MAC, replayed, mode.
    expect([words[0], ...words.slice(2, 10)]).toEqual([1, 0, 0, 0, 0, 0, 1, 1, 0])
}, 300_000)

test("IEC 62056-21: a meter alone on its line is found, read at its rate, signed and proved with its values", async () => {
    const { desk, world, headEnd, log, within } = await stage("vm_iec62056")
    new IecMeter(desk.wires[0], { address: "1", identification: "ABC5meter", data: () => "1.8.0(000123.45*kWh)\r\n" })
    await desk.board.powerOn()
    await within(headEnd.waitForMeter(id, 600_000))
    await world.runFor(200_000)
    const { verdicts } = await within(headEnd.pull(id))
    expect([verdicts.map(({ name }) => name), log.filter(line => line.includes("panic"))]).toEqual([["proof"], []])
    expect(verdicts[0].telegrams?.[0].kind).toBe("iec62056")
    expect(verdicts[0].reading["1"]).toContain("1-0:1.8.0*255 123450 Wh")
}, 300_000)

test("P1 and DLMS push: an hour of encrypted telegrams on two lines, each minute's signed as it came and proved; replays are counted", async () => {
    const keys = { encryption: Buffer.alloc(16, 0x11), authentication: Buffer.alloc(16, 0xd2) }
    const key = Buffer.concat([keys.encryption, keys.authentication])
    const titles = ["5341470000000001", "4b464d0000000002"].map(each => Buffer.from(each, "hex"))
    const { desk, world, headEnd, log, within } = await stage(
        "vm_p1",
        titles.map(title => title.toString("hex")),
        { key, settings: { parity0: "0" } },
    )
    const meters = [
        { baud: 9600, dataBits: 8, parity: "none" },
        { baud: 2400, dataBits: 8, parity: "even" },
    ] as const
    const taps = meters.map((format, line) => desk.wires[line].tap({ format: { ...format, stopBits: 1 } }))
    /** What each meter said, by its name in the lists. */
    const said = new Map<string, { octets: string; energy: number }[]>()
    const says = (line: number, name: string, octets: Buffer, energy: number) => {
        taps[line].send(octets)
        said.set(name, [...(said.get(name) ?? []), { octets: octets.toString("hex"), energy }])
    }
    const p1 = (energy: number) =>
        p1Text(["/KFM5KAIFA-METER", "0-0:96.1.1(4B384547)", `1-0:1.8.1(${String(energy).padStart(6, "0")}.000*kWh)`])
    const push = (counter: number) =>
        generalCiphered(notification(counter, { "0100010800ff": 1000 + counter }), titles[1], counter, keys)
    await desk.board.powerOn()
    await within(headEnd.waitForMeter(id, 600_000))
    const verdicts: StoredReading["verdicts"] = []
    headEnd.on("reading", (stored: StoredReading) => verdicts.push(...stored.verdicts))
    const heaps: number[] = []
    for (let minute = 1; minute <= 60; ++minute) {
        says(0, titles[0].toString("hex"), generalCiphered(p1(minute), titles[0], minute, keys), minute * 1000)
        // Of the frames one in six has been on the line before.
        const replayed = minute % 6 === 0 ? minute - 1 : minute
        const frame = hdlcUi(Buffer.concat([llcOfServer, push(replayed)]), Buffer.from("0223", "hex"))
        says(1, titles[1].toString("hex"), frame, 1000 + replayed)
        await world.runFor(60_000)
        heaps.push(desk.board.heap()?.free ?? 0)
        // The first list is signed in the third minute.
        if (minute === 3 || minute % 5 === 0) await within(headEnd.pull(id))
    }
    await world.runFor(150_000)
    await within(headEnd.pull(id))
    expect(log.filter(line => line.includes("panic"))).toEqual([])
    expect([...new Set(verdicts.map(({ name }) => name))]).toEqual(["proof"])
    const telegrams = verdicts.flatMap(each => each.telegrams ?? [])
    for (const [name, all] of said) {
        const own = telegrams.filter(({ meter }) => meter === name)
        const wanted = name === titles[1].toString("hex") ? 50 : 60
        expect({ name, count: new Set(own.map(each => each.octets.toString("hex"))).size }).toEqual({
            name,
            count: wanted,
        })
        for (const each of own) {
            const of = all.find(({ octets }) => octets === each.octets.toString("hex"))
            const readings = telegramReadings(each, key)
            if (typeof readings === "string") throw new Error(readings)
            expect(readings.map(({ value }) => value)).toContain(String(of?.energy))
            expect(each.protection).toBe("MAC holds")
        }
    }
    const [counted] = await within(headEnd.parameter(id, fieldMetersPath))
    const words = Array.from({ length: counted.length / 4 }, (_, i) => counted.readUInt32BE(4 * i))
    // Taken; then silent, garbled, another, no key, wrong key, MAC, replayed, mode.
    expect([words[0], ...words.slice(2, 10)]).toEqual([110, 0, 0, 0, 0, 0, 0, 10, 0])
    expect(Math.min(...heaps)).toBeGreaterThan(30_000)
}, 600_000)

test("DLMS over HDLC: an hour of two meters that are asked, one alone and in plain, one ciphered, each reading signed as it came and proved", async () => {
    const keys = new DlmsKeys(Buffer.alloc(16, 1), Buffer.alloc(16, 2))
    const key = Buffer.concat([keys.encryption, keys.authentication])
    const { desk, world, headEnd, log, within } = await stage("vm_dlms", [dlmsMeterTitle], { key })
    new DlmsMeter(desk.wires[0], { pushMs: 0 })
    new DlmsMeter(desk.wires[1], { pushMs: 0, keys })
    // As the command for path 70 says it.
    const { memory } = desk.bench.fram
    const store = new MemoryStore(memory.length)
    store.cells.set(memory)
    new FieldMeters(store, 2).set(1, 17, Buffer.from(dlmsMeterTitle, "hex"), 1, Math.floor(world.nowMs() / 1000))
    memory.set(store.cells)
    const verdicts: StoredReading["verdicts"] = []
    headEnd.on("reading", (stored: StoredReading) => verdicts.push(...stored.verdicts))
    await desk.board.powerOn()
    await within(headEnd.waitForMeter(id, 600_000))
    const heaps: number[] = []
    for (let minute = 1; minute <= 60; ++minute) {
        await world.runFor(60_000)
        heaps.push(desk.board.heap()?.free ?? 0)
        if (minute % 3 === 0) await within(headEnd.pull(id))
    }
    expect(log.filter(line => line.includes("panic"))).toEqual([])
    expect([...new Set(verdicts.map(({ name }) => name))]).toEqual(["proof"])
    const telegrams = verdicts.flatMap(each => each.telegrams ?? [])
    for (const [line, meter, protection] of [
        [0, "", "none"],
        [1, dlmsMeterTitle, "MAC holds"],
    ] as const) {
        const own = telegrams.filter(each => each.line === line)
        expect(own.length).toBeGreaterThan(55)
        for (const each of own) {
            expect([each.kind, each.meter, each.protection]).toEqual(["dlms", meter, protection])
            expect(telegramReadings(each, key)).toContainEqual(
                expect.objectContaining({ obis: "1-0:2.8.0*255", value: "250000", unit: "Wh" }),
            )
        }
    }
    const [counted] = await within(headEnd.parameter(id, fieldMetersPath))
    const words = Array.from({ length: counted.length / 4 }, (_, i) => counted.readUInt32BE(4 * i))
    // Silent, garbled, another, no key, wrong key, MAC, replayed, mode, other.
    expect(words.slice(2, 11)).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0])
    expect(Math.min(...heaps)).toBeGreaterThan(25_000)
}, 600_000)
