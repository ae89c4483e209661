import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest"
import { Event } from "../../firmware/core/logbook"
import { SlotState } from "../../firmware/core/slots"
import * as paths from "../../firmware/core/sml-parameter"
import { produceIdentity } from "../../firmware/meter/calibration"
import { Step } from "../../firmware/meter/identity"
import { Status } from "../../firmware/meter/status"
import type { BuiltIn } from "../../hal/machine"
import { versionNumber } from "../../tools/package/manifest.ts"
import { Package } from "../../tools/package/package.ts"
import { readCertificates } from "../../tools/pki/certificates.ts"
import { HssKey } from "../../tools/pki/hss.ts"
import { initPki } from "../../tools/pki/init.ts"
import { openKey } from "../../tools/pki/keys.ts"
import { compile } from "../../tools/vm/compile.ts"
import { shipped } from "../../tools/within/built-in.ts"
import { meterId, setParameter, signerFrom } from "../helpers/commands"
import { CutStore, Device, sha256 } from "../helpers/meter-device"
import { metrologyModule } from "../helpers/modules"

const folder = mkdtempSync(join(tmpdir(), "plomb-meter-software-"))
const stateBefore = process.env.PLOMB_STATE
const pki = join(folder, "pki")
const now = Math.floor(Date.now() / 1000) + 60
const stated = {
    component: "meter",
    metrological: true,
    name: "metrology",
    version: versionNumber("2.0.0"),
    hardware: "m",
    approval: "DE-26-M-PTB-0001",
    runtime: versionNumber("2.16.0"),
    floor: versionNumber("1.0.0"),
}
let builtIn: BuiltIn
let second: Buffer
let cells: Buffer
let device: Device
let count = 0

async function packageOf(image: Uint8Array, changes: Partial<typeof stated> = {}, which = 4): Promise<Buffer> {
    let made = Package.create({ ...stated, ...changes }, Buffer.from(image))
    for (const institute of [true, false]) {
        const signer = join(pki, institute ? "institute-approval" : "manufacturer")
        const [certificate] = readCertificates(join(signer, "cert.pem"))
        const keyId = new Uint8Array(await certificate.publicKey.getKeyIdentifier())
        const der = new Uint8Array(certificate.rawData)
        if (which-- > 0) made = await made.signEs256(openKey(join(signer, "key.pem")), { der, keyId }, institute)
        const hss = HssKey.open(join(pki, institute ? "institute-root" : "manufacturer", "hss"))
        if (which-- > 0) made = await made.signHss(hss.publicKey, message => hss.sign(message))
    }
    return Buffer.from(made.octets())
}

function moduleOf(text: string): Promise<Uint8Array> {
    const source = `import * as ds from "@devicescript/core"\nconst host: any = (ds as any).host\n${text}\n`
    return compile("bad.ts", { files: { "bad.ts": source } }).then(image => image.bytecode)
}

function start(from: Buffer | CutStore): Device {
    const made = new Device(from instanceof CutStore ? from : new CutStore(from), builtIn)
    made.clock = { utcSeconds: now + count, running: true }
    made.meter.time.refresh()
    return made
}

/** The answer to a command of the provider. */
function order(path: Buffer, value: Buffer, who = "operator"): Buffer {
    const at = now + ++count
    device.clock = { utcSeconds: at, running: true }
    device.meter.time.refresh()
    const signer = signerFrom(pki, who, { nowSeconds: () => at })
    return device.send(signer.command(meterId, [setParameter(path, value)]))
}

/** Announces a package and brings its blocks; seconds later it is judged. The reason why it failed, or 0. */
function deliver(octets: Buffer): number {
    const blocks: Buffer[] = []
    for (let at = 0; at < octets.length; at += 1024) blocks.push(octets.subarray(at, at + 1024))
    const length = Buffer.alloc(4)
    length.writeUInt32BE(octets.length)
    const heads = blocks.map(block => sha256(block).subarray(0, 16))
    order(paths.announcePath, Buffer.concat([length, sha256(octets), ...heads]))
    for (const [i, block] of blocks.entries()) device.software?.block(Buffer.concat([Buffer.of(0, i), block]))
    const { slots } = device.software!
    const slot = slots.find(SlotState.Receiving)
    seconds(4)
    expect(slots.state(slot)).not.toBe(SlotState.Receiving)
    return slots.state(slot) === SlotState.Failed ? reasons()[slot] : 0
}

const activate = (octets: Buffer) => order(paths.activatePath, sha256(octets))
const running = () => (device.meter.rule ? Buffer.from(device.meter.rule.identification).toString() : "none")
const states = () => [0, 1, 2].map(slot => device.software!.slots.state(slot))
const reasons = () => [0, 1, 2].map(slot => device.software!.slots.octets().readUInt16BE(4 + slot * 41 + 7))
function seconds(many: number): void {
    for (let i = 0; i < many; ++i) device.meter.tick()
}

beforeAll(async () => {
    vi.spyOn(console, "log").mockImplementation(() => {})
    process.env.PLOMB_STATE = join(folder, "state")
    await initPki(pki, { hss: "H5/W4" })
    builtIn = await shipped()
    second = await packageOf((await metrologyModule(2)).bytecode)
    const bare = new Device(new CutStore())
    bare.clock = { utcSeconds: now, running: true }
    produceIdentity(bare.meter.identity, 1, Buffer.from("m"))
    bare.custody.configure()
    bare.custody.generateKey()
    const names = [
        "calibration-authority",
        "calibration-authority",
        "institute-root",
        "manufacturer",
        "security-management",
    ]
    names.forEach((name, slot) => {
        const der = Buffer.from(readCertificates(join(pki, name, "cert.pem"))[0].rawData)
        bare.meter.trust.writePart(slot, 0, der)
        bare.meter.trust.close(slot, der.length)
    })
    bare.custody.seal()
    bare.meter.identity.reach(Step.Calibrated)
    bare.meter.time.set(now)
    bare.meter.tick()
    bare.meter.issueList()
    cells = Buffer.from(bare.store.cells)
}, 120_000)

beforeEach(() => {
    device = start(cells)
})

afterAll(() => {
    vi.restoreAllMocks()
    if (stateBefore === undefined) delete process.env.PLOMB_STATE
    else process.env.PLOMB_STATE = stateBefore
    rmSync(folder, { recursive: true, force: true })
})

describe("software of a meter", () => {
    test("the module that ships measures, and stands in each signed list", () => {
        const before = device.meter.registers.register(0)
        seconds(2)
        expect(running()).toBe("metrology 1.0.0")
        expect(device.meter.registers.register(0)).toBeGreaterThan(before)
        expect(device.meter.issueList().signed.includes(Buffer.from("metrology 1.0.0"))).toBe(true)
        expect(device.meter.status() & Status.NoSoftware).toBe(0)
    })

    test("delivered, put on trial, confirmed: three tariffs, the floor rises only then, and it runs after a start", () => {
        expect(deliver(second)).toBe(0)
        expect(states()).toEqual([SlotState.Verified, 0, 0])
        expect(running()).toBe("metrology 1.0.0")
        activate(second)
        expect(running()).toBe("metrology 2.0.0")
        expect(device.software!.floor.value()).toBe(0)
        order(paths.meteringPath, Buffer.from("00007f0300017f03", "hex"), "institute-approval")
        const before = device.meter.registers.register(3)
        seconds(3)
        expect(device.meter.registers.register(3)).toBeGreaterThan(before)
        order(paths.confirmPath, sha256(second))
        expect(states()).toEqual([SlotState.Active, 0, 0])
        expect(device.software!.floor.value()).toBe(0x010000)
        device = start(device.store)
        expect(running()).toBe("metrology 2.0.0")
        expect(device.events()).toEqual(
            expect.arrayContaining([Event.softwareReceived, Event.softwareActivated, Event.softwareConfirmed]),
        )
    })

    test("not confirmed within 900 s of running, over power cuts: version 1 measures again, the reason in slot and logbook", () => {
        deliver(second)
        activate(second)
        seconds(500)
        device = start(device.store)
        expect(running()).toBe("metrology 2.0.0")
        seconds(500)
        expect(running()).toBe("metrology 1.0.0")
        expect(states()[0]).toBe(SlotState.Failed)
        expect(reasons()[0]).toBe(5239)
        expect(device.events()).toContain(Event.softwareWithdrawn)
    })

    test("put back by order", () => {
        deliver(second)
        activate(second)
        order(paths.confirmPath, sha256(second))
        order(paths.rollbackPath, sha256(second))
        const before = device.meter.registers.register(0)
        seconds(5)
        expect(running()).toBe("metrology 1.0.0")
        expect(device.meter.registers.register(0)).toBeGreaterThan(before)
        expect(reasons()[0]).toBe(5241)
    })

    test("no version is left that is above the floor: it refuses to measure, says so, and still answers", async () => {
        const high = await packageOf((await metrologyModule(2)).bytecode, { floor: versionNumber("2.0.0") })
        deliver(high)
        activate(high)
        order(paths.confirmPath, sha256(high))
        order(paths.rollbackPath, sha256(high))
        expect(running()).toBe("metrology 2.0.0")
        device.store.cells[0x14000 + 4000] ^= 1
        device = start(device.store)
        seconds(2)
        expect(running()).toBe("none")
        expect(device.meter.status() & Status.NoSoftware).toBe(Status.NoSoftware)
        expect(device.meter.issueList().signed.length).toBeGreaterThan(0)
    })

    test.each([
        ["throws", "host.onTick(() => { throw new Error('x') })\nhost.onSelfTest(() => 0)", 2564],
        ["loops", "host.onTick(() => { while (true) {} })\nhost.onSelfTest(() => 0)", 2560],
        [
            "eats memory",
            "const all: any[] = []\nhost.onTick(() => { for (let i = 0; i < 1000; ++i) all.push(Buffer.alloc(100)) })\nhost.onSelfTest(() => 0)",
            2561,
        ],
        ["counts less than nothing", "host.onTick(() => { host.add(0, -5) })\nhost.onSelfTest(() => 0)", 2001],
    ])("a module that %s on trial: version 1 measures on, no energy lost", async (_, text, code) => {
        const bad = await packageOf(await moduleOf(text))
        expect(deliver(bad)).toBe(0)
        activate(bad)
        expect(running()).toBe("metrology 2.0.0")
        const before = device.meter.registers.register(0)
        seconds(6)
        expect(running()).toBe("metrology 1.0.0")
        expect(reasons()[0]).toBe(code)
        expect(device.meter.registers.register(0) - before).toBeGreaterThanOrEqual(4 * 36)
    })

    test.each([
        ["for other hardware", { hardware: "other" }, 5234],
        ["for a MUC", { component: "muc" }, 5233],
        ["not newer", { version: 0x010000 }, 5236],
        ["for a newer runtime", { runtime: versionNumber("2.17.0") }, 5235],
    ])("a package %s is refused", async (_, changes, code) => {
        expect(deliver(await packageOf((await metrologyModule(2)).bytecode, changes))).toBe(code)
        expect(states()).not.toContain(SlotState.Verified)
        expect(running()).toBe("metrology 1.0.0")
    })

    test("a package without one of its signatures is refused", async () => {
        for (let which = 0; which < 4; ++which)
            expect([3530, 2510, 2513, 2530, 2511]).toContain(
                deliver(await packageOf((await metrologyModule(2)).bytecode, {}, which)),
            )
        expect(running()).toBe("metrology 1.0.0")
    })
})
