import { describe, expect, it } from "vitest"
import { I2cBusModel } from "../../tools/chips/bus"
import { ManualClock } from "../../tools/chips/clock"
import { Rs485Wire, type WireOptions } from "../../tools/chips/rs485-wire"
import { Sc16is752, type Sc16is752Options } from "../../tools/chips/sc16is752"
import { plainFormat } from "../../tools/chips/uart-frame"

const reg = { hr: 0, ier: 1, fcr: 2, lcr: 3, mcr: 4, lsr: 5, spr: 7, txlvl: 8, rxlvl: 9, ioctl: 14, efcr: 15 }

function board(clock: ManualClock, wire?: Rs485Wire, options: Partial<Sc16is752Options> = {}) {
    const bus = new I2cBusModel(clock)
    const chip = new Sc16is752({ clock, ...options })
    bus.attach(chip)
    chip.powerOn()
    if (wire) chip.channels[0].connect(wire)
    const sub = (register: number, channel = 0) => (register << 3) | (channel << 1)
    const write = (register: number, ...octets: number[]) =>
        bus.transfer(chip.address, Uint8Array.of(sub(register), ...octets), 0).status
    const burst = (register: number, n: number, channel = 0) => [
        ...bus.transfer(chip.address, Uint8Array.of(sub(register, channel)), n).data,
    ]
    const read = (register: number, channel = 0) => burst(register, 1, channel)[0]
    /** The order of the fact sheet: FIFO, EFR by LCR = BF, divisor, format, EFCR. */
    const start = (divisor = 96, lcr = 0x03, efcr = 0x30) => {
        write(reg.fcr, 0x06)
        write(reg.fcr, 0x01)
        write(reg.lcr, 0xbf)
        write(2, 0x10)
        write(reg.lcr, 0x80)
        write(0, divisor & 0xff)
        write(1, divisor >> 8)
        write(reg.lcr, lcr)
        write(reg.efcr, efcr)
    }
    return { bus, chip, write, read, burst, start }
}

function pair(options: Partial<WireOptions> = {}) {
    const clock = new ManualClock()
    const wire = new Rs485Wire({ clock, ...options })
    const a = board(clock, wire)
    const b = board(clock, wire)
    a.start()
    b.start()
    return { clock, wire, a, b }
}

describe("SC16IS752 model, registers", () => {
    it.each([
        ["VDD", "VDD", 0x90],
        ["VSS", "VSS", 0x9a],
        ["VSS", "SDA", 0x9e],
        ["SCL", "VDD", 0xa0],
        ["SDA", "SDA", 0xae],
    ] as const)("A1 = %s, A0 = %s gives the 8-bit address %i", (a1, a0, address) => {
        expect(board(new ManualClock(), undefined, { a1, a0 }).chip.address).toBe(address >> 1)
    })

    it("resets by IOControl b3 with that octet not acknowledged, and keeps divisor and scratch", () => {
        const { write, read, start } = board(new ManualClock())
        start(12)
        write(reg.spr, 0x77)
        write(reg.ier, 0x05)
        expect(write(reg.ioctl, 0x08)).toBe(-2)
        expect([1, 2, 3, 4, 5, 8, 9, 15, 7].map(r => read(r))).toEqual([0, 1, 0x1d, 0, 0x60, 64, 0, 0, 0x77])
        write(reg.lcr, 0x80)
        expect([read(0), read(1)]).toEqual([12, 0])
    })

    it("comes up with a meaningless divisor", () => {
        const { write, read } = board(new ManualClock())
        write(reg.lcr, 0x80)
        expect(read(0) + 256 * read(1)).toBeGreaterThan(1000)
    })

    it("shows EFR only while LCR is BF and the divisor only while LCR7 is set and LCR is not BF", () => {
        const { write, read } = board(new ManualClock())
        write(2, 0x01)
        expect(read(2) & 0xc1).toBe(0xc1)
        write(reg.lcr, 0xbf)
        write(2, 0x10)
        write(0, 0x55)
        expect(read(2)).toBe(0x10)
        write(reg.lcr, 0x80)
        expect(read(0)).not.toBe(0x55)
        write(0, 0x60)
        expect(read(0)).toBe(0x60)
        expect(read(2) & 0xc1).toBe(0xc1)
        write(reg.lcr, 0x03)
        expect(read(1)).toBe(0)
    })

    it("lets IER 7:4 and MCR 7:5 and b2 be written only with EFR bit 4", () => {
        const { write, read } = board(new ManualClock())
        write(reg.ier, 0xf5)
        write(reg.mcr, 0xe7)
        expect([read(reg.ier), read(reg.mcr)]).toEqual([0x05, 0x03])
        write(reg.lcr, 0xbf)
        write(2, 0x10)
        write(reg.lcr, 0x03)
        write(reg.ier, 0xe5)
        write(reg.mcr, 0x84)
        expect([read(reg.ier), read(reg.mcr)]).toEqual([0xe5, 0x84])
        write(6, 0x21)
        expect(read(6)).toBe(0x21)
    })

    it.each([
        [14_745_600, 96, 0, 9600],
        [14_745_600, 3072, 0, 300],
        [14_745_600, 8, 0, 115_200],
        [1_843_200, 12, 0, 9600],
        [1_843_200, 384, 0, 300],
        [14_745_600, 24, 0x80, 9600],
    ])("crystal %i, divisor %i, MCR %i is %i baud", (crystalHz, divisor, mcr, baud) => {
        const { chip, start, write } = board(new ManualClock(), undefined, { crystalHz })
        start(divisor)
        write(reg.mcr, mcr)
        expect(chip.channels[0].format()?.baud).toBe(baud)
    })

    it.each([
        [0x03, 8, "none"],
        [0x1b, 8, "even"],
        [0x1a, 7, "even"],
        [0x0b, 8, "odd"],
    ])("LCR %i is %i data bits, parity %s", (lcr, dataBits, parity) => {
        const { chip, start } = board(new ManualClock())
        start(96, lcr)
        expect(chip.channels[0].format()).toMatchObject({ dataBits, parity, stopBits: 1 })
    })

    it('reads FF everywhere after a supply dip ("255 octets free") until it is reset', () => {
        const { chip, write, read, start } = board(new ManualClock())
        start()
        chip.upset()
        expect([read(reg.txlvl), read(reg.rxlvl), read(reg.lsr)]).toEqual([255, 255, 255])
        write(reg.lcr, 0x03)
        expect(read(reg.lcr)).toBe(255)
        write(reg.ioctl, 0x08)
        expect(read(reg.txlvl)).toBe(64)
    })

    it("has eight GPIO shared by both channels, with interrupt on change", () => {
        const { chip, write, read } = board(new ManualClock())
        write(10, 0x0f)
        write(11, 0x05)
        expect(read(11)).toBe(0xf5)
        write(12, 0x80)
        expect(chip.interruptLow).toBe(false)
        chip.setInput(7, false)
        expect(chip.interruptLow).toBe(true)
        expect([read(2, 0) & 0x3f, read(2, 1) & 0x3f]).toEqual([0x30, 0x30])
        expect(read(11)).toBe(0x75)
        expect(chip.interruptLow).toBe(false)
    })
})

describe("SC16IS752 model, sending and receiving", () => {
    it("takes 64 octets, loses the surplus, and drains at the baud rate", () => {
        const { clock, a } = pair()
        a.write(reg.hr, ...Array.from({ length: 70 }, (_, i) => i))
        // One is in the shifter, so 65 found a place.
        expect(a.read(reg.txlvl)).toBe(0)
        expect(a.read(reg.lsr) & 0x60).toBe(0)
        clock.advance(10 * (10_000 / 9600) + 0.01)
        expect(a.read(reg.txlvl)).toBe(10)
        clock.advance(54 * (10_000 / 9600))
        expect(a.read(reg.txlvl)).toBe(64)
        expect(a.read(reg.lsr) & 0x60).toBe(0x20)
        clock.advance(10_000 / 9600)
        expect(a.read(reg.lsr) & 0x60).toBe(0x60)
    })

    it("delivers what the other sends, at its time, however coarse the clock", () => {
        const { clock, a, b } = pair()
        a.write(reg.hr, 1, 2, 3, 4, 5)
        clock.advance(3 * (10_000 / 9600) + 0.01)
        expect(b.read(reg.rxlvl)).toBe(3)
        expect(b.burst(reg.hr, 3)).toEqual([1, 2, 3])
        clock.advance(60_000)
        expect(b.read(reg.rxlvl)).toBe(2)
        expect(b.read(reg.lsr) & 0x1f).toBe(0x01)
        expect(b.burst(reg.hr, 2)).toEqual([4, 5])
        expect(b.read(reg.lsr) & 0x1f).toBe(0)
    })

    it("does not hear itself unless the transceiver echoes", () => {
        const { clock, a } = pair()
        a.write(reg.hr, 1)
        clock.advance(100)
        expect(a.read(reg.rxlvl)).toBe(0)
        const echoing = new Rs485Wire({ clock })
        const c = board(clock)
        c.chip.channels[0].connect(echoing, { echo: true })
        c.start()
        c.write(reg.hr, 7)
        clock.advance(100)
        expect(c.burst(reg.hr, 1)).toEqual([7])
        c.write(reg.efcr, 0x32)
        c.write(reg.hr, 7)
        clock.advance(100)
        expect(c.read(reg.rxlvl)).toBe(0)
    })

    it("keeps the old 64 on overrun and says so once", () => {
        const { clock, wire, b } = pair()
        const tap = wire.tap()
        tap.send(Uint8Array.from({ length: 80 }, (_, i) => i))
        clock.advance(1000)
        expect(b.read(reg.rxlvl)).toBe(64)
        expect(b.read(reg.lsr) & 0x02).toBe(0x02)
        expect(b.read(reg.lsr) & 0x02).toBe(0)
        expect(b.burst(reg.hr, 64)).toEqual(Array.from({ length: 64 }, (_, i) => i))
    })

    it("a 9600 baud line fills the FIFO in about 66 ms", () => {
        const { clock, wire, b } = pair()
        wire.tap().send(new Uint8Array(100))
        clock.advance(66)
        expect(b.read(reg.lsr) & 0x02).toBe(0)
        clock.advance(3)
        expect(b.read(reg.lsr) & 0x02).toBe(0x02)
    })

    it("raises RX trigger, RX time-out and THR interrupts by their rules", () => {
        const { clock, wire, b } = pair()
        b.write(reg.ier, 0x07)
        expect(b.read(2)).toBe(0xc2)
        expect(b.read(2)).toBe(0xc1)
        const tap = wire.tap()
        tap.send(new Uint8Array(8))
        clock.advance(8.4)
        expect(b.read(2)).toBe(0xc4)
        b.burst(reg.hr, 5)
        expect(b.read(2)).toBe(0xc1)
        clock.advance(4.2)
        expect(b.read(2)).toBe(0xcc)
        b.burst(reg.hr, 3)
        expect(b.read(2)).toBe(0xc1)
        expect(b.chip.interruptLow).toBe(false)
        b.write(reg.hr, 1)
        clock.advance(5)
        expect(b.read(2)).toBe(0xc2)
    })

    it("shows the phantom time-out of the errata until RHR is read", () => {
        const { b } = pair()
        b.write(reg.ier, 0x01)
        b.chip.channels[0].phantomTimeout()
        expect([b.read(2), b.read(2), b.read(reg.rxlvl), b.read(reg.lsr) & 1]).toEqual([0xcc, 0xcc, 0, 0])
        b.read(reg.hr)
        expect(b.read(2)).toBe(0xc1)
    })

    it("reports parity and framing errors of the octet at the head", () => {
        const { clock, wire, b } = pair()
        b.start(96, 0x1b)
        const tap = wire.tap({ format: { ...plainFormat(9600), parity: "odd" } })
        tap.send(Uint8Array.of(0x41))
        clock.advance(5)
        expect(b.read(reg.lsr)).toBe(0xe5)
        expect(b.read(reg.hr)).toBe(0x41)
        expect(b.read(reg.lsr)).toBe(0x60)
    })

    it("makes nonsense of another baud rate, with framing errors", () => {
        const { clock, wire, b } = pair()
        wire.tap({ format: plainFormat(2400) }).send(Uint8Array.of(0x1b, 0x1b, 0x01))
        clock.advance(50)
        expect(b.read(reg.lsr) & 0x80).toBe(0x80)
        expect(b.burst(reg.hr, 3)).not.toEqual([0x1b, 0x1b, 0x01])
    })

    it("loops back inside with MCR b4, nothing reaches the line", () => {
        const { clock, a, b } = pair()
        a.write(reg.mcr, 0x10)
        a.write(reg.hr, 9)
        clock.advance(10)
        expect(a.burst(reg.hr, 1)).toEqual([9])
        expect(b.read(reg.rxlvl)).toBe(0)
    })

    it("empties a FIFO by FCR", () => {
        const { clock, wire, b } = pair()
        wire.tap().send(new Uint8Array(8))
        clock.advance(20)
        b.write(reg.fcr, 0x03)
        expect(b.read(reg.rxlvl)).toBe(0)
    })

    it("keeps channels apart", () => {
        const { clock, wire, b } = pair()
        wire.tap().send(Uint8Array.of(1))
        clock.advance(10)
        expect(b.read(reg.rxlvl, 1)).toBe(0)
        expect(b.read(reg.rxlvl, 0)).toBe(1)
    })
})

describe("RS-485 wire", () => {
    function heard(wire: Rs485Wire) {
        const octets: number[] = []
        wire.tap({ onOctets: o => octets.push(...o) })
        return octets
    }

    it("is not reached by a channel whose direction is left to software or set the wrong way round", () => {
        for (const [efcr, mcr] of [
            [0x00, 0x02],
            [0x10, 0x00],
        ]) {
            const { clock, wire, a } = pair()
            const octets = heard(wire)
            a.write(reg.efcr, efcr)
            a.write(reg.mcr, mcr)
            a.write(reg.hr, 1, 2)
            clock.advance(100)
            wire.advance()
            expect(octets).toEqual([])
        }
    })

    it("is spoiled by a driver that stays enabled while idle", () => {
        const { clock, wire, a, b } = pair()
        const octets = heard(wire)
        b.write(reg.efcr, 0x00)
        a.write(reg.hr, 0x00)
        clock.advance(10)
        wire.advance()
        expect(octets).not.toEqual([0x00])
        expect(wire.collisions).toBe(1)
        b.chip.powerOff()
        octets.length = 0
        a.write(reg.hr, 0x00)
        clock.advance(10)
        wire.advance()
        expect(octets).toEqual([0x00])
    })

    it("garbles characters that overlap, with framing errors at a third station", () => {
        const { clock, wire, a, b } = pair()
        const c = board(clock, wire)
        c.start()
        a.write(reg.hr, 0xf0)
        clock.advance(0.5)
        b.write(reg.hr, 0x0f)
        clock.advance(10)
        expect(c.read(reg.lsr) & 0x08).toBe(0x08)
        expect(c.burst(reg.hr, 2)).toEqual([0, 0])
        expect([a.read(reg.rxlvl), b.read(reg.rxlvl)]).toEqual([0, 0])
    })

    it("lets equal characters that coincide pass as one", () => {
        const { clock, wire, a, b } = pair()
        const octets = heard(wire)
        a.write(reg.hr, 0xe5)
        b.write(reg.hr, 0xe5)
        clock.advance(10)
        wire.advance()
        expect(octets).toEqual([0xe5])
        expect(wire.collisions).toBe(0)
    })

    it("lets a tap answer at the time its question ended, within one jump of the clock", () => {
        const { clock, wire, a } = pair()
        const tap = wire.tap({
            onOctets: (octets, atMs) => {
                if (octets[0] === 3) tap.send(Uint8Array.of(0xaa), atMs + 5)
            },
        })
        a.write(reg.hr, 1, 2, 3)
        clock.advance(1000)
        expect(a.burst(reg.hr, 1)).toEqual([0xaa])
        expect(wire.collisions).toBe(0)
    })

    it("disturbs by seed: the same noise for the same seed, none at probability 0", () => {
        const run = (seed: number, flip: number, insert: number) => {
            const { clock, wire } = pair({ noise: { seed, flip, insert } })
            const octets = heard(wire)
            wire.tap().send(new Uint8Array(200))
            clock.advance(1000)
            wire.advance()
            return octets
        }
        expect(run(1, 0, 0)).toEqual(new Array(200).fill(0))
        const noisy = run(1, 0.1, 0.1)
        expect(noisy).toEqual(run(1, 0.1, 0.1))
        expect(noisy).not.toEqual(run(2, 0.1, 0.1))
        expect(noisy.length).toBeGreaterThan(205)
        expect(noisy.filter(o => o !== 0).length).toBeGreaterThan(20)
    })

    it("takes no time when ideal", () => {
        const { wire, a, b } = pair({ timing: "ideal" })
        const octets = heard(wire)
        a.write(reg.hr, ...Array.from({ length: 64 }, (_, i) => i))
        expect(b.read(reg.rxlvl)).toBe(64)
        expect(octets.length).toBe(64)
        expect(a.read(reg.lsr) & 0x60).toBe(0x60)
    })

    it("can be left", () => {
        const { clock, wire, a } = pair()
        const octets: number[] = []
        const tap = wire.tap({ onOctets: o => octets.push(...o) })
        tap.detach()
        a.write(reg.hr, 1)
        clock.advance(10)
        wire.advance()
        expect(octets).toEqual([])
    })
})
