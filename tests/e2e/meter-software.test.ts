import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { closeReq, getProcParameterReq, openReq, setProcParameterReq } from "../../firmware/core/sml-messages.ts"
import {
    activatePath,
    announcePath,
    blockPath,
    confirmPath,
    octetsLeaf,
    rollbackPath,
    softwarePath,
} from "../../firmware/core/sml-parameter.ts"
import { writeFile } from "../../firmware/core/sml-transport.ts"
import { Signer } from "../../tools/authority/signer.ts"
import { serverIdOf } from "../../tools/calibrate/station.ts"
import { constantLoad } from "../../tools/chips/load-source.ts"
import { calibrateInVm } from "../../tools/desk/calibrated.ts"
import { Desk } from "../../tools/desk/desk.ts"
import { bringProvider } from "../../tools/desk/line-operator.ts"
import { LineProbe } from "../../tools/desk/line-probe.ts"
import { readAttention, readResponse } from "../../tools/headend/responses.ts"
import { announcementOf, blocksOf, blockValue, digestOf } from "../../tools/package/delivery.ts"
import { approve, countersign, submit } from "../../tools/package/steps.ts"
import { initPki } from "../../tools/pki/init.ts"
import { readSoftware, type SoftwareState } from "../../tools/verify/software.ts"
import { metrologyModule } from "../helpers/modules.ts"

const serial = 4720
const id = Buffer.from(serverIdOf(serial), "hex")
const folder = mkdtempSync(join(tmpdir(), "plomb-meter-software-"))
const pki = join(folder, "pki")
const stateBefore = process.env.PLOMB_STATE
let desk: Desk
let probe: LineProbe
let now = 0
const log: string[] = []

async function packageOf(image: Uint8Array, version: number): Promise<Buffer> {
    const stated = {
        component: "meter",
        metrological: true,
        name: "metrology",
        version,
        hardware: "plomb-1",
        approval: "DE-26-M-PTB-0001",
        runtime: 0x021000,
        floor: 0x010000,
    }
    const submitted = submit(stated, Buffer.from(image))
    return Buffer.from((await countersign(await approve(submitted, pki), pki)).octets())
}

/** A command of a party; the code of the answer, asked again where a line lost it. */
async function command(message: Buffer, party = "operator", timeoutMs = 60_000): Promise<Buffer> {
    const read = (name: string) => readFileSync(join(pki, party, name), "utf8")
    for (let tries = 0; tries < 4; ++tries) {
        now = Math.max(now + 1, Math.floor(desk.world.nowMs() / 1000))
        const at = now
        const signer = new Signer({ key: read("key.pem"), chain: read("chain.pem"), nowSeconds: () => at })
        const answer = await probe.ask(signer.command(id, [message]), timeoutMs)
        if (answer) return answer
    }
    throw new Error(`no answer; ${log.slice(-5).join("; ")}`)
}

const set = async (path: Buffer, value: Buffer, party?: string) =>
    readAttention(readResponse(await command(setProcParameterReq(id, id, [path], octetsLeaf(path, value)), party)))
        ?.code

async function software(): Promise<SoftwareState> {
    const answer = readResponse(await command(getProcParameterReq(id, id, [softwarePath])))
    const state = readSoftware((answer as any).tree ?? answer)
    if (!state) throw new Error("no tree")
    return state
}

/** Blocks need no signature. The heap that was free while the last one was judged. */
async function deliver(file: Buffer): Promise<number> {
    expect(await set(announcePath, announcementOf(file))).toBe("fd00")
    let least = Number.POSITIVE_INFINITY
    for (const [i, block] of blocksOf(file).entries()) {
        const value = octetsLeaf(blockPath, blockValue(i, block))
        const request = writeFile([
            openReq(id, id, id, id),
            setProcParameterReq(id, id, [blockPath], value),
            closeReq(id, undefined),
        ])
        const looked = () => {
            least = Math.min(least, desk.meters[0].board.heap()?.free ?? least)
            return false
        }
        let answer: Buffer | undefined
        for (let tries = 0; tries < 4 && !answer; ++tries) answer = await probe.ask(request, 90_000, looked)
        expect(readAttention(readResponse(answer!))?.code).toBe("fd00")
    }
    return least
}

beforeAll(async () => {
    process.env.PLOMB_STATE = join(folder, "hss")
    await initPki(pki, { hss: "H5/W4" })
    await calibrateInVm(join(folder, "state"), serial, pki)
    desk = await Desk.open({
        serials: [serial],
        state: join(folder, "state"),
        load: constantLoad(3000),
        clock: "virtual",
        startMs: Date.now(),
        onLog: (_, line) => log.push(line),
    })
    probe = new LineProbe(desk.world, desk.wire)
    await desk.start()
    await desk.world.runFor(3000)
    await bringProvider(desk, pki)
}, 600_000)

afterAll(async () => {
    await desk?.close()
    if (stateBefore === undefined) delete process.env.PLOMB_STATE
    else process.env.PLOMB_STATE = stateBefore
    rmSync(folder, { recursive: true, force: true })
})

describe("software of a calibrated meter in the VM, over its line", () => {
    test("the module that ships measures", async () => {
        const state = await software()
        expect(state.identification).toBe("metrology 1.0.0")
    }, 120_000)

    test("version 2 is delivered, put on trial, survives a power cut in it, is confirmed and put back", async () => {
        const file = await packageOf((await metrologyModule(2)).bytecode, 0x020000)
        const least = await deliver(file)
        console.log(`package of ${file.length} octets: at least ${least} octets of heap free`)
        expect(await set(activatePath, digestOf(file))).toBe("fd00")
        expect((await software()).identification).toBe("metrology 2.0.0")
        const { board } = desk.meters[0]
        await board.powerOff()
        await board.powerOn()
        await desk.world.runFor(5000)
        expect((await software()).identification).toBe("metrology 2.0.0")
        expect(await set(confirmPath, digestOf(file))).toBe("fd00")
        expect((await software()).floor).toBe(0x010000)
        expect(await set(rollbackPath, digestOf(file))).toBe("fd00")
        await desk.world.runFor(2000)
        expect((await software()).identification).toBe("metrology 1.0.0")
    }, 300_000)
})
