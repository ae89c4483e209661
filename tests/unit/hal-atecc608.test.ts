import { beforeEach, describe, expect, it } from "vitest"
import { Atecc608, elementCrc } from "../../hal/atecc608"
import { elementFrames } from "../helpers/element-frames.ts"
import { codeThrown } from "../helpers/errors"
import { busError } from "../helpers/fake-bus"
import { bitwiseCrc, FakeElement } from "../helpers/fake-element"
import { ModelTime } from "../helpers/model-time"

let time: ModelTime
let fake: FakeElement
let part: Atecc608
const digest = Buffer.alloc(32, 7)
const sixtyFour = Buffer.from(Array.from({ length: 64 }, (_, i) => i))

beforeEach(() => {
    time = new ModelTime()
    time.install()
    fake = new FakeElement()
    part = new Atecc608(fake, 0x60)
    fake.answer = command => (command.op === 0x41 || command.op === 0x40 ? sixtyFour : 0)
})

/** Head of a configuration zone: serial, revision of a 608B, ChipMode. */
function head(chipMode = 0): Buffer {
    const octets = Buffer.alloc(32)
    Buffer.from("0123a1b200006003c4c5c6c7ee615500c000", "hex").copy(octets)
    octets[19] = chipMode
    return octets
}

describe("ATECC608 packets", () => {
    it.each(elementFrames)("have the CRC of the wire: %s %s", (octets, crc) => {
        const value = elementCrc(Buffer.from(octets, "hex"), 0, octets.length / 2)
        expect(Buffer.from([value & 0xff, value >> 8]).toString("hex")).toBe(crc)
    })

    it("have the CRC the data sheet words, for every length", () => {
        for (let length = 0; length < 140; ++length) {
            const octets = Buffer.from(Array.from({ length }, (_, i) => (i * 77 + length) & 0xff))
            const value = elementCrc(octets, 0, length)
            expect(Buffer.from([value & 0xff, value >> 8])).toEqual(bitwiseCrc(octets))
        }
    })
})

describe("ATECC608 driver", () => {
    it("wakes, loads the digest, signs and sleeps in one session", () => {
        expect(part.sign(2, digest)).toEqual(sixtyFour)
        expect(fake.log).toEqual(["W", "16", "41", "S"])
        expect(fake.commands).toEqual([
            { op: 0x16, p1: 0x03, p2: 0, data: digest },
            { op: 0x41, p1: 0x80, p2: 2, data: Buffer.alloc(0) },
        ])
        expect(fake.awake).toBe(false)
    })

    it("verifies with a key from outside: a status of 01 is a bad signature, not a fault", () => {
        expect(part.verify(sixtyFour, digest, Buffer.alloc(64, 9))).toBe(true)
        expect(fake.commands[1]).toEqual({
            op: 0x45,
            p1: 0x02,
            p2: 4,
            data: Buffer.concat([Buffer.alloc(64, 9), sixtyFour]),
        })
        fake.answer = command => (command.op === 0x45 ? 1 : 0)
        expect(part.verify(sixtyFour, digest, sixtyFour)).toBe(false)
    })

    it.each([0x03, 0x05])(
        "takes a key or signature it refuses to compute with (status %d) as one that does not hold",
        status => {
            fake.answer = command => (command.op === 0x45 ? status : 0)
            expect(part.verify(sixtyFour, digest, sixtyFour)).toBe(false)
        },
    )

    it("uses each other command as the fact sheet has it", () => {
        fake.answer = command => {
            if (command.op === 0x24) return Buffer.from("78563402", "hex")
            if (command.op === 0x30) return Buffer.from("00006003", "hex")
            return command.op === 0x40
                ? sixtyFour
                : command.op === 0x12 || command.op === 0x17
                  ? 0
                  : Buffer.alloc(32, 3)
        }
        expect(part.counter(0, true)).toBe(0x02345678)
        expect(part.counter(1, false)).toBe(0x02345678)
        expect(part.info(0, 0).toString("hex")).toBe("00006003")
        part.genKey(1, true)
        part.genKey(1, false)
        expect(part.ecdh(1, sixtyFour)).toEqual(Buffer.alloc(32, 3))
        expect(part.random()).toEqual(Buffer.alloc(32, 3))
        part.readBlock(2, 0x140)
        part.write(0, 5, Buffer.alloc(4, 1))
        part.write(2, 0x40, Buffer.alloc(32, 2))
        part.lock(0, 0x1234)
        expect(fake.commands.map(c => [c.op, c.p1, c.p2, c.data.length])).toEqual([
            [0x24, 1, 0, 0],
            [0x24, 0, 1, 0],
            [0x30, 0, 0, 0],
            [0x40, 4, 1, 0],
            [0x40, 0, 1, 0],
            [0x43, 0x0c, 1, 64],
            [0x1b, 0, 0, 0],
            [0x02, 0x82, 0x140, 0],
            [0x12, 0x00, 5, 4],
            [0x12, 0x82, 0x40, 32],
            [0x17, 0, 0x1234, 0],
        ])
    })

    it("tells random octets from the pattern of an open configuration", () => {
        fake.answer = () => Buffer.from("ffff0000".repeat(8), "hex")
        expect(codeThrown(() => part.random())).toBe("ElementNotLocked")
    })

    it.each([
        [0x07, "ElementSelfTest"],
        [0x08, "ElementRandom"],
        [0x03, "ElementParse"],
        [0x0f, "ElementExecution"],
        [0x42, "ElementStatus"],
    ])("does not repeat what status %d refuses, and sleeps", (status, code) => {
        fake.answer = () => status
        expect(codeThrown(() => part.genKey(0, true))).toBe(code)
        expect(fake.log).toEqual(["W", "40", "S"])
    })

    it("sends a command again that arrived damaged (FF), three times in all", () => {
        const statuses = [0xff, 0xff]
        fake.answer = command => (command.op === 0x41 ? (statuses.shift() ?? sixtyFour) : 0)
        expect(part.sign(0, digest)).toEqual(sixtyFour)
        expect(fake.log).toEqual(["W", "16", "41", "41", "41", "S"])
        fake.answer = () => 0xff
        expect(codeThrown(() => part.counter(0, true))).toBe("ElementCommandCrc")
        expect(fake.log.slice(6)).toEqual(["W", "24", "24", "24", "S"])
    })

    it("idles and wakes, keeping the digest, when the watchdog leaves too little time (EE)", () => {
        const statuses = [0xee]
        fake.answer = command => (command.op === 0x41 ? (statuses.shift() ?? sixtyFour) : 0)
        expect(part.sign(0, digest)).toEqual(sixtyFour)
        expect(fake.log).toEqual(["W", "16", "41", "I", "W", "41", "S"])
        fake.answer = () => 0xee
        expect(codeThrown(() => part.info(0, 0))).toBe("ElementWatchdog")
    })

    it("begins anew, digest included, when the part restarted in the midst (11)", () => {
        const statuses = [0x11]
        fake.answer = command => (command.op === 0x41 ? (statuses.shift() ?? sixtyFour) : 0)
        expect(part.sign(0, digest)).toEqual(sixtyFour)
        expect(fake.log).toEqual(["W", "16", "41", "S", "W", "16", "41", "S"])
        fake.answer = command => (command.op === 0x41 ? 0x11 : 0)
        expect(codeThrown(() => part.sign(0, digest))).toBe("ElementRestart")
    })

    it("begins anew after a fault in the computation (05), then says so", () => {
        const statuses = [0x05]
        fake.answer = command => (command.op === 0x41 ? (statuses.shift() ?? sixtyFour) : 0)
        expect(part.sign(0, digest)).toEqual(sixtyFour)
        fake.answer = command => (command.op === 0x41 ? 0x05 : 0)
        expect(codeThrown(() => part.sign(0, digest))).toBe("ElementEccFault")
    })

    it("wakes a part that fell asleep between two commands and begins anew", () => {
        let asleep = false
        const transfer = fake.transfer.bind(fake)
        fake.transfer = (address, write, length) => {
            const answer = transfer(address, write, length)
            if (!asleep && length === 3) {
                asleep = true
                fake.awake = false
            }
            return answer
        }
        expect(part.sign(0, digest)).toEqual(sixtyFour)
        expect(fake.log).toEqual(["W", "16", "W", "16", "41", "S"])
    })

    it("reads a damaged answer again and never executes the command again", () => {
        let damaged = 2
        fake.garble = octets => {
            if (octets.length > 4 && damaged-- > 0) octets[3] ^= 1
            return octets
        }
        expect(part.genKey(0, true)).toEqual(sixtyFour)
        expect(fake.log).toEqual(["W", "40", "R", "R", "S"])
        damaged = 1000
        expect(codeThrown(() => part.genKey(0, true))).toBe("ElementAnswerCrc")
        expect(fake.commands).toHaveLength(2)
    })

    it.each([0, 3, 76, 255])("takes a count of %d for a damaged answer", count => {
        let first = true
        fake.garble = octets => {
            if (octets.length === 1 && first) {
                first = false
                octets[0] = count
            }
            return octets
        }
        expect(part.genKey(0, false)).toEqual(sixtyFour)
        expect(fake.commands).toHaveLength(1)
    })

    it("refuses an intact answer of another length than the command has", () => {
        fake.answer = () => Buffer.alloc(32, 1)
        expect(codeThrown(() => part.genKey(0, false))).toBe("ImpossibleValue")
    })

    it("polls from 1 ms on, every 2 ms, as long as the slowest divider allows", () => {
        fake.busyPolls = 240
        const from = time.ms
        part.genKey(0, true)
        expect(time.ms - from).toBeGreaterThan(2 * 240)
        fake.busyPolls = 100000
        expect(codeThrown(() => part.genKey(0, true))).toBe("ElementBusyTooLong")
        expect(fake.awake).toBe(false)
    })

    it.each([
        [0x00, 115],
        [0x28, 220],
        [0x6a, 665],
    ])("knows from ChipMode %d that a signature takes up to %d ms", (chipMode, ms) => {
        fake.answer = () => head(chipMode)
        part.head()
        fake.answer = command => (command.op === 0x41 ? sixtyFour : 0)
        let from = 0
        fake.answer = command => {
            fake.busyPolls = command.op === 0x41 ? 100000 : 0
            from = time.ms
            return 0
        }
        expect(codeThrown(() => part.sign(0, digest))).toBe("ElementBusyTooLong")
        // The last of three tries.
        expect(time.ms - from).toBeGreaterThan(ms * 1.4)
        expect(time.ms - from).toBeLessThan(ms * 1.5 + 60)
    })

    it("tells a part that is busy for ever from one that does not wake", () => {
        const transfer = fake.transfer.bind(fake)
        let told = false
        // From the first command on nothing is acknowledged any more.
        fake.transfer = (address, write, length) => {
            if (told) throw busError(-1)
            told = write.length > 1
            return transfer(address, write, length)
        }
        expect(codeThrown(() => part.genKey(0, true))).toBe("ElementBusyTooLong")
    })

    it("knows the part by serial number and revision", () => {
        fake.answer = () => head()
        expect(part.head().subarray(0, 4).toString("hex")).toBe("0123a1b2")
        const other = head()
        other[6] = 0x50
        fake.answer = () => other
        expect(codeThrown(() => part.head())).toBe("PartMismatch")
    })

    it("tells a part that never was there from one that does not wake any more", () => {
        fake.dead = true
        expect(codeThrown(() => part.info(0, 0))).toBe("PartAbsent")
        fake.dead = false
        fake.answer = () => Buffer.from("00006003", "hex")
        part.info(0, 0)
        fake.dead = true
        expect(codeThrown(() => part.info(0, 0))).toBe("ElementWake")
    })

    it("takes no octets but the wake frame for a wake, and finds a part that is awake with an old answer", () => {
        fake.awake = true
        fake.output = Buffer.from("0400034000000000", "hex")
        fake.answer = () => Buffer.from("00006003", "hex")
        expect(part.info(0, 0).toString("hex")).toBe("00006003")
        expect(fake.log).toEqual(["W", "S", "W", "30", "S"])
        fake.wakeAnswer = Buffer.from("04113344", "hex")
        expect(codeThrown(() => part.info(0, 0))).toBe("ElementWake")
    })

    it("knows a failed self-test at wake by status and CRC", () => {
        fake.wakeAnswer = Buffer.from("040740c2", "hex")
        expect(codeThrown(() => part.info(0, 0))).toBe("ElementSelfTest")
    })

    it("passes a stuck bus through as such", () => {
        fake.transfer = () => {
            throw busError(-3)
        }
        expect(codeThrown(() => part.info(0, 0))).toBe("BusStuck")
    })

    it("lets one session end before the next begins, and says when that takes too long", () => {
        const order: string[] = []
        let nested = false
        fake.busyPolls = 3
        time.everyMs = () => {
            if (nested || fake.commands.length === 0) return
            nested = true
            // Another fiber, in the midst of the session.
            order.push(codeThrown(() => part.counter(0, false)))
        }
        part.sign(0, digest)
        expect(order).toEqual(["ElementOccupied"])
        expect(fake.log).toEqual(["W", "16", "41", "S"])
        expect(codeThrown(() => part.genKey(0, false))).toBe("none")
    })

    it.each([31, 33, 0])("refuses a digest of %d octets before anything moves", length => {
        expect(codeThrown(() => part.sign(0, Buffer.alloc(length)))).toBe("BadArgument")
        expect(fake.log).toEqual([])
    })
})
