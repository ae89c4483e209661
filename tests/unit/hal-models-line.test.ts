import { beforeEach, describe, expect, it } from "vitest"
import { writeFile } from "../../firmware/core/sml-transport"
import { Atecc608 } from "../../hal/atecc608"
import { ElementCustody } from "../../hal/keys-element"
import { SmlLine } from "../../hal/rs485-link"
import { Sc16is752 } from "../../hal/sc16is752"
import { Atecc608b } from "../../tools/chips/atecc608b"
import { Rs485Wire } from "../../tools/chips/rs485-wire"
import { Sc16is752 as Sc16Model } from "../../tools/chips/sc16is752"
import { codeThrown } from "../helpers/errors"
import { ModelBus } from "../helpers/model-bus"
import { ModelTime } from "../helpers/model-time"

const request = writeFile([Buffer.alloc(61, 0x76)])
const answer = writeFile([Buffer.from(Array.from({ length: 500 }, (_, i) => (i * 5 + 1) & 0xff))])

let time: ModelTime
let wire: Rs485Wire

/** A board with a UART on the line; `echo`: its transceiver returns what it sends. */
function board(echo = false, baud = 9600) {
    const model = new Sc16Model({ clock: time })
    const element = new Atecc608b({ clock: time, serial: 7 })
    const bus = new ModelBus(time, [model, element])
    model.channels[0].connect(wire, { echo })
    const part = new Sc16is752(bus, 0x4d, 14745600)
    part.start()
    const line = new SmlLine(part.port(0), baud)
    line.open()
    return { model, bus, part, line, custody: new ElementCustody(new Atecc608(bus, 0x60), 0) }
}

beforeEach(() => {
    time = new ModelTime()
    time.install()
    wire = new Rs485Wire({ clock: time })
})

/** Polls `line` each 10 ms until a file comes. */
function wait(line: SmlLine, ms = 3000): Buffer | undefined {
    for (let waited = 0; waited < ms; waited += 10) {
        const file = line.poll()
        if (file) return file
        time.advance(10)
    }
    return undefined
}

describe("SML on RS-485, drivers against models", () => {
    it.each([
        [9600, false],
        [9600, true],
        [2400, true],
        [115200, false],
    ])("request and answer cross at %d Bd, echo of the transceivers: %s", (baud, echo) => {
        const master = board(echo, baud)
        const slave = board(echo, baud)
        for (let round = 0; round < 3; ++round) {
            // One clock serves both: while one waits, the other's fiber polls.
            let atSlave: Buffer | undefined
            let busy = false
            time.everyMs = () => {
                if (busy || time.ms % 5 !== 0) return
                busy = true
                atSlave = atSlave ?? slave.line.poll()
                busy = false
            }
            master.line.send(request)
            for (let i = 0; i < 100 && !atSlave; ++i) time.advance(10)
            expect(atSlave).toEqual(request)
            let atMaster: Buffer | undefined
            time.everyMs = () => {
                if (busy || time.ms % 5 !== 0) return
                busy = true
                atMaster = atMaster ?? master.line.poll()
                busy = false
            }
            slave.line.send(answer)
            for (let i = 0; i < 300 && !atMaster; ++i) time.advance(10)
            expect(atMaster).toEqual(answer)
            time.everyMs = () => {}
        }
        expect(master.line.echoes).toBe(echo ? 3 : 0)
        expect([master.line.collisions, master.line.overruns, slave.line.overruns]).toEqual([0, 0, 0])
    })

    it("loses no octet of a telegram that comes during a signature", () => {
        const meter = board()
        meter.custody.configure()
        meter.custody.generateKey()
        // The pump fiber: runs while the other waits for the element.
        let inside = false
        time.everyMs = () => {
            if (inside || time.ms % 10 !== 0) return
            inside = true
            const file = meter.line.poll()
            if (file) files.push(file)
            inside = false
        }
        const files: Buffer[] = []
        const tap = wire.tap()
        tap.send(answer)
        for (let i = 0; i < 6; ++i) meter.custody.sign(Buffer.alloc(32, i))
        time.advance(300)
        expect(files).toEqual([answer])
        expect(meter.line.overruns).toBe(0)
    })

    it("reports the loss when nobody polls during a signature, and reads the next file", () => {
        const meter = board()
        const tap = wire.tap()
        tap.send(answer)
        time.advance(200)
        const codes: string[] = []
        for (let i = 0; i < 60; ++i) {
            codes.push(codeThrown(() => meter.line.poll()))
            time.advance(10)
        }
        expect(codes).toContain("UartOverrun")
        time.advance(400)
        tap.send(request)
        expect(wait(meter.line)).toEqual(request)
    })

    it("opens the port again after the part was reset by a dip of its supply", () => {
        const meter = board()
        meter.model.powerOff()
        meter.model.powerOn()
        const codes = new Set<string>()
        for (let i = 0; i < 400; ++i) {
            codes.add(codeThrown(() => meter.line.poll()))
            time.advance(10)
        }
        expect(codes).toContain("UartReset")
        wire.tap().send(request)
        expect(wait(meter.line)).toEqual(request)
    })

    it("takes nonsense levels of an upset part for a fault (raspberrypi/linux#1903)", () => {
        const meter = board()
        meter.model.upset()
        const codes = Array.from({ length: 300 }, () => codeThrown(() => meter.line.poll()))
        expect(codes.filter(code => code !== "none").length).toBeGreaterThan(0)
        expect(codes).not.toContain("BadArgument")
    })

    it("sends on a line that is free again after others talked", () => {
        const meter = board()
        const heard: number[] = []
        const tap = wire.tap({ onOctets: octets => heard.push(...octets) })
        tap.send(request)
        time.advance(70)
        meter.line.send(answer)
        time.advance(50)
        expect(Buffer.from(heard)).toEqual(answer)
        expect(wire.collisions).toBe(0)
    })
})
