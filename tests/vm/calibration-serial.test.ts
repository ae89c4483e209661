import { EventEmitter } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { SerialPort } from "serialport"
import { expect, it } from "vitest"
import { ensureBuilt } from "../../tools/build/build.ts"
import { ModelSource } from "../../tools/calibrate/boards.ts"
import { deploy } from "../../tools/calibrate/deploy.ts"
import { callOver } from "../../tools/calibrate/link.ts"
import { MeterUnderCalibration } from "../../tools/calibrate/meter.ts"
import { openSerialBus } from "../../tools/calibrate/serial.ts"
import { calibrateMeter } from "../../tools/calibrate/station.ts"
import { quietJob } from "../../tools/desk/calibrated.ts"
import { Desk } from "../../tools/desk/desk.ts"
import { initPki } from "../../tools/pki/init.ts"
import type { Board } from "../../tools/vm/board.ts"

const [magic, literal, start, end] = [0xfe, 0xf8, 0xfc, 0xfd]
const bridge = 0x18f61a4a

/** A board's side of Jacdac over USB serial (jacdac-c usb.c): frames between FE FC and FE FD, FE within as FE F8. */
function portOf(board: Board, written: Uint8Array[]): typeof SerialPort {
    return class extends EventEmitter {
        static async list() {
            return []
        }
        isOpen = true
        private frame: number[] | undefined
        private quoted = false

        constructor(_: object, opened: (error: null) => void) {
            super()
            const passOn = board.onFrame
            board.onFrame = frame => {
                passOn?.(frame)
                if (frame[2] !== 0xff) board.world.after(0, () => this.send(frame))
            }
            setImmediate(opened, null)
        }
        write(octets: Uint8Array, _: unknown, done: (error: null) => void) {
            written.push(octets)
            for (const octet of octets) this.take(octet)
            setImmediate(done, null)
        }
        close(done: (error: null) => void) {
            this.isOpen = false
            setImmediate(done, null)
        }
        private take(octet: number) {
            if (!this.quoted && octet === magic) this.quoted = true
            else if (this.quoted && octet === start) {
                this.frame = []
                this.quoted = false
            } else if (this.quoted && octet === end) {
                const frame = Buffer.from(this.frame ?? [])
                this.frame = undefined
                this.quoted = false
                // "Enable packets" and the like are for the USB bridge, which answers with the same.
                if (frame.readUInt32LE(4) === bridge) this.send(frame)
                else board.receiveFrame(frame)
            } else {
                if (this.quoted && octet !== literal) throw new Error(`FE ${octet.toString(16)}`)
                this.frame?.push(this.quoted ? magic : octet)
                this.quoted = false
            }
        }
        private send(frame: Uint8Array) {
            const whole = Buffer.from(frame).subarray(0, frame[2] + 12)
            const octets = [...whole].flatMap(octet => (octet === magic ? [magic, literal] : [octet]))
            const sent = Buffer.from([magic, start, ...octets, magic, end])
            // As USB does: packets of at most 64 octets.
            for (let at = 0; at < sent.length; at += 64) this.emit("data", sent.subarray(at, at + 64))
        }
    } as unknown as typeof SerialPort
}

it("over USB serial the same station comes to the same protocol as over the VM's link", async () => {
    const folder = mkdtempSync(join(tmpdir(), "plomb-serial-"))
    try {
        const pki = join(folder, "pki")
        await initPki(pki)
        const path = join(folder, "ttyACM0")
        writeFileSync(path, "")
        const protocolOver = async (serial: boolean) => {
            const source = new ModelSource()
            const program = "meter_calibration"
            const desk = await Desk.open({ serials: [serial ? 31 : 32], load: source, program })
            await desk.start()
            const written: Uint8Array[] = []
            const bus = serial
                ? await openSerialBus(path, portOf(desk.meters[0].board, written))
                : (await desk.calibrationLink()).bus
            try {
                const meter = new MeterUnderCalibration(callOver(bus))
                const job = await quietJob(desk, meter, source, pki)
                // As on a real board: the field image goes over the same port.
                if (serial) job.field.enter = async () => deploy(bus, (await ensureBuilt("meter", "vm")).image.bytecode)
                const protocol = await calibrateMeter(job)
                if (serial) expect(written.every(octets => octets.length <= 64)).toBe(true)
                expect(written.length > 100).toBe(serial)
                return protocol
            } finally {
                await bus.disconnect()
                bus.dispose()
                await desk.close()
            }
        }
        const overSerial = await protocolOver(true)
        const overVm = await protocolOver(false)
        expect(overSerial.serverId).toBe("0a01504c42010000001f")
        expect(overSerial.testFindings).toEqual(overVm.testFindings)
        expect(overSerial.steps.map(({ name, final }) => [name, final])).toEqual(
            overVm.steps.map(({ name, final }) => [name, final]),
        )
        expect(Object.keys(overSerial)).toEqual(Object.keys(overVm))
    } finally {
        rmSync(folder, { recursive: true, force: true })
    }
}, 120_000)

it("says so where there is no such port", async () => {
    await expect(openSerialBus("/dev/nowhere")).rejects.toThrow("there is no serial port /dev/nowhere")
})
