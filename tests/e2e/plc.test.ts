import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { plcLinkSize } from "../../firmware/core/plc-link.ts"
import { getProcParameterReq, setProcParameterReq } from "../../firmware/core/sml-messages.ts"
import { keysPath, logbookPath, octetsLeaf } from "../../firmware/core/sml-parameter.ts"
import { Signer } from "../../tools/authority/signer.ts"
import { serverIdOf } from "../../tools/calibrate/station.ts"
import { attentionsOf, itemsOf } from "../../tools/campaign/ledger.ts"
import { constantLoad } from "../../tools/chips/load-source.ts"
import { PlcLine } from "../../tools/chips/plc-line.ts"
import { plainFormat } from "../../tools/chips/uart-frame.ts"
import { kind } from "../../tools/commission/secrets.ts"
import { installMuc, layOutReadable } from "../../tools/desk/calibrated.ts"
import { Desk, mucServerId } from "../../tools/desk/desk.ts"
import { displayOn, roomDb } from "../../tools/desk/display.ts"
import { partyTls } from "../../tools/desk/parties.ts"
import { PlcAdapter } from "../../tools/desk/plc-adapter.ts"
import { UplinkPeer } from "../../tools/desk/uplink-peer.ts"
import { listMessage } from "../../tools/headend/requests.ts"
import { readResponse, treeValues } from "../../tools/headend/responses.ts"
import { sealKey } from "../../tools/operator/seal.ts"
import { readAnswer } from "../../tools/verify/answer-file.ts"
import { readSmlFile } from "../../tools/verify/sml-file.ts"
import { MemoryStore } from "../helpers/memory-store.ts"
import { read } from "../helpers/seen.ts"

/** Meter, MUC with its PLC modem, and display in one virtual world; the test is head-end and security management. */

const serial = 4718
const id = Buffer.from(serverIdOf(serial), "hex")
const muc = Buffer.from(mucServerId(1), "hex")
const keys = ["5a", "a5"].map(octet => octet.repeat(32))
const userKey = "3c".repeat(32)
const password = "correct horse"

let folder: string
let desk: Desk
let line: PlcLine
let peer: UplinkPeer
let display: Awaited<ReturnType<typeof displayOn>>
/** All octets that went over the power line so far, as somebody in the house next door has them. */
const overheard: number[] = []
let operator: Signer
let management: Signer
let asked = 0
const requestId = () => Buffer.from([0xac, ++asked >> 8, asked & 0xff])

beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "plomb-plc-"))
    await layOutReadable(folder, [serial])
    const pki = join(folder, "pki")
    const state = join(folder, "state")
    await installMuc(state, pki, 1, undefined, [], password)
    peer = new UplinkPeer(pki)
    await peer.listen()
    desk = await Desk.open({
        serials: [serial],
        state,
        load: constantLoad(1500),
        clock: "virtual",
        startMs: Date.now(),
    })
    const signerOf = (party: string) => {
        const { key, chain } = partyTls(pki, party)
        return new Signer({ key, chain, nowSeconds: () => desk.world.nowMs() / 1000 })
    }
    operator = signerOf("operator")
    management = signerOf("security-management")
    line = new PlcLine({ clock: desk.world, seed: 5 })
    await desk.start()
    await desk.startMuc({ program: "muc_plc", uplink: `127.0.0.1:${peer.port}`, plc: line })
    display = await displayOn(desk.world, line, { key1plc: keys[0] })
    await display.board.powerOn()
}, 600_000)

afterAll(async () => {
    await display?.board.powerOff()
    await desk?.close()
    await peer?.close()
    rmSync(folder, { recursive: true, force: true })
})

/** The answer to a command. */
async function ask(by: Signer, target: Buffer, message: (id: Buffer) => Buffer): Promise<Buffer> {
    await desk.world.runUntil(() => peer.connected(), 300_000)
    const request = requestId()
    peer.ask(by.command(target, [message(request)], { requestId: request }))
    await desk.world.runUntil(() => peer.files.length > 0, 60_000)
    return peer.files[0]
}

const reading = () => ask(operator, id, request => listMessage(request, id))

/** Has the meter read, until it gives a list: at first nobody has told it who may. */
async function readMeter(): Promise<void> {
    for (let tries = 0; itemsOf(await reading()).length === 0; ++tries) {
        expect(tries).toBeLessThan(20)
        await desk.world.runFor(5000)
    }
}

/** Security management gives the MUC a key of the display, or of the customer's adapter. */
async function putKey(key: string, of = kind.key1Plc): Promise<string[]> {
    const get = (request: Buffer) => getProcParameterReq(request, muc, [keysPath])
    const { outcomes } = readAnswer(readSmlFile(await ask(management, muc, get)))
    const sealed = sealKey(outcomes[0].tree!.value, muc, of, Buffer.alloc(0), Buffer.from(key, "hex"))
    const set = (request: Buffer) => setProcParameterReq(request, muc, [keysPath], octetsLeaf(keysPath, sealed))
    return attentionsOf(await ask(management, muc, set))
}

const log = () => desk.muc!.board.log
const shown = () => {
    const { panel } = display
    return [read(panel, 0, 3), read(panel, 3, 1), read(panel, 4, 2), read(panel, 6, 1)]
}

test("with a key that the MUC does not hold the display shows nothing but that", async () => {
    await readMeter()
    await desk.world.runFor(40_000)
    expect(read(display.panel, 2, 2)).toBe("NO DATA")
    expect(log().join("\n")).toContain("E3970")
}, 300_000)

test("once security management has given the MUC its key over the uplink, it shows what the meter measures", async () => {
    expect(await putKey(keys[0])).toEqual(["fd00"])
    await desk.world.runFor(65_000)
    await readMeter()
    await desk.world.runFor(15_000)
    const [power, direction, energy, span] = shown()
    expect(Math.abs(Number.parseInt(power, 10) - 1500)).toBeLessThan(20)
    expect([direction, energy]).toEqual(["drawn now", expect.stringMatching(/^0\.0\d kWh$/)])
    expect(span).toMatch(/^since \d\d:\d\d$|^today$/)
}, 300_000)

test("another key, at the MUC first and at the display later: never without data, and the former key is nowhere", async () => {
    expect(await putKey(keys[1])).toEqual(["fd00"])
    await readMeter()
    await desk.world.runFor(15_000)
    expect(shown()[0]).toMatch(/^1[45]\d\d W$/)
    await display.board.powerOff()
    display.settings.key1plc = keys[1]
    await display.board.powerOn()
    await desk.world.runFor(70_000)
    await readMeter()
    await desk.world.runFor(15_000)
    expect(shown()[0]).toMatch(/^1[45]\d\d W$/)
    for (const fram of [desk.muc!.bench.fram, display.fram]) {
        const cells = Buffer.from(fram.memory)
        expect(cells.includes(Buffer.from(keys[0], "hex"))).toBe(false)
        expect(cells.includes(Buffer.from(keys[1], "hex"))).toBe(true)
    }
}, 300_000)

test("after a power cut of the MUC there is a picture again, with what it kept, and the day goes on", async () => {
    await desk.muc!.board.powerOff()
    await desk.world.runFor(5000)
    await desk.muc!.board.powerOn()
    await display.board.powerOff()
    await display.board.powerOn()
    await desk.world.runFor(10_000)
    // Nobody has read the meter since: the MUC tells what it kept, with its age.
    expect(shown()[0]).toMatch(/^1[45]\d\d W$/)
    expect(shown()[2]).toMatch(/^0\.[01]\d kWh$/)
    await readMeter()
    await desk.world.runFor(15_000)
    expect(shown()[0]).toMatch(/^1[45]\d\d W$/)
}, 300_000)

test("what the display said is recorded next door and played again: the MUC does nothing, and enters it", async () => {
    const tap = line
        .join(roomDb)
        .wire.tap({ format: plainFormat(line.baud), onOctets: octets => void overheard.push(...octets) })
    await display.board.powerOff()
    await desk.world.runFor(1000)
    await display.board.powerOn()
    // It asks as soon as it runs.
    await desk.world.runFor(1500)
    const frames = Buffer.from(overheard)
    expect(frames.length).toBeGreaterThan(30)
    const replays = () => log().filter(words => words.includes("E3971")).length
    expect(replays()).toBe(0)
    await desk.world.runFor(10_000)
    tap.send(frames)
    await desk.world.runFor(5000)
    expect(replays()).toBeGreaterThan(0)
    const get = (request: Buffer) => getProcParameterReq(request, muc, [logbookPath])
    const raw = await ask(operator, muc, get)
    const entries = treeValues(readResponse(raw), 40).filter(entry => entry.length === 74)
    // event refused, of nobody, code
    const codes = entries.filter(entry => entry[13] === 10 && entry[15] === 255).map(entry => entry.readUInt16BE(16))
    expect(codes).toContain(3971)
    expect(codes).toContain(3970)
}, 300_000)

test("a meter that is dead: no value that stands for the present, and since when", async () => {
    await readMeter()
    await desk.world.runFor(15_000)
    expect(shown()[0]).toMatch(/^1[45]\d\d W$/)
    await desk.meters[0].board.powerOff()
    for (let minute = 0; minute < 4; ++minute) {
        expect(itemsOf(await reading())).toEqual([])
        await desk.world.runFor(60_000)
    }
    expect(shown()[0]).toBe("---- W")
    expect(read(display.panel, 7, 1)).toMatch(/^\[NO DATA for [345] min\]$/)
    await desk.meters[0].board.powerOn()
    await desk.world.runFor(5000)
    await readMeter()
    await desk.world.runFor(15_000)
    expect(shown()[0]).toMatch(/^1[45]\d\d W$/)
    expect(log().filter(words => words.startsWith("muc 05"))).toHaveLength(2)
}, 300_000)

/** What the customer's adapter is asked for, while the world goes on. */
const wait = <T>(work: Promise<T>) => desk.world.runWhile(work, 600_000)

test("the customer's adapter reads his meter with his password over the power line, and gets the list as it left the meter", async () => {
    const store = new MemoryStore(plcLinkSize)
    const adapter = new PlcAdapter(desk.world, line, store, Buffer.from(userKey, "hex"))
    await expect(wait(adapter.readings(password))).rejects.toThrow("does not answer")
    expect(await putKey(userKey, kind.key2Plc)).toEqual(["fd00"])
    const raw = await reading()
    const readings = await wait(adapter.readings(password))
    expect(readings[0]).toMatchObject({
        meter: id.toString("hex"),
        watts: expect.closeTo(1500, -2),
        fedInKwh: 0,
        sound: true,
    })
    expect(Math.abs(readings[0].atSeconds! - desk.world.nowMs() / 1000)).toBeLessThan(120)
    const file = await wait(adapter.evidence(password, readings[0].number))
    expect(file.equals(raw)).toBe(true)
    // The display goes on meanwhile.
    expect(shown()[0]).toMatch(/^1[45]\d\d W$/)

    await desk.muc!.board.powerOff()
    await desk.muc!.board.powerOn()
    expect((await wait(adapter.readings(password)))[0].number).toBe(readings[0].number)
    // And after the adapter's own power cut, with what it keeps.
    const again = new PlcAdapter(desk.world, line, store, Buffer.from(userKey, "hex"))
    expect((await wait(again.readings(password))).length).toBe(readings.length)
}, 300_000)

test("wrong passwords lock the adapter out, after a power cut too; the display and the head-end are served on", async () => {
    const adapter = new PlcAdapter(desk.world, line, new MemoryStore(plcLinkSize), Buffer.from(userKey, "hex"))
    for (let i = 0; i < 3; ++i) await expect(wait(adapter.readings(`wrong ${i}`))).rejects.toThrow("WrongPassword")
    await expect(wait(adapter.readings(password))).rejects.toThrow("Locked")
    await desk.muc!.board.powerOff()
    await desk.muc!.board.powerOn()
    await expect(wait(adapter.readings(password))).rejects.toThrow("Locked")
    await readMeter()
    await desk.world.runFor(40_000)
    expect(shown()[0]).toMatch(/^1[45]\d\d W$/)
    expect((await wait(adapter.readings(password)))[0].meter).toBe(id.toString("hex"))
}, 300_000)
