import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest"
import { Code } from "../../firmware/core/errors"
import { SlotState } from "../../firmware/core/slots"
import { blockPath } from "../../firmware/core/sml-parameter"
import { serveControl } from "../../tools/headend/control.ts"
import { ExchangeError } from "../../tools/headend/responses.ts"
import { run } from "../../tools/operator/command.ts"
import { waiting } from "../../tools/operator/software.ts"
import { announcementOf, blocksOf, blockValue } from "../../tools/package/delivery.ts"
import { approve, countersign, submit } from "../../tools/package/steps.ts"
import { initPki } from "../../tools/pki/init.ts"
import { issueWithKey } from "../../tools/pki/issue.ts"
import { FakeDevice } from "../helpers/fake-device.ts"
import { FakeSoftware } from "../helpers/fake-software.ts"
import { MemoryStore } from "../helpers/memory-store.ts"

/** The operator's software commands against the core's slots, reached through a head-end's control socket. */

const folder = mkdtempSync(join(tmpdir(), "plomb-software-"))
const stateBefore = process.env.PLOMB_STATE
const pki = join(folder, "pki")
const socket = join(folder, "control.sock")
const image = Buffer.alloc(3000, "not a program")
let device: FakeDevice
let control: { close(): Promise<void> }
let lines: string[] = []
let target = ""
/** The way to the device; what it does to a file that passes. */
let onTheWay = (request: Buffer): Buffer | undefined => device.answer(request)

const stated = {
    component: "meter",
    metrological: true,
    name: "metrology",
    version: 0x020000,
    hardware: "plomb-1",
    approval: "DE-26-M-PTB-0001",
    runtime: 0x021000,
    floor: 0x010000,
}

async function packaged(name: string, changes: Partial<typeof stated> = {}, steps = 2): Promise<string> {
    const path = join(folder, `${name}.plomb`)
    let made = submit({ ...stated, ...changes }, image)
    if (steps > 0) made = await approve(made, pki)
    if (steps > 1) made = await countersign(made, pki)
    writeFileSync(path, made.octets())
    return path
}

beforeAll(async () => {
    process.env.PLOMB_STATE = join(folder, "state")
    await initPki(pki, { hss: "H5/W4" })
    await issueWithKey(pki, "operator", "alice")
    vi.spyOn(waiting, "sleep").mockResolvedValue()
    device = await FakeDevice.make(pki, 7)
    target = device.id.toString("hex")
    control = await serveControl(socket, {
        meters: () => [{ serverId: target, muc: "05aabbccddeeff" }],
        mucs: () => ["05aabbccddeeff"],
        relay: async (_, request) => {
            const answer = onTheWay(request)
            if (!answer) throw new ExchangeError("timeout", "no answer within 30000 ms")
            return { raw: answer, muc: "05aabbccddeeff" }
        },
    })
    vi.spyOn(console, "log").mockImplementation(line => void lines.push(`${line}`))
})
beforeEach(() => {
    onTheWay = request => device.answer(request)
    Object.assign(device, { software: fresh() })
})
afterAll(async () => {
    vi.restoreAllMocks()
    await control.close()
    if (stateBefore === undefined) delete process.env.PLOMB_STATE
    else process.env.PLOMB_STATE = stateBefore
    rmSync(folder, { recursive: true, force: true })
})

function isBlock(request: Buffer): boolean {
    return request.includes(blockPath)
}

function fresh(): FakeSoftware {
    return new FakeSoftware(new MemoryStore(65_536), device.software.anchors)
}

async function software(...args: string[]): Promise<{ code: number; text: string }> {
    lines = []
    const words = ["software", ...args, "--as", join(pki, "operators/alice"), "--through", socket]
    return { code: await run(words), text: lines.join("\n") }
}

describe("plomb operator software", () => {
    it("delivers, activates, waits for the list that names the module, confirms; list shows it all", async () => {
        const path = await packaged("second")
        const delivered = await software("deliver", path)
        expect(delivered.text).toContain("100 %: block")
        expect(delivered.text).toContain("The device has verified it")
        expect(delivered.code).toBe(0)
        const activated = await software("activate", path)
        expect(activated.text).toContain("metrology 1.0.0 -> metrology 2.0.0")
        expect(activated.text).toMatch(/The signed list of 20.* names it/)
        expect([activated.code, device.software.slots.find(SlotState.Active)]).toEqual([0, 0])
        const listed = await software("list", "--json")
        const { software: shown } = JSON.parse(listed.text)
        expect(shown).toMatchObject({ identification: "metrology 2.0.0", floor: "1.0.0", running: 0 })
        expect(shown.slots[0]).toMatchObject({ state: "active", version: "2.0.0" })
        const again = await software("deliver", path)
        expect(again.text).toContain("It is there already, active: nothing to send.")
    })

    it("goes on after a break where the device stands, and sends no block twice", async () => {
        const path = await packaged("broken")
        let blocks = 0
        onTheWay = request => (isBlock(request) && ++blocks > 2 ? undefined : device.answer(request))
        await expect(software("deliver", path)).rejects.toThrow("no answer")
        expect(device.software.came).toEqual([0, 1])
        onTheWay = request => device.answer(request)
        const { code, text } = await software("deliver", path)
        expect(text).toMatch(/2 of \d+ blocks are there already/)
        expect(code).toBe(0)
        const all = Math.ceil(readFileSync(path).length / 1024)
        expect(device.software.came).toEqual(Array.from({ length: all }, (_, i) => i))
    })

    it("waits for the judgement where all blocks are there, and sends none", async () => {
        const path = await packaged("unjudged")
        const file = readFileSync(path)
        device.software.slots.announce(announcementOf(file))
        for (const [i, block] of blocksOf(file).entries()) device.software.slots.block(blockValue(i, block))
        expect(device.software.slots.find(SlotState.Receiving)).toBe(0)
        const { code, text } = await software("deliver", path)
        expect(text).toContain("The device has verified it")
        expect([code, device.software.came]).toEqual([0, []])
    })

    it("asks again where the device was started and has yet to prove what it holds", async () => {
        const path = await packaged("started")
        await software("deliver", path)
        device.software.started = true
        const { code, text } = await software("activate", path)
        expect(text).toContain("proves it anew")
        expect([code, device.software.slots.find(SlotState.Active)]).toEqual([0, 0])
    })

    it("asks what is there when an answer was lost, before it sends a block again", async () => {
        const path = await packaged("lossy")
        let n = 0
        onTheWay = request => {
            const answer = device.answer(request)
            return isBlock(request) && ++n % 2 === 1 ? undefined : answer
        }
        expect((await software("deliver", path)).code).toBe(0)
        expect(new Set(device.software.came).size).toBe(device.software.came.length)
    })

    it("signs blocks where the way asks for that", async () => {
        device.signedBlocks = true
        expect((await software("deliver", await packaged("signed"))).code).toBe(0)
        device.signedBlocks = false
        expect(new Set(device.software.came).size).toBe(device.software.came.length)
    })

    it("stops when somebody else announces another package meanwhile", async () => {
        const path = await packaged("first")
        let n = 0
        onTheWay = request => {
            if (isBlock(request) && ++n === 2) device.software.slots.announce(announcementOf(Buffer.alloc(5000)))
            return device.answer(request)
        }
        const { code, text } = await software("deliver", path)
        expect(text).toContain(`refused: E${Code.SlotBlock}`)
        expect(code).toBe(1)
    })

    it("sends nothing of a package that a device would refuse, and says why", async () => {
        const unsigned = await packaged("unsigned", {}, 1)
        const { code, text } = await software("deliver", unsigned)
        expect(text).toMatch(/would be refused: manufacturer, ES256: .*E3530/)
        expect([code, device.software.came]).toEqual([1, []])
        device.software.floor = 0x030000
        const low = await software("deliver", await packaged("low"))
        expect(low.text).toContain("would be refused: the floor is 3.0.0")
        expect([low.code, device.software.came]).toEqual([1, []])
    })

    it("tells in words why a slot failed; --no-confirm leaves the trial; rollback goes back", async () => {
        const same = await packaged("same", { version: 0x010000 })
        const refused = await software("deliver", same)
        expect(refused.text).toMatch(/refused .*E5236 SoftwareVersion/)
        expect(refused.code).toBe(1)
        expect((await software("list")).text).toMatch(/failed .*E5236 SoftwareVersion: the software is not newer/)
        const path = await packaged("trial")
        await software("deliver", path)
        expect((await software("activate", path, "--no-confirm")).text).toContain("goes back within 900 s")
        expect((await software("list")).text).toMatch(/on trial .*900 s left to confirm it/)
        const back = await software("rollback")
        expect(back.text).toMatch(/running {3}metrology 1.0.0, as shipped/)
        expect(back.text).toContain("it was put back by command")
        expect(back.code).toBe(0)
        expect((await software("activate", path)).text).toContain("is not ready on the device (failed)")
    })

    it("--dry-run shows the announcement and sends nothing", async () => {
        const path = await packaged("dry")
        const before = device.files.length
        const { code, text } = await software("deliver", path, "--dry-run", "--target", target)
        expect(text).toMatch(/to receive software of \d+ octets, SHA-256/)
        expect([code, device.files.length]).toEqual([0, before])
    })
})
