import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest"
import { getProcParameterReq, setProcParameterReq } from "../../firmware/core/sml-messages.ts"
import {
    activatePath,
    announcePath,
    attestationPath,
    blockPath,
    confirmPath,
    logbookPath,
    octetsLeaf,
    rollbackPath,
    softwarePath,
} from "../../firmware/core/sml-parameter.ts"
import { Signer } from "../../tools/authority/signer.ts"
import { serverIdOf } from "../../tools/calibrate/station.ts"
import { attentionsOf, itemsOf } from "../../tools/campaign/ledger.ts"
import { constantLoad } from "../../tools/chips/load-source.ts"
import { layOutDesk } from "../../tools/desk/calibrated.ts"
import { Desk, mucServerId } from "../../tools/desk/desk.ts"
import { bringProvider } from "../../tools/desk/line-operator.ts"
import { partyTls } from "../../tools/desk/parties.ts"
import { UplinkPeer } from "../../tools/desk/uplink-peer.ts"
import { serveControl } from "../../tools/headend/control.ts"
import { listMessage } from "../../tools/headend/requests.ts"
import { ExchangeError, readResponse, treeValues } from "../../tools/headend/responses.ts"
import { run } from "../../tools/operator/command.ts"
import { waiting } from "../../tools/operator/software.ts"
import { announcementOf, blocksOf, blockValue, digestOf } from "../../tools/package/delivery.ts"
import { versionNumber } from "../../tools/package/manifest.ts"
import { countersign, submit } from "../../tools/package/steps.ts"
import { issueWithKey } from "../../tools/pki/issue.ts"
import { readAnswer } from "../../tools/verify/answer-file.ts"
import { readSmlFile } from "../../tools/verify/sml-file.ts"
import { readSoftware, type SlotContent, type SoftwareState } from "../../tools/verify/software.ts"
import { compile } from "../../tools/vm/compile.ts"

/** A meter and a MUC that runs modules in one virtual world; the test is the operator. */

const serial = 4719
const id = Buffer.from(serverIdOf(serial), "hex")
const muc = Buffer.from(mucServerId(1), "hex")

let folder: string
let desk: Desk
let peer: UplinkPeer
let operator: Signer
let asked = 0

beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "plomb-muc-modules-"))
    await layOutDesk(folder, [serial], "vm", "H5/W4")
    const pki = join(folder, "pki")
    peer = new UplinkPeer(pki)
    await peer.listen()
    desk = await Desk.open({
        serials: [serial],
        state: join(folder, "state"),
        load: constantLoad(1500),
        clock: "virtual",
        startMs: Date.now(),
        restart: true,
    })
    await issueWithKey(pki, "operator", "alice")
    const { key, chain } = partyTls(pki, "operator")
    operator = new Signer({ key, chain, nowSeconds: () => desk.world.nowMs() / 1000 })
    await desk.start()
    await desk.world.runFor(3000)
    await bringProvider(desk, pki)
    await desk.startMuc({ program: "muc_modules", uplink: `127.0.0.1:${peer.port}` })
}, 600_000)

beforeEach(({ onTestFailed }) => {
    onTestFailed(() => console.error(log().slice(-60).join("\n")))
})

afterAll(async () => {
    await desk?.close()
    await peer?.close()
    rmSync(folder, { recursive: true, force: true })
})

/** The answer to a command; again where the connection ended meanwhile. */
async function ask(target: Buffer, message: (id: Buffer) => Buffer): Promise<Buffer> {
    for (let tries = 0; ; ++tries) {
        await desk.world.runUntil(() => peer.connected(), 300_000)
        const request = Buffer.from([0xad, ++asked >> 8, asked & 0xff])
        peer.ask(operator.command(target, [message(request)], { requestId: request }))
        await desk.world.runUntil(() => peer.files.length > 0 || !peer.connected(), 60_000)
        if (peer.files.length > 0) return peer.files[0]
        expect(tries).toBeLessThan(3)
    }
}

/** Reads the meter, again while the line is taken by what the module asks. */
async function reading(): Promise<void> {
    for (let tries = 0; ; ++tries) {
        const raw = await ask(id, request => listMessage(request, id))
        if (itemsOf(raw).length === 1) return
        expect(tries).toBeLessThan(10)
        await desk.world.runFor(2000)
    }
}

const order = async (path: Buffer, value: Buffer) =>
    attentionsOf(await ask(muc, request => setProcParameterReq(request, muc, [path], octetsLeaf(path, value))))

async function state(path = softwarePath): Promise<SoftwareState> {
    const raw = await ask(muc, request => getProcParameterReq(request, muc, [path]))
    return readSoftware(readAnswer(readSmlFile(raw)).outcomes[0].tree!)!
}

const log = () => desk.muc!.board.log
const states = async () => (await state()).slots.map(slot => slot.state)
const ended = () => log().filter(words => /panic|OutOfMemory/.test(words))

const isOf = (slot: SlotContent, file: Buffer) => slot.digest === digestOf(file).toString("hex")

/** Waits for what an order leads to, at a start of the program. */
async function until(done: (state: SoftwareState) => boolean): Promise<void> {
    for (let tries = 0; !done(await state()); ++tries) {
        expect(tries).toBeLessThan(30)
        await desk.world.runFor(2000)
    }
}

async function packageOf(version: string, change: (text: string) => string, floor = "1.0.0"): Promise<Buffer> {
    const module = "firmware/modules/polling.ts"
    const { bytecode } = await compile(module, {
        version,
        change: (path, text) => (path.endsWith(module) ? change(text) : text),
        changeName: `${version} ${change}`,
    })
    const stated = {
        component: "muc",
        metrological: false,
        name: "polling",
        version: versionNumber(version),
        hardware: "plomb-muc-1",
        approval: "",
        runtime: versionNumber("2.16.0"),
        floor: versionNumber(floor),
    }
    return Buffer.from((await countersign(submit(stated, Buffer.from(bytecode)), join(folder, "pki"))).octets())
}

/** Brings a package, with a reading between two blocks; with `cut` the power goes after the first, and what is missing is brought then. */
async function deliver(file: Buffer, cut = false): Promise<void> {
    expect(await order(announcePath, announcementOf(file))).toEqual(["fd00"])
    const blocks = blocksOf(file)
    for (let i = 0; i < blocks.length; ++i) {
        if ((await state()).blocks[i]) continue
        expect(await order(blockPath, blockValue(i, blocks[i]))).toEqual(["fd00"])
        await reading()
        if (i > 0 || !cut) continue
        await desk.muc!.board.powerOff()
        await desk.muc!.board.powerOn()
        expect((await state()).blocks).toEqual(blocks.map((_, block) => block === 0))
    }
    await until(({ slots }) => slots.some(slot => isOf(slot, file) && slot.state === "verified"))
}

/** Activates a package, and waits until it runs or has failed. */
async function activate(file: Buffer): Promise<void> {
    expect(await order(activatePath, digestOf(file))).toEqual(["fd00"])
    await until(({ slots, running }) => {
        const slot = slots.findIndex(each => isOf(each, file))
        return slots[slot].state === "failed" || running === slot
    })
}

test("the module that ships runs, and is told of", async () => {
    const { running, identification, slots, floor } = await state()
    expect({ running, identification, floor }).toEqual({
        running: "built in",
        identification: "polling 1.0.0",
        floor: 0,
    })
    expect(slots.map(slot => slot.state)).toEqual(["empty", "empty", "empty"])
}, 300_000)

test("a package comes in blocks while readings go on, is judged at a restart, tried, confirmed, and stays", async () => {
    // It says whom it heard.
    const second = await packageOf("2.0.0", text =>
        text.replace(
            "    const turn = turns[index]",
            "    if (ok) host.silent(index, 77)\n    const turn = turns[index]",
        ),
    )
    await deliver(second)
    expect(await states()).toContain("verified")
    await activate(second)
    expect(await state()).toMatchObject({ identification: "polling 2.0.0", floor: 0 })
    await desk.world.runUntil(() => log().includes("meter 0 silent, 77 times"), 60_000)
    expect(await order(confirmPath, digestOf(second))).toEqual(["fd00"])
    expect(await state()).toMatchObject({ identification: "polling 2.0.0", floor: 0x010000 })
    await desk.muc!.board.powerOff()
    await desk.muc!.board.powerOn()
    const attested = await state(attestationPath)
    expect(attested).toMatchObject({ identification: "polling 2.0.0", floor: 0x010000 })
    expect(attested.slots.map(slot => slot.state)).toContain("active")
    expect(ended()).toEqual([])
}, 600_000)

test("a module that loops on trial: what ran before runs again, and the logbook says why", async () => {
    const bad = await packageOf("3.0.0", text =>
        text.replace("let best = -1", "let best = -1\n    while (count >= 0) {}"),
    )
    await deliver(bad, true)
    await activate(bad)
    await until(({ identification }) => identification === "polling 2.0.0")
    expect((await state()).identification).toBe("polling 2.0.0")
    expect((await state()).slots.map(({ reason }) => reason)).toContain(2560)
    const raw = await ask(muc, request => getProcParameterReq(request, muc, [logbookPath]))
    const entries = treeValues(readResponse(raw), 40).filter(entry => entry.length === 74)
    expect(entries.map(entry => [entry[13], entry.readUInt16BE(16)])).toContainEqual([15, 2560])
    expect(ended()).toEqual([])
}, 600_000)

test("put back by order: the module that ships runs again", async () => {
    const { slots } = await state()
    const active = slots.find(slot => slot.state === "active")!
    expect(await order(rollbackPath, Buffer.from(active.digest, "hex"))).toEqual(["fd00"])
    await until(({ running }) => running === "built in")
    expect(await state()).toMatchObject({ running: "built in", identification: "polling 1.0.0", floor: 0x010000 })
    await reading()
}, 600_000)

/** `plomb operator software …` through a head-end's control socket, while the world goes on. */
async function command(...words: string[]): Promise<string> {
    const lines: string[] = []
    vi.spyOn(console, "log").mockImplementation(line => void lines.push(`${line}`))
    // The command lives in the world's time.
    vi.useFakeTimers({ toFake: ["Date"], now: desk.world.nowMs() })
    vi.spyOn(waiting, "sleep").mockImplementation(async ms => {
        await desk.world.runFor(ms)
        vi.setSystemTime(desk.world.nowMs())
    })
    const socket = join(folder, "control.sock")
    const target = muc.toString("hex")
    const control = await serveControl(socket, {
        meters: () => [{ serverId: id.toString("hex"), muc: target }],
        mucs: () => [target],
        relay: async (_, request) => {
            if (!peer.connected()) throw new ExchangeError("unreachable", "the MUC is away")
            peer.ask(request)
            await desk.world.runUntil(() => peer.files.length > 0 || !peer.connected(), 60_000)
            if (peer.files.length === 0) throw new ExchangeError("timeout", "no answer")
            return { raw: peer.files[0], muc: target }
        },
    })
    try {
        const whole = [...words, "--as", join(folder, "pki/operators/alice"), "--through", socket, "--target", target]
        expect(await run(["software", ...whole]), lines.join("\n")).toBe(0)
    } finally {
        await control.close()
        vi.useRealTimers()
        vi.restoreAllMocks()
    }
    return lines.join("\n")
}

test("plomb operator delivers, activates, lists and takes back", async () => {
    await desk.world.runUntil(() => peer.connected(), 300_000)
    const path = join(folder, "fourth.plomb")
    writeFileSync(path, await packageOf("4.0.0", text => text.replace("host.period() * 4", "host.period() * 3")))
    expect(await command("deliver", path)).toContain("The device has verified it")
    const activated = await command("activate", path)
    expect(activated).toContain("polling 1.0.0 -> polling 4.0.0")
    expect(activated).toContain("It says under its signature that polling 4.0.0 runs.")
    expect(activated).toContain("polling 4.0.0 stays.")
    expect(await command("list")).toMatch(/running {3}polling 4\.0\.0/)
    const back = await command("rollback")
    expect(back).toMatch(/running {3}polling 1\.0\.0, as shipped/)
    expect(back).toContain("E5241")
}, 600_000)
