import { beforeEach, describe, expect, it } from "vitest"
import { Sc16is752, type Sc16is752Port } from "../../hal/sc16is752"
import { codeThrown } from "../helpers/errors"
import { FakeBus, type Handler } from "../helpers/fake-bus"
import { ModelTime } from "../helpers/model-time"

/** One channel, from the register table of the data sheet. */
class Channel {
    rx: number[] = []
    tx: number[] = []
    sent: number[] = []
    registers = new Map<string, number>()
    lsrErrors = 0
    timeoutPending = false
    reset() {
        this.registers = new Map([["lcr", 0x1d]])
        this.rx = []
        this.tx = []
    }
    name(register: number): string {
        const lcr = this.registers.get("lcr") ?? 0
        if (lcr === 0xbf && register === 2) return "efr"
        if (lcr !== 0xbf && lcr & 0x80 && register < 2) return ["dll", "dlh"][register]
        return ["data", "ier", "fcr", "lcr", "mcr", "lsr", "msr", "spr", "txlvl", "rxlvl"][register] ?? `r${register}`
    }
    read(register: number): number {
        const name = this.name(register)
        if (name === "data") {
            this.timeoutPending = false
            return this.rx.shift() ?? 0xee
        }
        if (name === "fcr") return (this.registers.get("fcr") ?? 0) & 1 ? (this.timeoutPending ? 0xcc : 0xc1) : 0x01
        if (name === "txlvl") return 64 - this.tx.length
        if (name === "rxlvl") return this.rx.length
        if (name === "lsr") {
            const status = (this.rx.length > 0 ? 1 : 0) | this.lsrErrors | (this.tx.length === 0 ? 0x60 : 0)
            this.lsrErrors = 0
            return status
        }
        return this.registers.get(name) ?? 0
    }
    write(register: number, value: number) {
        const name = this.name(register)
        if (name === "data") {
            if (this.tx.length >= 64) throw new Error("octet lost in a full FIFO")
            this.tx.push(value)
        } else this.registers.set(name, value)
    }
}

let channels: Channel[]
let bus: FakeBus
let part: Sc16is752
let port: Sc16is752Port
let time: ModelTime
let resetAnswer: number | undefined
let intercept: (register: number, value: number) => number

beforeEach(() => {
    channels = [new Channel(), new Channel()]
    resetAnswer = undefined
    intercept = (_, value) => value
    const handler: Handler = (write, length) => {
        const [register, channel] = [write[0] >> 3, channels[(write[0] >> 1) & 1]]
        if (write[0] & 1) throw new Error("bit 0 of the sub-address is 0")
        if (register === 14 && write[1] & 8) {
            for (const each of channels) each.reset()
            return resetAnswer ?? new Uint8Array(0)
        }
        for (const octet of write.subarray(1)) channel.write(register, octet)
        return Uint8Array.from({ length }, () => intercept(register, channel.read(register)))
    }
    bus = new FakeBus({ 77: handler })
    part = new Sc16is752(bus, 0x4d, 14745600)
    port = part.port(0)
    time = new ModelTime()
    time.install()
    // One octet leaves each millisecond: 9600 Bd, about.
    time.everyMs = () => {
        for (const channel of channels) if (channel.tx.length > 0) channel.sent.push(channel.tx.shift()!)
    }
})

describe("SC16IS752 driver", () => {
    it("resets the part at start, whether or not the reset is acknowledged", () => {
        part.start()
        for (const answer of [-1, -2]) {
            resetAnswer = answer
            expect(codeThrown(() => part.start())).toBe("none")
        }
        resetAnswer = -3
        expect(codeThrown(() => part.start())).toBe("BusStuck")
    })

    it("tells an absent part from one that does not keep what is written", () => {
        expect(codeThrown(() => new Sc16is752(new FakeBus({}), 0x4d, 14745600).start())).toBe("PartAbsent")
        intercept = (register, value) => (register === 7 ? 0xff : value)
        expect(codeThrown(() => part.start())).toBe("ReadBackMismatch")
    })

    it.each([
        [9600, 0, 96, 0x03],
        [2400, 1, 384, 0x1b],
        [300, 2, 3072, 0x1a],
        [115200, 0, 8, 0x03],
    ])("opens at %d Bd, parity %d: divisor %d, LCR %d, RTS drives the line", (baud, parity, divisor, lcr) => {
        part.start()
        port.open(baud, parity)
        const registers = channels[0].registers
        expect((registers.get("dlh") ?? 0) * 256 + (registers.get("dll") ?? 0)).toBe(divisor)
        expect(registers.get("lcr")).toBe(lcr)
        expect(registers.get("r15")).toBe(0x30)
        expect(registers.get("ier")).toBe(0)
        expect(registers.get("fcr")).toBe(1)
        expect(channels[1].registers.get("r15")).toBeUndefined()
    })

    it.each([
        [0, 0],
        [-9600, 0],
        [9600, 3],
        [12_000_000, 0],
        [Number.NaN, 0],
        [700_000, 0],
    ])("refuses %d Bd, parity %d", (baud, parity) => {
        expect(codeThrown(() => port.open(baud, parity))).toBe("BadArgument")
    })

    it.each([
        ["direction control", 15],
        ["line format", 3],
        ["FIFO", 2],
    ])("notices at open that the part does not hold its %s", (_, stuck) => {
        part.start()
        intercept = (register, value) => (register === stuck ? 0x01 : value)
        expect(codeThrown(() => port.open(9600, 0))).toBe("ReadBackMismatch")
    })

    it("ends a receive time-out that stands with an empty FIFO (erratum 18.1.4)", () => {
        part.start()
        channels[0].timeoutPending = true
        port.open(9600, 0)
        expect(channels[0].timeoutPending).toBe(false)
    })

    it("sends more than a FIFO holds, whole and without gaps", () => {
        part.start()
        port.open(9600, 0)
        const octets = Buffer.from(Array.from({ length: 700 }, (_, i) => (i * 7) & 0xff))
        let gaps = 0
        const drain = time.everyMs
        time.everyMs = () => {
            drain()
            if (channels[0].tx.length === 0) ++gaps
        }
        port.send(octets)
        expect(gaps).toBe(0)
        expect(port.sent()).toBe(false)
        time.advance(64)
        expect(port.sent()).toBe(true)
        expect(Buffer.from(channels[0].sent)).toEqual(octets)
        expect(channels[1].sent).toEqual([])
    })

    it("gives up, with its own error, when queued octets do not leave", () => {
        part.start()
        port.open(9600, 0)
        time.everyMs = () => {}
        expect(codeThrown(() => port.send(Buffer.alloc(65)))).toBe("UartBlocked")
    })

    it("does not send into a part that was reset meanwhile", () => {
        part.start()
        port.open(9600, 0)
        channels[0].reset()
        expect(codeThrown(() => port.send(Buffer.alloc(1)))).toBe("UartReset")
        expect(channels[0].tx).toEqual([])
    })

    it("notices a reset on a line that has fallen silent, too", () => {
        part.start()
        port.open(9600, 0)
        channels[0].reset()
        const codes = Array.from({ length: 300 }, () => codeThrown(() => port.receive()))
        expect(codes).toContain("UartReset")
    })

    it("receives all that is there, and nothing when nothing is", () => {
        part.start()
        port.open(9600, 0)
        expect(port.receive()).toEqual(Buffer.alloc(0))
        channels[0].rx = Array.from({ length: 64 }, (_, i) => i)
        expect(port.receive()).toEqual(Buffer.from(Array.from({ length: 64 }, (_, i) => i)))
        expect(port.receive()).toEqual(Buffer.alloc(0))
    })

    it("reports each loss once and then gives what the FIFO still holds", () => {
        part.start()
        port.open(9600, 0)
        channels[0].rx = [1, 2, 3]
        channels[0].lsrErrors = 0x02
        expect(codeThrown(() => port.receive())).toBe("UartOverrun")
        expect(port.receive()).toEqual(Buffer.from([1, 2, 3]))
        channels[0].lsrErrors = 0x02
        port.sent()
        expect(codeThrown(() => port.receive())).toBe("UartOverrun")
        expect(codeThrown(() => port.receive())).toBe("none")
    })

    it("counts octets that came damaged", () => {
        part.start()
        port.open(9600, 0)
        channels[0].rx = [1]
        channels[0].lsrErrors = 0x88
        port.receive()
        expect(port.damaged).toBe(1)
    })

    it("takes a FIFO level above 64 for a bus fault, not for octets (raspberrypi/linux#1903)", () => {
        part.start()
        port.open(9600, 0)
        intercept = (register, value) => (register === 8 || register === 9 ? 0xff : value)
        expect(codeThrown(() => port.receive())).toBe("ImpossibleValue")
        expect(codeThrown(() => port.send(Buffer.alloc(1)))).toBe("ImpossibleValue")
        intercept = (register, value) => (register === 9 ? 65 : value)
        expect(codeThrown(() => port.receive())).toBe("ImpossibleValue")
    })
})
