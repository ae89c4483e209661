import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest"
import { parseCrl } from "../../firmware/core/crl"
import { Code } from "../../firmware/core/errors"
import { Event } from "../../firmware/core/logbook"
import { softwarePath } from "../../firmware/core/sml-parameter"
import { Order, SoftwareArea } from "../../firmware/core/software"
import { softwareAt } from "../../firmware/muc/layout"
import type { BuiltIn } from "../../hal/machine"
import { announcementOf, blocksOf, blockValue, digestOf } from "../../tools/package/delivery.ts"
import { versionNumber } from "../../tools/package/manifest.ts"
import { Package } from "../../tools/package/package.ts"
import { approve, countersign, submit } from "../../tools/package/steps.ts"
import { readCertificates } from "../../tools/pki/certificates.ts"
import { initPki } from "../../tools/pki/init.ts"
import { revoke } from "../../tools/pki/revoke.ts"
import { readSoftware, type SoftwareState } from "../../tools/verify/software.ts"
import { compile } from "../../tools/vm/compile.ts"
import { shipped } from "../../tools/within/built-in.ts"
import { CutStore } from "../../tools/within/cut-store.ts"
import { installClock } from "../../tools/within/meter.ts"
import { MucInNode } from "../../tools/within/muc.ts"

const folder = mkdtempSync(join(tmpdir(), "plomb-muc-software-"))
const stateBefore = process.env.PLOMB_STATE
const pki = join(folder, "pki")
const clock = { ms: Date.now() + 60_000 }
const stated = {
    component: "muc",
    metrological: false,
    name: "polling",
    version: versionNumber("2.0.0"),
    hardware: "plomb-muc-1",
    approval: "",
    runtime: versionNumber("2.16.0"),
    floor: versionNumber("1.0.0"),
}
let builtIn: BuiltIn
let second: Buffer
let third: Buffer
let cells: Buffer
/** The list of the manufacturer's issuer that names it. */
let list: Buffer
let muc: MucInNode

/** Version 2 of the module that ships: meters that run on batteries are asked as often as others. */
async function secondVersion(): Promise<Uint8Array> {
    const { bytecode } = await compile("firmware/modules/polling.ts", {
        version: "2.0.0",
        change: (_, text) => text.replace("host.period() * 4", "host.period()"),
        changeName: "as often",
    })
    return bytecode
}

async function packageOf(image: Uint8Array, changes: Partial<typeof stated> = {}): Promise<Buffer> {
    return Buffer.from((await countersign(submit({ ...stated, ...changes }, Buffer.from(image)), pki)).octets())
}

function moduleOf(text: string): Promise<Uint8Array> {
    const entries = "host.onNext(() => -1)\nhost.onAnswer(() => 0)\nhost.onSelfTest(() => 0)"
    const source = `import * as ds from "@devicescript/core"\nconst host: any = (ds as any).host\n${entries}\n${text}\n`
    return compile("bad.ts", { files: { "bad.ts": source } }).then(image => image.bytecode)
}

function start(from: Buffer): MucInNode {
    const made = new MucInNode(new CutStore(from), builtIn, clock)
    made.start()
    return made
}

function order(which: Order, value: Buffer): Buffer[] {
    const entered: Buffer[] = []
    muc.software.order(which, value, detail => {
        entered.push(detail)
    })
    return entered
}

/** Announces a package, brings its blocks, the last first, and has the program start anew. The reason why it failed, or 0. */
function deliver(octets: Buffer): number {
    order(Order.Announce, announcementOf(octets))
    const blocks = [...blocksOf(octets).entries()].reverse()
    for (const [i, block] of blocks) {
        expect(muc.software.restart).toBe(false)
        order(Order.Block, blockValue(i, block))
    }
    expect(muc.software.restart).toBe(true)
    muc.settle()
    const slot = state().slots.find(({ digest }) => digest === digestOf(octets).toString("hex"))!
    expect(slot.state).not.toBe("receiving")
    return slot.reason
}

function activate(octets: Buffer): void {
    expect(order(Order.Activate, digestOf(octets))).toEqual([digestOf(octets)])
    muc.settle()
}

function state(): SoftwareState {
    const children = muc.software.children(softwarePath).map(([name, [, [, value]]]) => ({
        name: name.toString("hex"),
        value: Buffer.from(value),
        children: [],
    }))
    return readSoftware({ name: softwarePath.toString("hex"), value: Buffer.alloc(0), children })!
}
const states = () => state().slots.map(slot => slot.state)
const running = () => state().identification
const code = (what: () => void): number => {
    try {
        what()
    } catch (error) {
        return (error as { code: number }).code
    }
    return 0
}
const last = () => muc.entries().at(-1)

beforeAll(async () => {
    vi.spyOn(console, "log").mockImplementation(() => {})
    process.env.PLOMB_STATE = join(folder, "state")
    installClock(undefined, true)
    await initPki(pki, { hss: "H5/W4" })
    builtIn = await shipped("muc_modules")
    const bare = new MucInNode(new CutStore(), builtIn, clock)
    bare.install("plomb-muc-1", Buffer.from(readCertificates(join(pki, "manufacturer", "cert.pem"))[0].rawData))
    cells = Buffer.from(bare.store.cells)
    second = await packageOf(await secondVersion())
    third = await packageOf(await secondVersion(), { version: versionNumber("3.0.0") })
    await revoke(pki, join(pki, "manufacturer", "cert.pem"), "keyCompromise")
    list = derOf(readFileSync(join(pki, "ca-root", "crl.pem"), "utf8"))
}, 120_000)

beforeEach(() => {
    muc = start(cells)
})

afterAll(() => {
    vi.restoreAllMocks()
    if (stateBefore === undefined) delete process.env.PLOMB_STATE
    else process.env.PLOMB_STATE = stateBefore
    rmSync(folder, { recursive: true, force: true })
})

describe("software of a MUC", () => {
    test("the module that ships runs where no slot does", () => {
        expect(running()).toBe("polling 1.0.0")
        expect(states()).toEqual(["empty", "empty", "empty"])
        expect(state().running).toBe("built in")
        expect(muc.software.module!.next(0)).toBe(-1)
    })

    test("delivered, on trial, confirmed: the floor rises only then, and it runs after each start", () => {
        expect(deliver(second)).toBe(0)
        expect(running()).toBe("polling 1.0.0")
        expect(states()).toContain("verified")
        activate(second)
        expect(running()).toBe("polling 2.0.0")
        expect(state().floor).toBe(0)
        expect(order(Order.Confirm, digestOf(second))).toEqual([digestOf(second)])
        expect(states()).toContain("active")
        expect(state().floor).toBe(0x010000)
        muc = start(muc.store.cells)
        expect(running()).toBe("polling 2.0.0")
        muc.software.passed(2000)
        expect(states()).toContain("active")
        expect(muc.entries().map(({ event }) => event)).toEqual([Event.softwareReceived])
    })

    test("not confirmed within 900 s of running, over power cuts: what ran before runs again, the reason in slot and logbook", () => {
        deliver(second)
        activate(second)
        for (let i = 0; i < 16; ++i) muc.software.passed(30)
        muc = start(muc.store.cells)
        expect(running()).toBe("polling 2.0.0")
        for (let i = 0; i < 14; ++i) muc.software.passed(30)
        expect(muc.software.restart).toBe(true)
        muc.settle()
        expect(running()).toBe("polling 1.0.0")
        expect(last()).toEqual({ event: Event.softwareWithdrawn, code: Code.SoftwareUnconfirmed })
    })

    test("started too often while on trial: what ran before runs again", () => {
        deliver(second)
        activate(second)
        for (let i = 0; i < 2; ++i) {
            muc = start(muc.store.cells)
            expect(running()).toBe("polling 2.0.0")
        }
        muc = start(muc.store.cells)
        expect(running()).toBe("polling 1.0.0")
        expect(last()).toEqual({ event: Event.softwareWithdrawn, code: Code.SoftwareStarts })
    })

    test("put back by order, on trial and when active", () => {
        deliver(second)
        activate(second)
        expect(order(Order.PutBack, digestOf(second))).toHaveLength(1)
        muc.settle()
        expect(running()).toBe("polling 1.0.0")
        expect(state().slots.some(({ reason }) => reason === Code.SoftwarePutBack)).toBe(true)
        deliver(second)
        activate(second)
        order(Order.Confirm, digestOf(second))
        expect(code(() => order(Order.PutBack, Buffer.alloc(32)))).toBe(Code.SlotState)
        order(Order.PutBack, digestOf(second))
        muc.settle()
        expect(running()).toBe("polling 1.0.0")
    })

    test("below the floor nothing comes back: orders say so, and what was damaged is not replaced by what is older", async () => {
        const high = await packageOf(await secondVersion(), { floor: versionNumber("2.0.0") })
        deliver(high)
        activate(high)
        order(Order.Confirm, digestOf(high))
        expect(code(() => order(Order.PutBack, digestOf(high)))).toBe(Code.SoftwareFloor)
        expect(running()).toBe("polling 2.0.0")
        expect(deliver(second)).toBe(Code.SoftwareVersion)
        const slot = state().slots.findIndex(({ state }) => state === "active")
        muc.store.cells[softwareAt + SoftwareArea.Packages + slot * SoftwareArea.SlotSize + 1000] ^= 1
        muc = start(muc.store.cells)
        expect(muc.software.module).toBeUndefined()
        expect(state().running).toBe("none")
        expect(muc.software.restart).toBe(false)
    })

    test.each([
        ["throws", "throw new Error('x')", Code.ModuleThrew],
        ["loops", "while (true) {}", Code.ModuleSteps],
        [
            "eats memory",
            "const all: any[] = []\nfor (let i = 0; i < 1000; ++i) all.push(Buffer.alloc(100))",
            Code.ModuleMemory,
        ],
        ["fails its self-test", "host.onSelfTest(() => 3)", Code.SoftwareSelfTest],
        ["has no self-test that answers", "host.onSelfTest(() => 'well')", Code.SoftwareSelfTest],
    ])("a module that %s on trial never takes over", async (_, text, reason) => {
        const bad = await packageOf(await moduleOf(text))
        expect(deliver(bad)).toBe(0)
        activate(bad)
        expect(running()).toBe("polling 1.0.0")
        expect(last()).toEqual({ event: Event.softwareWithdrawn, code: reason })
    })

    test.each([
        ["names a meter that there is not", "host.onNext(() => 5)", Code.ModuleAnswer],
        ["throws when it is asked", "host.onNext(() => { throw new Error('x') })", Code.ModuleThrew],
    ])("a module that %s while on trial is withdrawn", async (_, text, reason) => {
        const bad = await packageOf(await moduleOf(text))
        deliver(bad)
        activate(bad)
        expect(running()).toBe("polling 2.0.0")
        const failure = code(() => muc.software.module!.next(10))
        expect(failure).toBe(reason)
        muc.software.failed(failure)
        muc.settle()
        expect(running()).toBe("polling 1.0.0")
        expect(last()).toEqual({ event: Event.softwareWithdrawn, code: reason })
    })

    test.each([
        ["for other hardware", { hardware: "other" }, Code.SoftwareHardware],
        ["for a meter", { component: "meter" }, Code.SoftwareComponent],
        ["with a metrological module", { metrological: true, approval: "DE-26-M-PTB-0001" }, Code.SoftwareComponent],
        ["not newer", { version: 0x010000 }, Code.SoftwareVersion],
        ["for a newer runtime", { runtime: versionNumber("2.17.0") }, Code.SoftwareRuntime],
    ])("a package %s is refused", async (_, changes, reason) => {
        const made = submit({ ...stated, ...changes }, Buffer.from(await secondVersion()))
        const approved = made.manifest.metrological ? await approve(made, pki) : made
        expect(deliver(Buffer.from((await countersign(approved, pki)).octets()))).toBe(reason)
        expect(last()).toEqual({ event: Event.failed, code: reason })
        expect(running()).toBe("polling 1.0.0")
    })

    test.each(["missing", "broken"])("a package with a signature %s is refused", async flaw => {
        for (const place of [0, 1]) {
            const made = Package.read(second)
            if (flaw === "missing") made.signatures.splice(place, 1)
            else {
                const signature = Uint8Array.from(made.signatures[place][2])
                signature[signature.length - 20] ^= 1
                made.signatures[place][2] = signature
            }
            expect(deliver(Buffer.from(made.octets()))).toBe(
                flaw === "missing" ? Code.PackageSigner : Code.PackageSignature,
            )
        }
        expect(running()).toBe("polling 1.0.0")
    })

    test("a manufacturer revoked in the meantime installs nothing more; what it installed before runs on", () => {
        deliver(second)
        activate(second)
        order(Order.Confirm, digestOf(second))
        takeList()
        muc = start(muc.store.cells)
        expect(running()).toBe("polling 2.0.0")
        expect(deliver(third)).toBe(Code.CertificateMissing)
        expect(running()).toBe("polling 2.0.0")
    })

    test("revoked between delivery and activation, or between that and the start: not installed", () => {
        deliver(second)
        const verified = Buffer.from(muc.store.cells)
        takeList()
        expect(code(() => order(Order.Activate, digestOf(second)))).toBe(Code.CertificateMissing)
        muc = start(verified)
        order(Order.Activate, digestOf(second))
        takeList()
        muc.settle()
        expect(running()).toBe("polling 1.0.0")
        expect(last()).toEqual({ event: Event.softwareWithdrawn, code: Code.CertificateMissing })
    })

    test("blocks: none without an announcement, none that was not announced, any order, any number of times", () => {
        const [first] = blocksOf(second)
        expect(code(() => order(Order.Block, blockValue(0, first)))).toBe(Code.SlotIdle)
        expect(order(Order.Announce, announcementOf(second))).toEqual([digestOf(second)])
        expect(code(() => order(Order.Block, blockValue(1, first)))).toBe(Code.SlotBlock)
        expect(code(() => order(Order.Block, Buffer.alloc(1)))).toBe(Code.SlotForm)
        order(Order.Block, blockValue(0, first))
        order(Order.Block, blockValue(0, first))
        expect(order(Order.Announce, announcementOf(second))).toEqual([])
        expect(state().blocks.filter(Boolean)).toHaveLength(1)
        const large = Buffer.concat([announcementOf(second), Buffer.alloc(16 * 6)])
        large.writeUInt32BE(SoftwareArea.SlotSize + 1)
        expect(code(() => order(Order.Announce, large))).toBe(Code.SlotForm)
    })

    test("a package whose judgement ends with the power three times is given up", () => {
        order(Order.Announce, announcementOf(second))
        for (const [i, block] of blocksOf(second).entries()) order(Order.Block, blockValue(i, block))
        muc.store.cells[softwareAt + SoftwareArea.Judged] = 3
        muc.settle()
        expect(last()).toEqual({ event: Event.failed, code: Code.SoftwareStarts })
    })

    test("the program that keeps software reaches its own area of the store only", () => {
        const { software, store } = muc
        const before = Buffer.from(store.cells)
        for (const [at, length] of [
            [-1, 1],
            [SoftwareArea.Size, 1],
            [SoftwareArea.Size - 1, 2],
            [0, -1],
            [Number.NaN, 1],
        ]) {
            expect(code(() => software.call(1, at, length, undefined))).toBe(Code.OutOfRange)
            if (length > 0)
                expect(code(() => software.call(2, at, Buffer.alloc(length), undefined))).toBe(Code.OutOfRange)
        }
        expect(store.cells.equals(before)).toBe(true)
    })

    test("one order at a time", () => {
        let within = 0
        order(Order.Announce, announcementOf(second))
        muc.software.order(Order.Announce, announcementOf(second), () => {})
        const other = Buffer.from(announcementOf(second))
        other[5] ^= 1
        muc.software.order(Order.Announce, other, () => {
            within = code(() => muc.software.children(Buffer.alloc(0)))
        })
        expect(within).toBe(Code.Busy)
    })
})

/** The list of the manufacturer's issuer names it from now on. */
function takeList(): void {
    muc.holdings.takeList(parseCrl(list))
}

function derOf(pem: string): Buffer {
    return Buffer.from(pem.replace(/-----[^-]+-----/g, ""), "base64")
}
