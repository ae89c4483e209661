import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest"
import { Code } from "../../firmware/core/errors"
import { statusPath } from "../../firmware/core/sml-parameter"
import { parameterRequest } from "../../firmware/core/sml-request"
import { Identity, Step } from "../../firmware/meter/identity"
import { Status } from "../../firmware/meter/status"
import { ensureBuilt } from "../../tools/build/build.ts"
import { ModelSource } from "../../tools/calibrate/boards.ts"
import { LinkError, type RefusedError } from "../../tools/calibrate/link.ts"
import type { PartialProtocol } from "../../tools/calibrate/protocol.ts"
import { type CalibrationJob, calibrateMeter, serverIdOf } from "../../tools/calibrate/station.ts"
import { calibrateInVm, quietJob } from "../../tools/desk/calibrated.ts"
import { Desk, type MeterProgram } from "../../tools/desk/desk.ts"
import { LineProbe } from "../../tools/desk/line-probe.ts"
import { initPki } from "../../tools/pki/init.ts"
import { revoke } from "../../tools/pki/revoke.ts"
import { MemoryStore } from "../helpers/memory-store.ts"

let folder: string
let pki: string

beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "plomb-field-"))
    pki = join(folder, "pki")
    await initPki(pki)
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function deskWith(serial: number, program: MeterProgram, state?: string) {
    const log: string[] = []
    const source = new ModelSource()
    const onLog = (_: string, line: string) => log.push(line)
    const desk = await Desk.open({ serials: [serial], load: source, program, state, onLog, restart: true })
    onTestFinished(() => desk.close())
    await desk.start()
    return { desk, source, log, meter: desk.meters[0] }
}

/** The status word that the meter tells whoever asks; -1, which has all bits, where it does not. */
async function statusOf(desk: Desk, serverId: string): Promise<number> {
    const id = Buffer.from(serverId, "hex")
    const answer = await new LineProbe(desk.world, desk.wire).ask(parameterRequest(Buffer.of(1), id, statusPath))
    const value = /810060050000726201(65.{8}|63.{4}|62.{2})/.exec(answer?.toString("hex") ?? "")
    return value ? Number.parseInt(value[1].slice(2), 16) : -1
}

test("the field image on an empty board says that it is not calibrated, in its log and in its status", async () => {
    const { desk, log, meter } = await deskWith(1, "meter")
    await desk.world.runFor(3000)
    expect(log).toContain("not calibrated: flash meter_calibration")
    expect((await statusOf(desk, serverIdOf(0))) & (Status.Uncalibrated | 0x80)).toBe(Status.Uncalibrated)
    expect(meter.bench.fram.memory.subarray(0x4000, 0xe000).some(octet => octet !== 0 && octet !== 0xff)).toBe(false)
    await expect(desk.calibrationLink()).rejects.toThrow(/no meter with the calibration service/)
}, 120_000)

test("the field image has none of the code that makes a meter", async () => {
    const sources = async (image: string) =>
        (await ensureBuilt(image, "vm")).image.debug.sources.map(({ path }: { path: string }) => path)
    const makers = ["firmware/meter/calibration.ts", "firmware/meter/calibration-service.ts"]
    expect(await sources("meter_calibration")).toEqual(expect.arrayContaining(makers))
    const field: string[] = await sources("meter")
    expect(field).toContain("firmware/meter/main.ts")
    expect(field.filter(path => makers.includes(path) || path.includes("@devicescript/server"))).toEqual([])
})

test("the calibration image on a sealed meter says so, and neither tells nor changes, signs nor counts anything", async () => {
    const state = join(folder, "sealed")
    await calibrateInVm(state, 2, pki)
    const { desk, log, meter } = await deskWith(2, "meter_calibration", state)
    const { bus, meter: station } = await desk.calibrationLink()
    onTestFinished(() => bus.dispose())
    const memories = () => [Buffer.from(meter.bench.fram.memory), Buffer.from(meter.bench.secureElement.save?.() ?? [])]
    const before = memories()
    const asked: [string, () => Promise<unknown>, Code][] = [
        ["produce", () => station.produce(3, "x"), Code.AlreadyCalibrated],
        ["put", () => station.putCertificate(0, Buffer.alloc(9)), Code.AlreadyCalibrated],
        ["adjust", () => station.adjust(0x400000, 0x400000, 0x400000, 0), Code.AlreadyCalibrated],
        ["make_key", () => station.makeKey(), Code.AlreadyCalibrated],
        ["certify", () => station.certify(new Date()), Code.AlreadyCalibrated],
        ["test_reading", () => station.testReading(), Code.NotCalibrated],
    ]
    for (const [name, ask, code] of asked) {
        const refusal = await ask().catch((error: RefusedError) => error)
        expect({ name, code: (refusal as RefusedError)?.code }).toEqual({ name, code })
    }
    await desk.world.runFor(3000)
    expect(memories()).toEqual(before)
    expect(log).toContain(`E${Code.AlreadyCalibrated}: calibrated, flash meter`)
    await desk.flash("meter")
    await desk.world.runFor(3000)
    expect((await statusOf(desk, serverIdOf(2))) & (Status.Uncalibrated | 0x80)).toBe(0)
}, 180_000)

/** A calibration that is struck when the field image is to come: what the station remembers then. */
async function struck(serial: number, strike: (job: CalibrationJob, desk: Desk) => Promise<void>) {
    const { desk, source } = await deskWith(serial, "meter_calibration")
    const { bus, meter } = await desk.calibrationLink()
    let earlier: PartialProtocol | undefined
    const job = await quietJob(desk, meter, source, pki)
    const failure = await calibrateMeter({
        ...job,
        field: { ...job.field, enter: () => strike(job, desk) },
        remember: async partial => {
            earlier = JSON.parse(JSON.stringify(partial))
        },
    }).catch(error => error)
    bus.dispose()
    return { desk, job, failure, earlier }
}

async function noPower(_: CalibrationJob, desk: Desk): Promise<void> {
    await desk.meters[0].board.powerOff()
    throw new LinkError("the power went")
}

test("power that goes between the two images loses nothing: the same command ends the calibration", async () => {
    const { desk, job, failure, earlier } = await struck(4, noPower)
    expect(failure).toBeInstanceOf(LinkError)
    await desk.flash("meter_calibration")
    const { bus, meter } = await desk.calibrationLink()
    const protocol = await calibrateMeter({ ...job, meter, earlier }).finally(() => bus.dispose())
    expect(protocol.software).toEqual(job.field.software)
    expect(protocol.adjustment).toEqual(earlier?.adjustment)
}, 120_000)

test("where the field image came by another way the station has the meter attest it and ends the calibration", async () => {
    const { desk, job, earlier } = await struck(5, noPower)
    await desk.flash("meter")
    const protocol = await calibrateMeter({ ...job, meter: undefined, earlier })
    expect(protocol.attestation.findings.every(each => each.result === "proved")).toBe(true)
    await expect(calibrateMeter({ ...job, meter: undefined })).rejects.toThrow(/no record of sealing/)
}, 120_000)

test("a meter that runs other software than the field image at hand gets no protocol", async () => {
    const { job, failure } = await struck(6, async ({ field }) => {
        field.software.checksum = "00".repeat(32)
        await field.enter()
    })
    expect(failure.message).toMatch(/the meter runs plomb-meter .*, expected plomb-meter .*SHA-256 0000/)
    expect(job.field.software.checksum).toBe("00".repeat(32))
}, 120_000)

test("an erased meter is a bare board to the field image, and the calibration image makes a meter of it again", async () => {
    const state = join(folder, "erased")
    await calibrateInVm(state, 7, pki)
    const { desk, log, meter } = await deskWith(7, "meter", state)
    await meter.board.powerOff()
    const { memory } = meter.bench.fram
    const store = new MemoryStore(memory.length)
    store.cells.set(memory)
    new Identity(store).reach(Step.Erasing)
    memory.set(store.cells)
    await meter.board.powerOn()
    await desk.world.runUntil(() => log.includes("not calibrated: flash meter_calibration"), 60_000)
    expect(log).toContain("erased")
    await desk.close()
    await revoke(pki, join(pki, "meters", serverIdOf(7), "cert.pem"), "cessationOfOperation")
    await calibrateInVm(state, 7, pki)
}, 180_000)
