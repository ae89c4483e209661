import {
    createECDH,
    createHash,
    createPublicKey,
    generateKeyPairSync,
    sign as nodeSign,
    verify as nodeVerify,
} from "node:crypto"
import { describe, expect, it } from "vitest"
import { Atecc608b, type AteccOptions } from "../../tools/chips/atecc608b"
import { counterEnd, crc16, decodeCounter, encodeCounter } from "../../tools/chips/atecc608b-memory"
import { I2cBusModel } from "../../tools/chips/bus"
import { ManualClock } from "../../tools/chips/clock"
import { parseTrace, replay } from "../../tools/chips/trace"
import { elementFrames } from "../helpers/element-frames.ts"

const hex = (octets: Uint8Array) => Buffer.from(octets).toString("hex")
const sha256 = (...parts: Uint8Array[]) => {
    const hash = createHash("sha256")
    for (const part of parts) hash.update(part)
    return new Uint8Array(hash.digest())
}

function packet(opcode: number, p1 = 0, p2 = 0, data: Uint8Array = new Uint8Array(0)): Uint8Array {
    const body = Uint8Array.of(7 + data.length, opcode, p1, p2 & 0xff, p2 >> 8, ...data)
    const crc = crc16(body)
    return Uint8Array.of(0x03, ...body, crc & 0xff, crc >> 8)
}

function bench(options: Partial<AteccOptions> = {}, hz = 100_000) {
    const clock = new ManualClock()
    const bus = new I2cBusModel(clock, hz)
    const chip = new Atecc608b({ clock, serial: 0x112233445566, ...options })
    bus.attach(chip)
    chip.powerOn()
    const b = {
        clock,
        bus,
        chip,
        word: (octet: number) => bus.transfer(0x60, Uint8Array.of(octet), 0).status,
        read: (n: number) => bus.transfer(0x60, new Uint8Array(0), n),
        pulse: () => bus.transfer(0, new Uint8Array(0), 0),
        wake: () => {
            b.pulse()
            clock.advance(1.5)
            return hex(b.read(4).data)
        },
        /** Sends, polls every millisecond, checks count and CRC; the answer's data. */
        ask: (opcode: number, p1 = 0, p2 = 0, data = new Uint8Array(0) as Uint8Array) => {
            expect(bus.transfer(0x60, packet(opcode, p1, p2, data), 0).status).toBe(0)
            let first = b.read(1)
            for (let ms = 0; first.status === -1 && ms < 3000; ms++) {
                clock.advance(1)
                first = b.read(1)
            }
            expect(first.status).toBe(0)
            const rest = b.read(first.data[0] - 1).data
            const body = Uint8Array.of(first.data[0], ...rest.subarray(0, -2))
            expect(crc16(body)).toBe(rest[rest.length - 2] | (rest[rest.length - 1] << 8))
            return body.slice(1)
        },
        /** A fresh watchdog period before a command, so that tests read as command lists. */
        run: (opcode: number, p1 = 0, p2 = 0, data = new Uint8Array(0) as Uint8Array) => {
            b.word(0x02)
            b.wake()
            return b.ask(opcode, p1, p2, data)
        },
        status: (opcode: number, p1 = 0, p2 = 0, data = new Uint8Array(0) as Uint8Array) => {
            const answer = b.run(opcode, p1, p2, data)
            expect(answer.length).toBe(1)
            return answer[0]
        },
        /** Configuration as the project uses it: slots 0, 2 signing, 1 with ECDH, 8 up free data. */
        configure: () => {
            const slots = Buffer.from("83208720832083208320832083208320", "hex")
            for (let w = 0; w < 4; w++) b.run(0x12, 0x00, 5 + w, slots.subarray(4 * w, 4 * w + 4))
            for (let w = 0; w < 4; w++) b.run(0x12, 0x00, 9 + w, new Uint8Array(4))
            for (let w = 0; w < 4; w++) b.run(0x12, 0x00, 24 + w, Uint8Array.of(0x33, 0, 0x33, 0))
            for (let w = 4; w < 8; w++) b.run(0x12, 0x00, 24 + w, Uint8Array.of(0x3c, 0, 0x30, 0))
            expect(b.status(0x17, 0x80)).toBe(0)
        },
        lockData: () => expect(b.status(0x17, 0x81)).toBe(0),
        config: () => Uint8Array.from([0, 1, 2, 3].flatMap(block => [...b.run(0x02, 0x80, block * 8)])),
    }
    return b
}

function configured(options: Partial<AteccOptions> = {}) {
    const b = bench(options)
    b.wake()
    b.configure()
    return b
}

const digest = sha256(Buffer.from("one kilowatt hour"))
const load = (b: ReturnType<typeof bench>, d = digest) => expect(b.status(0x16, 0x03, 0, d)).toBe(0)

function nodeKey(publicOctets: Uint8Array) {
    const url = (o: Uint8Array) => Buffer.from(o).toString("base64url")
    return createPublicKey({
        key: { kty: "EC", crv: "P-256", x: url(publicOctets.subarray(0, 32)), y: url(publicOctets.subarray(32)) },
        format: "jwk",
    })
}

describe("ATECC608B packets", () => {
    it.each(elementFrames)("CRC of %s is %s", (octets, crc) => {
        const value = crc16(Buffer.from(octets, "hex"))
        expect(hex(Uint8Array.of(value & 0xff, value >> 8))).toBe(crc)
    })

    it("answers the recorded exchange: Info gives the revision of a 608B", () => {
        const b = bench()
        b.wake()
        b.bus.transfer(0x60, Buffer.from("030730000000035d", "hex"), 0)
        b.clock.advance(5)
        expect(hex(b.read(7).data)).toBe("070000600383bb")
    })

    it("replays what was seen on the wire of real parts: wake answer, revision, status octets with their CRC", () => {
        const b = bench()
        const trace = parseTrace(`
            # helium/gateway-mfr-rs issue 16, and the wake answer every driver expects
            0   00 - 0 -> -1 -
            1.5 60 - 4 -> 0 04113343
            2   60 030730000000035d 0 -> 0 -
            3   60 - 1 -> -1 -
            8   60 - 1 -> 0 07
            9   60 - 6 -> 0 0000600383bb
            10  60 03071b00000024cd 0 -> 0 -
            20  60 - 1 -> -1 -
            34  60 - 1 -> 0 23
            35  60 02 0 -> 0 -
            36  60 - 1 -> -1 -
        `)
        expect(replay(trace, b.bus, ms => b.clock.advance(ms))).toEqual([])
    })

    it("goes on reading where the last read ended, starts over at word address 0, then gives FF", () => {
        const b = bench()
        b.wake()
        b.bus.transfer(0x60, packet(0x30), 0)
        b.clock.advance(5)
        expect(hex(b.read(1).data) + hex(b.read(3).data) + hex(b.read(5).data)).toBe("070000600383bbffff")
        expect(hex(b.bus.transfer(0x60, Uint8Array.of(0), 3).data)).toBe("070000")
    })

    it("answers FF to a wrong CRC, 03 to a wrong opcode, length or parameter", () => {
        const b = bench()
        b.wake()
        const damaged = packet(0x30)
        damaged[6] ^= 1
        b.bus.transfer(0x60, damaged, 0)
        b.clock.advance(2)
        expect(hex(b.read(4).data)).toBe("04ff0142")
        expect(b.status(0x99)).toBe(0x03)
        expect(b.status(0x30, 0x05)).toBe(0x03)
        expect(b.status(0x30, 0, 0, new Uint8Array(4))).toBe(0x03)
        expect(b.status(0x16, 0x03, 0, new Uint8Array(31))).toBe(0x03)
    })

    it("does not acknowledge octets past the declared count", () => {
        const b = bench()
        b.wake()
        expect(b.bus.transfer(0x60, Uint8Array.of(...packet(0x30), 0), 0).status).toBe(-2)
        b.clock.advance(5)
        expect(hex(b.read(7).data)).toBe("070000600383bb")
    })

    it("waits for the rest of a packet that is too short: reads are not acknowledged until it comes or the part sleeps", () => {
        const b = bench()
        b.wake()
        const whole = packet(0x30)
        b.bus.transfer(0x60, whole.subarray(0, 5), 0)
        b.clock.advance(20)
        expect(b.read(1).status).toBe(-1)
        b.bus.transfer(0x60, Uint8Array.of(0x03, ...whole.subarray(5)), 0)
        b.clock.advance(5)
        expect(hex(b.read(7).data)).toBe("070000600383bb")
        b.bus.transfer(0x60, whole.subarray(0, 5), 0)
        b.word(0x01)
        expect(b.wake()).toBe("04113343")
    })
})

describe("ATECC608B wake, sleep, watchdog", () => {
    it("hears the wake pulse at 100 kHz and below only, and is ready 1.5 ms later", () => {
        const fast = bench({}, 400_000)
        expect(fast.wake()).toBe("")
        fast.bus.hz = 100_000
        fast.pulse()
        fast.clock.advance(1.4)
        expect(fast.read(4).status).toBe(-1)
        fast.clock.advance(0.1)
        fast.bus.hz = 400_000
        expect(hex(fast.read(4).data)).toBe("04113343")
    })

    it("does not acknowledge while asleep or idle", () => {
        const b = bench()
        expect(b.word(0x00)).toBe(-1)
        b.wake()
        expect(b.word(0x02)).toBe(0)
        expect(b.word(0x00)).toBe(-1)
    })

    it("is woken by slow traffic for other parts, then sleeps by watchdog", () => {
        const b = bench()
        b.bus.attach({
            answers: a => a === 0x50,
            write: (_, d) => d.length,
            read: (_, n) => new Uint8Array(n),
            powerOff() {},
            powerOn() {},
        })
        b.bus.hz = 400_000
        b.bus.transfer(0x50, Uint8Array.of(0, 0), 0)
        expect(b.chip.state).toBe("sleep")
        b.bus.hz = 100_000
        b.bus.transfer(0x50, Uint8Array.of(0, 0), 0)
        expect(b.chip.state).toBe("awake")
        b.clock.advance(1301)
        expect(b.chip.state).toBe("sleep")
    })

    it("a wake pulse while awake does not restart the watchdog", () => {
        const b = bench()
        b.wake()
        b.clock.advance(1000)
        b.pulse()
        b.clock.advance(300)
        expect(b.word(0x00)).toBe(-1)
    })

    it("refuses with EE what the remaining watchdog time does not hold, and runs it after idle and wake", () => {
        const b = bench()
        b.wake()
        b.clock.advance(1280)
        expect([...b.ask(0x1b)]).toEqual([0xee])
        expect(b.run(0x1b).length).toBe(32)
    })

    it("keeps TempKey over idle, loses it in sleep and by the watchdog", () => {
        const valid = (b: ReturnType<typeof bench>) => b.run(0x30, 0x02)[1] >> 7
        const b = bench()
        b.wake()
        load(b)
        expect(valid(b)).toBe(1)
        b.word(0x01)
        b.wake()
        expect(valid(b)).toBe(0)
        load(b)
        b.clock.advance(1400)
        b.wake()
        expect(valid(b)).toBe(0)
    })

    it("flushes the output buffer on idle", () => {
        const b = bench()
        b.wake()
        b.ask(0x30)
        b.word(0x02)
        expect(b.wake()).toBe("04113343")
    })

    it("is busy, not acknowledging, for the time of the table", () => {
        const b = bench()
        b.wake()
        b.bus.transfer(0x60, packet(0x1b), 0)
        b.clock.advance(22.9)
        expect(b.read(1).status).toBe(-1)
        expect(b.word(0x00)).toBe(-1)
        b.clock.advance(0.2)
        expect(b.read(1).data[0]).toBe(35)
    })

    it("takes the divider of ChipMode over at the next wake: Nonce stays, Sign takes 665 ms in M2", () => {
        const b = bench()
        b.wake()
        expect(b.status(0x12, 0, 4, Uint8Array.of(0xc0, 0, 0, 0x68))).toBe(0)
        b.configure()
        b.run(0x40, 0x04, 0)
        load(b)
        b.word(0x02)
        b.wake()
        b.bus.transfer(0x60, packet(0x41, 0x80, 0), 0)
        b.clock.advance(664)
        expect(b.read(1).status).toBe(-1)
        b.clock.advance(2)
        expect(b.read(1).data[0]).toBe(67)
    })

    it("does nothing when power goes before a command has ended", () => {
        const b = configured()
        b.word(0x02)
        b.wake()
        b.bus.transfer(0x60, packet(0x40, 0x04, 0), 0)
        b.clock.advance(50)
        b.chip.powerOff()
        b.clock.advance(100)
        b.chip.powerOn()
        b.wake()
        expect(b.run(0x30, 0x01, 0)[0]).toBe(0)
    })
})

describe("ATECC608B memory and locks", () => {
    it("comes from the factory as the breakout boards do", () => {
        const b = bench()
        b.wake()
        expect(hex(b.config())).toBe(
            "012311220000600333445566eec15500c0000000" +
                "832087208f20c48f8f8f8f8f9f8faf8f0000000000000000000000000000af8f" +
                "ffffffff00000000ffffffff00000000" +
                "00000000000000000000000000000000" +
                "00005555ffff000000000000" +
                "3300330033001c001c001c001c001c003c003c003c003c003c003c003c001c00",
        )
    })

    it("gives FFFF0000 for random numbers and refuses keys and data before the config lock", () => {
        const b = bench()
        b.wake()
        expect(hex(b.run(0x1b))).toBe("ffff0000".repeat(8))
        expect(b.status(0x40, 0x04, 0)).toBe(0x0f)
        load(b)
        expect(b.status(0x41, 0x80, 0)).toBe(0x0f)
        expect(b.status(0x12, 0x82, 8 << 3, new Uint8Array(32))).toBe(0x0f)
        expect(b.status(0x02, 0x82, 8 << 3)).toBe(0x0f)
        expect(b.status(0x17, 0x81)).toBe(0x0f)
    })

    it("never writes octets 0..15 and 84..87, and nothing of config after its lock", () => {
        const b = bench()
        b.wake()
        for (const word of [0, 1, 2, 3, 21]) expect(b.status(0x12, 0, word, new Uint8Array(4))).toBe(0x0f)
        expect(b.status(0x12, 0x80, 0, new Uint8Array(32))).toBe(0x0f)
        expect(b.status(0x12, 0x80, 16, new Uint8Array(32))).toBe(0x0f)
        expect(b.status(0x12, 0, 22, Uint8Array.of(0xff, 0xff, 0, 0))).toBe(0)
        expect(b.status(0x12, 0x80, 8, new Uint8Array(32))).toBe(0)
        b.status(0x17, 0x80)
        expect(b.status(0x12, 0, 5, new Uint8Array(4))).toBe(0x0f)
        expect(b.status(0x17, 0x80)).toBe(0x0f)
    })

    it("locks config against the CRC of its 128 octets", () => {
        const b = bench()
        b.wake()
        const crc = crc16(b.config())
        expect(b.status(0x17, 0x00, crc ^ 1)).toBe(0x0f)
        expect(b.chip.locked.config).toBe(false)
        expect(b.status(0x17, 0x00, crc)).toBe(0)
        expect(b.chip.locked).toEqual({ config: true, data: false })
        expect(b.config()[87]).toBe(0)
    })

    it("between the locks takes clear 32-octet writes whatever WriteConfig says, and refuses every read", () => {
        const b = bench()
        b.wake()
        // Slot 9: never writable; slot 10: encrypted only.
        b.run(0x12, 0, 9, Uint8Array.of(0, 0, 0x00, 0x80))
        b.run(0x12, 0, 10, Uint8Array.of(0x80, 0x40, 0, 0))
        b.run(0x17, 0x80)
        const content = new Uint8Array(32).fill(7)
        expect(b.status(0x12, 0x82, 9 << 3, content)).toBe(0)
        expect(b.status(0x12, 0x82, 10 << 3, content)).toBe(0)
        expect(b.status(0x12, 0x02, 9 << 3, new Uint8Array(4))).toBe(0x0f)
        expect(b.status(0x02, 0x82, 9 << 3)).toBe(0x0f)
        expect(b.status(0x02, 0x81, 0)).toBe(0x0f)
        b.lockData()
        expect([...b.run(0x02, 0x82, 9 << 3)]).toEqual([...content])
        expect(b.status(0x02, 0x82, 10 << 3)).toBe(0x0f)
        expect(b.status(0x12, 0x82, 9 << 3, content)).toBe(0x0f)
        expect(b.status(0x12, 0x82, 10 << 3, content)).toBe(0x0f)
        expect(hex(b.run(0x02, 0x81, 0))).toBe("ff".repeat(32))
    })

    it("drops surplus octets of a partial block, refuses blocks past the end, leaves the unwritten FF", () => {
        const b = configured()
        expect(b.status(0x12, 0x82, (2 << 8) | (12 << 3), new Uint8Array(32).fill(1))).toBe(0)
        expect(b.status(0x12, 0x82, (3 << 8) | (12 << 3), new Uint8Array(32))).toBe(0x03)
        b.lockData()
        const last = b.run(0x02, 0x82, (2 << 8) | (12 << 3))
        expect([...last.subarray(0, 8)]).toEqual(new Array(8).fill(1))
        expect(hex(b.run(0x02, 0x82, (1 << 8) | (12 << 3)))).toBe("ff".repeat(32))
        expect(b.status(0x12, 0x02, (12 << 3) | 3, Uint8Array.of(1, 2, 3, 4))).toBe(0)
        expect(hex(b.run(0x02, 0x02, (12 << 3) | 3))).toBe("01020304")
        expect(b.status(0x12, 0x82, (12 << 8) | (8 << 3), new Uint8Array(32))).toBe(0)
        expect(b.status(0x12, 0x82, (13 << 8) | (8 << 3), new Uint8Array(32))).toBe(0x03)
    })

    it("never reads a private key", () => {
        const b = configured()
        b.run(0x40, 0x04, 0)
        for (const p1 of [0x02, 0x82]) expect(b.status(0x02, p1, 0)).toBe(0x0f)
        b.lockData()
        for (const p1 of [0x02, 0x82]) expect(b.status(0x02, p1, 0)).toBe(0x0f)
    })

    it("locks single slots where KeyConfig allows, against the CRC over the whole slot", () => {
        const b = configured()
        const crc = crc16(new Uint8Array(72).fill(0xff))
        expect(b.status(0x17, 0x02 | (10 << 2), crc ^ 2)).toBe(0x0f)
        expect(b.status(0x17, 0x02 | (10 << 2), crc)).toBe(0)
        expect(b.config()[89] & 4).toBe(0)
        expect(b.status(0x12, 0x82, 10 << 3, new Uint8Array(32))).toBe(0x0f)
        const key = b.run(0x40, 0x04, 0)
        expect(b.status(0x17, 0x82)).toBe(0)
        expect(b.status(0x40, 0x04, 0)).toBe(0x0f)
        expect(hex(b.run(0x40, 0x00, 0))).toBe(hex(key))
        load(b)
        expect(b.run(0x41, 0x80, 0).length).toBe(64)
    })

    it.each([
        [0, "ffffffff00000000"],
        [1, "7fffffff00000000"],
        [15, "0001ffff00000000"],
        [16, "0000ffff00000000"],
        [17, "00007fff00000000"],
        [31, "0000000100000000"],
        [32, "ffff000000010000"],
        [48, "0000ffff00010001"],
        [counterEnd, "00000001ffffffff"],
    ])("writes counter value %i as %s and reads it back", (value, octets) => {
        expect(hex(encodeCounter(value))).toBe(octets)
        expect(decodeCounter(Buffer.from(octets, "hex"))).toBe(value)
    })

    it("counts up only, up to 2 097 151, in the config zone", () => {
        for (let v = 0; v < 100; v++) expect(decodeCounter(encodeCounter(v))).toBe(v)
        const b = bench()
        b.wake()
        b.run(0x12, 0, 15, encodeCounter(counterEnd - 1).subarray(0, 4))
        b.run(0x12, 0, 16, encodeCounter(counterEnd - 1).subarray(4))
        b.configure()
        expect(hex(b.run(0x24, 0, 0))).toBe("00000000")
        expect(hex(b.run(0x24, 1, 0))).toBe("01000000")
        expect(hex(b.run(0x24, 1, 0))).toBe("02000000")
        expect(hex(b.config().subarray(52, 60))).toBe("3fffffff00000000")
        expect(hex(b.run(0x24, 0, 1))).toBe("feff1f00")
        expect(hex(b.run(0x24, 1, 1))).toBe("ffff1f00")
        expect(b.status(0x24, 1, 1)).toBe(0x0f)
        expect(b.status(0x24, 2, 0)).toBe(0x03)
    })

    it("survives power loss with everything it holds, and loads into another object", () => {
        const b = configured()
        const key = b.run(0x40, 0x04, 0)
        const state = b.chip.save()
        const other = bench({ serial: 9 })
        other.chip.load(state)
        other.wake()
        expect(hex(other.run(0x40, 0x00, 0))).toBe(hex(key))
        expect(hex(other.chip.serialNumber)).toBe(hex(b.chip.serialNumber))
        expect(() => other.chip.load(Buffer.from("{}"))).toThrow("config")
    })
})

describe("ATECC608B keys", () => {
    it("makes a key that signs what node:crypto verifies", () => {
        const b = configured()
        const publicKey = b.run(0x40, 0x04, 0)
        expect(publicKey.length).toBe(64)
        load(b)
        const signature = b.run(0x41, 0x80, 0)
        const key = { key: nodeKey(publicKey), dsaEncoding: "ieee-p1363" as const }
        expect(nodeVerify("sha256", Buffer.from("one kilowatt hour"), key, signature)).toBe(true)
    })

    it("signs from MsgDigBuf as the vendor library does", () => {
        const b = configured()
        const publicKey = b.run(0x40, 0x04, 2)
        expect(b.status(0x16, 0x43, 0, digest)).toBe(0)
        const signature = b.run(0x41, 0xa0, 2)
        const key = { key: nodeKey(publicKey), dsaEncoding: "ieee-p1363" as const }
        expect(nodeVerify("sha256", Buffer.from("one kilowatt hour"), key, signature)).toBe(true)
    })

    it("needs the digest loaded afresh before every signature", () => {
        const b = configured()
        b.run(0x40, 0x04, 0)
        expect(b.status(0x41, 0x80, 0)).toBe(0x0f)
        load(b)
        expect(b.run(0x41, 0x80, 0).length).toBe(64)
        expect(b.status(0x41, 0x80, 0)).toBe(0x0f)
    })

    it("refuses to sign with an empty slot, with a data slot, or where SlotConfig bit 0 is 0", () => {
        const b = configured()
        for (const slot of [0, 9]) {
            load(b)
            expect(b.status(0x41, 0x80, slot)).toBe(0x0f)
        }
        const c = bench()
        c.wake()
        c.run(0x12, 0, 5, Uint8Array.of(0x82, 0x20, 0x87, 0x20))
        c.run(0x17, 0x80)
        c.run(0x40, 0x04, 0)
        load(c)
        expect(c.status(0x41, 0x80, 0)).toBe(0x0f)
    })

    it("a slot with ReqRandom refuses a digest passed through", () => {
        const b = bench()
        b.wake()
        b.run(0x12, 0, 24, Uint8Array.of(0x73, 0, 0x33, 0))
        b.run(0x17, 0x80)
        b.run(0x40, 0x04, 0)
        load(b)
        expect(b.status(0x41, 0x80, 0)).toBe(0x0f)
        b.status(0x16, 0x43, 0, digest)
        expect(b.status(0x41, 0xa0, 0)).toBe(0x0f)
        b.run(0x16, 0x00, 0, new Uint8Array(20))
        expect(b.run(0x41, 0x80, 0).length).toBe(64)
    })

    it("counts a limited use on counter 0", () => {
        const b = bench()
        b.wake()
        b.run(0x12, 0, 5, Uint8Array.of(0xa3, 0x20, 0x87, 0x20))
        b.run(0x17, 0x80)
        b.run(0x40, 0x04, 0)
        load(b)
        b.run(0x41, 0x80, 0)
        expect(hex(b.run(0x24, 0, 0))).toBe("01000000")
    })

    it("makes a new key over the old one while bit 13 allows, also after the data lock", () => {
        const b = configured()
        const first = b.run(0x40, 0x04, 0)
        b.lockData()
        const second = b.run(0x40, 0x04, 0)
        expect(hex(second)).not.toBe(hex(first))
        expect(hex(b.run(0x40, 0x00, 0))).toBe(hex(second))
        expect(b.status(0x40, 0x04, 9)).toBe(0x0f)
        expect(b.status(0x40, 0x00, 1)).toBe(0x0f)
        expect(b.run(0x30, 0x01, 0)[0]).toBe(1)
        expect(b.run(0x30, 0x01, 1)[0]).toBe(0)
    })

    it("verifies external and stored keys: 00 good, 01 bad, 03 malformed, 0F without digest, 05 off the curve", () => {
        const b = configured()
        const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
        const jwk = publicKey.export({ format: "jwk" })
        const xy = Buffer.concat([Buffer.from(jwk.x!, "base64url"), Buffer.from(jwk.y!, "base64url")])
        const signature = nodeSign("sha256", Buffer.from("one kilowatt hour"), {
            key: privateKey,
            dsaEncoding: "ieee-p1363",
        })
        const external = Buffer.concat([signature, xy])
        expect(b.status(0x45, 0x02, 4, external)).toBe(0x0f)
        load(b)
        expect(b.status(0x45, 0x02, 4, external)).toBe(0x00)
        load(b, sha256(Buffer.from("two kilowatt hours")))
        expect(b.status(0x45, 0x02, 4, external)).toBe(0x01)
        load(b)
        expect(b.status(0x45, 0x02, 4, Buffer.concat([Buffer.alloc(64), xy]))).toBe(0x01)
        expect(b.status(0x45, 0x02, 4, external.subarray(0, 127))).toBe(0x03)
        expect(b.status(0x45, 0x02, 5, external)).toBe(0x03)
        const off = Buffer.from(external)
        off[127] ^= 1
        load(b)
        expect(b.status(0x45, 0x02, 4, off)).toBe(0x05)
        // Stored: 4 zeros, X, 4 zeros, Y in the blocks of slot 9.
        const stored = Buffer.concat([
            Buffer.alloc(4),
            xy.subarray(0, 32),
            Buffer.alloc(4),
            xy.subarray(32),
            Buffer.alloc(24),
        ])
        for (let k = 0; k < 3; k++) b.run(0x12, 0x82, (k << 8) | (9 << 3), stored.subarray(32 * k, 32 * k + 32))
        load(b)
        expect(b.status(0x45, 0x00, 9, signature)).toBe(0x00)
        b.status(0x16, 0x43, 0, digest)
        expect(b.status(0x45, 0x20, 9, signature)).toBe(0x00)
        load(b)
        expect(b.status(0x45, 0x00, 8, signature)).toBe(0x0f)
    })

    it("agrees with node:crypto on the shared secret, in clear, to TempKey, and with an ephemeral key", () => {
        const b = configured()
        const peer = createECDH("prime256v1")
        const peerPublic = peer.generateKeys().subarray(1)
        const own = b.run(0x40, 0x04, 1)
        const shared = hex(peer.computeSecret(Buffer.concat([Buffer.of(4), own])))
        expect(hex(b.run(0x43, 0x0c, 1, peerPublic))).toBe(shared)
        expect(hex(b.run(0x43, 0x00, 1, peerPublic))).toBe(shared)
        expect(b.status(0x43, 0x08, 1, peerPublic)).toBe(0)
        expect(b.run(0x30, 0x02)[1] >> 7).toBe(1)
        const ephemeral = b.run(0x40, 0x04, 0xffff)
        expect(hex(b.run(0x43, 0x0d, 0, peerPublic))).toBe(
            hex(peer.computeSecret(Buffer.concat([Buffer.of(4), ephemeral]))),
        )
        expect(b.status(0x43, 0x0d, 0, peerPublic)).toBe(0x0f)
        b.run(0x40, 0x04, 0)
        expect(b.status(0x43, 0x0c, 0, peerPublic)).toBe(0x0f)
    })

    it("gives no shared secret in clear with ECDHPROT", () => {
        const b = bench()
        b.wake()
        b.run(0x12, 0, 22, Uint8Array.of(0xff, 0xff, 0x00, 0x01))
        b.configure()
        b.run(0x40, 0x04, 1)
        const peer = createECDH("prime256v1").generateKeys().subarray(1)
        expect(b.status(0x43, 0x0c, 1, peer)).toBe(0x0f)
        expect(b.status(0x43, 0x08, 1, peer)).toBe(0)
    })
})

describe("ATECC608B digests, random numbers, the part itself", () => {
    it("computes SHA-256 over blocks of 64 and a rest", () => {
        const b = configured()
        const text = Buffer.alloc(150, "plomb")
        expect(b.status(0x47, 0x00)).toBe(0)
        expect(b.status(0x47, 0x01, 64, text.subarray(0, 64))).toBe(0)
        expect(b.status(0x47, 0x01, 64, text.subarray(64, 128))).toBe(0)
        expect(hex(b.run(0x47, 0xc2, 22, text.subarray(128)))).toBe(hex(sha256(text)))
        expect(b.run(0x30, 0x02)[1] >> 7).toBe(0)
        expect(b.status(0x47, 0x01, 64, text.subarray(0, 64))).toBe(0x0f)
        b.run(0x47, 0x00)
        expect(b.status(0x47, 0x01, 63, text.subarray(0, 63))).toBe(0x03)
    })

    it("puts a computed digest where Sign can use it", () => {
        const b = configured()
        const publicKey = b.run(0x40, 0x04, 0)
        b.run(0x47, 0x00)
        b.run(0x47, 0x42, 3, Buffer.from("abc"))
        const signature = b.run(0x41, 0xa0, 0)
        const key = { key: nodeKey(publicKey), dsaEncoding: "ieee-p1363" as const }
        expect(nodeVerify("sha256", Buffer.from("abc"), key, signature)).toBe(true)
    })

    it("gives a random nonce by its formula, marked as random", () => {
        const b = bench()
        b.wake()
        const input = new Uint8Array(20).fill(3)
        const out = b.run(0x16, 0x00, 0, input)
        expect(hex(out)).toBe("ffff0000".repeat(8))
        const value = b.run(0x16, 0x01, 0x8000, input)
        expect(hex(value)).toBe(hex(sha256(out, input, Uint8Array.of(0x16, 0x01, 0x00))))
        expect(b.run(0x30, 0x02)[0] & 0x10).toBe(0)
        load(b)
        expect(b.run(0x30, 0x02)[0] & 0x10).toBe(0x10)
    })

    it("leaves the digest of a public key in TempKey and says for which slot", () => {
        const b = configured()
        load(b)
        const publicKey = b.run(0x40, 0x0c, 2)
        expect(hex(b.run(0x30, 0x02))).toBe("52800000")
        const sn = b.chip.serialNumber
        const head = Uint8Array.of(0x40, 0x0c, 0x02, 0x00, sn[8], sn[0], sn[1])
        const bound = sha256(digest, head, new Uint8Array(25), publicKey)
        const signature = b.run(0x41, 0x80, 2)
        const verifier = configured()
        load(verifier, bound)
        expect(verifier.status(0x45, 0x02, 4, Buffer.concat([signature, publicKey]))).toBe(0)
    })

    it("takes random numbers from the source it is given", () => {
        const b = configured({ random: n => new Uint8Array(n).fill(0x42) })
        expect(hex(b.run(0x1b))).toBe("42".repeat(32))
    })

    it("writes UserExtraAdd once after the lock and answers at that address with ChipMode bit 0", () => {
        const b = bench()
        b.wake()
        b.run(0x12, 0, 4, Uint8Array.of(0xc0, 0, 0, 0x01))
        b.run(0x17, 0x80)
        expect(b.status(0x20, 0x01, 0x6a)).toBe(0)
        expect([...b.ask(0x20, 0x01, 0x6c)]).toEqual([0x0f])
        b.word(0x02)
        expect(b.wake()).toBe("")
        expect(hex(b.bus.transfer(0x35, new Uint8Array(0), 4).data)).toBe("04113343")
    })
})

describe("ATECC608B faults", () => {
    it("fails to wake as often as told", () => {
        const b = bench()
        b.chip.faults.wakeFailures = 2
        expect([b.wake(), b.wake(), b.wake()]).toEqual(["", "", "04113343"])
    })

    it("damages the CRC of an answer", () => {
        const b = bench()
        b.wake()
        b.chip.faults.crcErrors = 1
        b.bus.transfer(0x60, packet(0x30), 0)
        b.clock.advance(5)
        expect(hex(b.read(7).data)).toBe("070000600383ba")
        expect(hex(b.ask(0x30))).toBe("00006003")
    })

    it("reports an ECC fault and a failed health test once", () => {
        const b = configured()
        b.chip.faults = { eccFaults: 1, healthFailures: 1 }
        expect(b.status(0x40, 0x04, 0)).toBe(0x05)
        expect(b.run(0x40, 0x04, 0).length).toBe(64)
        expect(b.status(0x1b)).toBe(0x08)
        expect(b.run(0x1b).length).toBe(32)
    })

    it("restarts on a supply dip during GenKey: 11 instead of the answer, and no key made", () => {
        const b = configured()
        b.chip.faults.brownOuts = 1
        b.word(0x02)
        b.wake()
        b.bus.transfer(0x60, packet(0x40, 0x04, 0), 0)
        b.clock.advance(116)
        expect(hex(b.read(4).data)).toBe("04113343")
        expect(b.run(0x30, 0x01, 0)[0]).toBe(0)
    })

    it("falls asleep by the watchdog during a command, with nothing done", () => {
        const b = configured()
        b.chip.faults.watchdogs = 1
        b.word(0x02)
        b.wake()
        b.bus.transfer(0x60, packet(0x40, 0x04, 0), 0)
        b.clock.advance(200)
        expect(b.read(4).status).toBe(-1)
        expect(b.wake()).toBe("04113343")
        expect(b.run(0x30, 0x01, 0)[0]).toBe(0)
    })

    it("in failure mode wakes with 07 and does nothing but config reads and SelfTest", () => {
        const b = configured()
        b.chip.faults.selfTest = 0x04
        b.word(0x01)
        expect(b.wake()).toBe("040740c2")
        expect(b.status(0x1b)).toBe(0x07)
        expect(b.run(0x02, 0x80, 0).length).toBe(32)
        expect([...b.run(0x77, 0x3d)]).toEqual([0x04])
        b.chip.faults.selfTest = 0
        expect([...b.run(0x77, 0x3d)]).toEqual([0x00])
    })
})
