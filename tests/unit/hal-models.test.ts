import { p256 } from "@noble/curves/nist.js"
import { beforeEach, describe, expect, it } from "vitest"
import { RecordRing } from "../../firmware/core/journal"
import { nominalCalibration } from "../../firmware/meter/identity"
import { Ade7953 } from "../../hal/ade7953"
import { Atecc608 } from "../../hal/atecc608"
import { Ds3231 } from "../../hal/ds3231"
import { ElementCustody } from "../../hal/keys-element"
import { Mb85rc1mt } from "../../hal/mb85rc1mt"
import { Ade7953 as Ade7953Model } from "../../tools/chips/ade7953"
import { Atecc608b } from "../../tools/chips/atecc608b"
import { Ds3231 as Ds3231Model } from "../../tools/chips/ds3231"
import { constantLoad } from "../../tools/chips/load-source"
import { Mb85rc1mt as FramModel } from "../../tools/chips/mb85rc1mt"
import { PowerCut } from "../../tools/chips/power-cut"
import { codeThrown } from "../helpers/errors"
import { ModelBus } from "../helpers/model-bus"
import { ModelTime } from "../helpers/model-time"

// Drivers and models were written apart, each from the data sheets: what they disagree about is a mistake of one.

let time: ModelTime

beforeEach(() => {
    time = new ModelTime()
    time.install()
})

describe("DS3231, driver against model", () => {
    const noon = Date.UTC(2027, 1, 28, 12) / 1000

    it("is not believed before it is set, runs on its battery, and is not believed after the battery", () => {
        const model = new Ds3231Model({ clock: time })
        const clock = new Ds3231(new ModelBus(time, [model]))
        clock.start()
        expect(clock.read().running).toBe(false)
        clock.set(noon)
        expect(clock.read()).toEqual({ utcSeconds: noon, running: true })
        model.powerOff()
        time.advance(86_400_000)
        model.powerOn()
        const next = clock.read()
        expect(next.running).toBe(true)
        expect(Math.abs(next.utcSeconds - noon - 86400)).toBeLessThanOrEqual(1)
        model.setBattery(false)
        model.powerOff()
        time.advance(1000)
        model.powerOn()
        time.advance(3000)
        expect(clock.read().running).toBe(false)
        clock.set(noon)
        expect(clock.read().running).toBe(true)
    })

    it("counts through the leap day", () => {
        const clock = new Ds3231(new ModelBus(time, [new Ds3231Model({ clock: time })]))
        const eve = Date.UTC(2028, 1, 28, 23, 59, 58) / 1000
        clock.set(eve)
        for (let hours = 1; hours <= 26; ++hours) {
            time.advance(3_600_000)
            expect(clock.read().utcSeconds).toBe(eve + hours * 3600)
        }
    })

    it("reads frost", () => {
        const clock = new Ds3231(new ModelBus(time, [new Ds3231Model({ clock: time, celsius: -17.25 })]))
        time.advance(70_000)
        expect(clock.temperatureQuarters()).toBe(-69)
    })
})

describe("MB85RC1MT, driver against model", () => {
    it("is known by its ID and keeps a block across the halves", () => {
        const fram = new Mb85rc1mt(new ModelBus(time, [new FramModel({ clock: time })]), 0x50)
        fram.start()
        const data = Buffer.from(Array.from({ length: 1000 }, (_, i) => (i * 13) & 0xff))
        fram.write(0x10000 - 333, data)
        expect(fram.read(0x10000 - 333, 1000)).toEqual(data)
        fram.write(0x1ffff, Buffer.from([5]))
        expect(fram.read(0x1ffff, 1)).toEqual(Buffer.from([5]))
    })

    it.each([
        [false, "FramWriteProtected"],
        [true, "BusDataNack"],
    ])("says what its write protection does to a write (data refused: %s)", (wpNacks, code) => {
        const model = new FramModel({ clock: time, wpNacks })
        model.writeProtect = true
        const fram = new Mb85rc1mt(new ModelBus(time, [model]), 0x50)
        fram.start()
        expect(codeThrown(() => fram.write(0, Buffer.from([model.memory[0] ^ 1])))).toBe(code)
    })

    it("holds the older record when power goes at any octet of an append", () => {
        for (let cut = 0; cut < 20; ++cut) {
            const model = new FramModel({ clock: time })
            const fram = new Mb85rc1mt(new ModelBus(time, [model]), 0x50)
            const ring = new RecordRing(fram, 0x100, 4, 12)
            for (let n = 1; n <= 6; ++n) ring.append(Buffer.alloc(12, n))
            model.cutAfterWrites(cut)
            expect(() => ring.append(Buffer.alloc(12, 7))).toThrow(PowerCut)
            model.cutNever()
            model.powerOn()
            expect(new RecordRing(fram, 0x100, 4, 12).latest()).toEqual(Buffer.alloc(12, cut === 20 ? 7 : 6))
        }
    })
})

describe("ADE7953, driver against model", () => {
    function bench(watts: number) {
        const model = new Ade7953Model({ clock: time, load: constantLoad(watts) })
        const front = new Ade7953(new ModelBus(time, [model]))
        front.start(nominalCalibration())
        return { model, front }
    }

    it("is brought into its specification", () => {
        expect(bench(100).model.inSpecification).toBe(true)
    })

    it.each([1000, -1000, 15000, 60])("measures %d W", watts => {
        const { front } = bench(watts)
        time.advance(2000)
        const now = front.measure()
        expect(Math.abs(now.millivolts - 230000)).toBeLessThan(500)
        expect(Math.abs(now.millihertz - 50000)).toBeLessThan(20)
        expect(Math.abs(now.milliwatts - watts * 1000)).toBeLessThan(Math.abs(watts) * 3 + 30)
        expect(now.noLoad).toBe(false)
    })

    it.each([1000, -3000])("accumulates %d W over the wrap of its register without a loss", watts => {
        const { front } = bench(watts)
        let sum = 0
        const seconds = 3600
        for (let i = 0; i < seconds; i += 15) {
            time.advance(15000)
            sum += front.takeEnergy()
        }
        expect(Number.isSafeInteger(sum)).toBe(true)
        const wattSeconds = sum / 1e6
        expect(Math.abs(wattSeconds - watts * seconds)).toBeLessThan(Math.abs(watts) * seconds * 0.002)
    })

    it("stands still without a load", () => {
        const { front } = bench(0)
        time.advance(30000)
        expect(front.takeEnergy()).toBe(0)
        expect(front.measure().noLoad).toBe(true)
    })

    it("notices that the part lost its supply", () => {
        const { model, front } = bench(1000)
        time.advance(5000)
        front.takeEnergy()
        model.powerOff()
        model.powerOn()
        time.advance(1000)
        expect(codeThrown(() => front.takeEnergy())).toBe("FrontEndReset")
        front.start(nominalCalibration())
        time.advance(10000)
        expect(Math.abs(front.takeEnergy() / 1e6 - 10000)).toBeLessThan(50)
    })

    it("survives a restart of the controller alone: the interface is locked, the part protected", () => {
        const { model, front } = bench(1000)
        model.glitch()
        front.start(nominalCalibration())
        expect(model.inSpecification).toBe(true)
    })
})

describe("ATECC608, driver against model", () => {
    const digest = Buffer.from("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", "hex")

    function bench(hz = 100_000) {
        const model = new Atecc608b({ clock: time, serial: 0x1234 })
        const bus = new ModelBus(time, [model], hz)
        return { model, bus, custody: new ElementCustody(new Atecc608(bus, 0x60), 0) }
    }

    function provisioned() {
        const made = bench()
        made.custody.configure()
        const publicKey = made.custody.generateKey()
        made.custody.seal()
        return { ...made, publicKey }
    }

    it("goes from the factory to sealed and signs what others verify", () => {
        const { model, custody } = bench()
        expect(custody.state()).toEqual({ configured: false, keyPresent: false, sealed: false })
        expect(custody.serial()).toEqual(Buffer.from(model.serialNumber))
        expect(codeThrown(() => custody.part.random())).toBe("ElementNotLocked")
        custody.configure()
        expect(model.locked).toEqual({ config: true, data: false })
        custody.configure()
        const publicKey = custody.generateKey()
        expect(custody.publicKey()).toEqual(publicKey)
        custody.seal()
        expect(custody.state()).toEqual({ configured: true, keyPresent: true, sealed: true })
        expect(codeThrown(() => custody.seal())).toBe("ElementLocked")
        for (let i = 0; i < 3; ++i) {
            const signature = custody.sign(digest)
            const point = Buffer.concat([Buffer.from([4]), publicKey])
            expect(p256.verify(signature, digest, point, { prehash: false, lowS: false })).toBe(true)
            expect(custody.verify(publicKey, digest, signature)).toBe(true)
            signature[40] ^= 1
            expect(custody.verify(publicKey, digest, signature)).toBe(false)
        }
    })

    it("takes a key that is no point, r = 0 and s above the order for signatures that do not hold", () => {
        const { custody, publicKey } = provisioned()
        const signature = custody.sign(digest)
        const noPoint = Buffer.from(publicKey)
        noPoint[63] ^= 1
        expect(custody.verify(noPoint, digest, signature)).toBe(false)
        const zero = Buffer.from(signature)
        zero.fill(0, 0, 32)
        expect(custody.verify(publicKey, digest, zero)).toBe(false)
        const high = Buffer.from(signature)
        high.fill(0xff, 32)
        expect(custody.verify(publicKey, digest, high)).toBe(false)
    })

    it("agrees on a shared secret in the TLS slot and refuses to in the signing slot", () => {
        const { custody } = provisioned()
        const secret = p256.utils.randomSecretKey()
        const peer = Buffer.from(p256.getPublicKey(secret, false)).subarray(1)
        const mine = custody.part.genKey(1, true)
        const shared = p256.getSharedSecret(secret, Buffer.concat([Buffer.from([4]), mine]), false)
        expect(custody.part.ecdh(1, peer)).toEqual(Buffer.from(shared).subarray(1, 33))
        expect(codeThrown(() => custody.part.ecdh(0, peer))).toBe("ElementExecution")
    })

    it("keeps data in its data slots and gives nothing out of the key slots", () => {
        const { custody } = provisioned()
        custody.part.write(2, 8 << 3, Buffer.alloc(32, 0x61))
        expect(custody.part.readBlock(2, 8 << 3)).toEqual(Buffer.alloc(32, 0x61))
        for (const slot of [0, 1, 2, 5])
            expect(codeThrown(() => custody.part.readBlock(2, slot << 3))).toBe("ElementExecution")
    })

    it("makes another key over the old one, sealed or not", () => {
        const { custody, publicKey } = provisioned()
        custody.erase()
        expect(custody.publicKey()).not.toEqual(publicKey)
    })

    it("counts up", () => {
        const { custody } = provisioned()
        const before = custody.counter()
        expect(custody.incrementCounter()).toBe(before + 1)
        expect(custody.counter()).toBe(before + 1)
    })

    it("sleeps between uses, so that no volatile state is left", () => {
        const { bus, custody } = provisioned()
        custody.sign(digest)
        expect(bus.model.transfer(0x60, Buffer.from([0]), 0).status).toBe(-1)
    })

    it("is not found on a bus too fast for its wake pulse", () => {
        expect(codeThrown(() => bench(400_000).custody.state())).toBe("PartAbsent")
    })

    it("goes on with the configuration wherever power went", () => {
        let changes = 0
        for (let cut = 0; cut < 60; ++cut) {
            const { model, bus, custody } = bench()
            let left = cut
            const transfer = bus.transfer.bind(bus)
            bus.transfer = (address, write, readLength) => {
                if (write[0] === 3 && (write[2] === 0x12 || write[2] === 0x17) && left-- === 0) throw new PowerCut(0)
                return transfer(address, write, readLength)
            }
            try {
                custody.configure()
                changes = cut
            } catch (error) {
                expect(error).toBeInstanceOf(PowerCut)
            }
            bus.transfer = transfer
            model.powerOff()
            time.advance(100)
            model.powerOn()
            const again = new ElementCustody(new Atecc608(bus, 0x60), 0)
            again.configure()
            expect(again.state().configured).toBe(true)
            if (changes > 0) break
        }
        expect(changes).toBeGreaterThan(3)
    })

    it("signs and verifies although single octets of answers are damaged on the bus", () => {
        const { bus, custody, publicKey } = provisioned()
        let n = 0
        const transfer = bus.transfer.bind(bus)
        bus.transfer = (address, write, readLength) => {
            const data = transfer(address, write, readLength)
            if (address === 0x60 && readLength > 8 && ++n % 2 === 1) data[n % readLength] ^= 0x20
            return data
        }
        for (let i = 0; i < 4; ++i) {
            const signature = custody.sign(digest)
            expect(custody.verify(publicKey, digest, signature)).toBe(true)
        }
    })

    it.each([
        ["missed wake pulses", { wakeFailures: 2 }],
        ["faults in the computation", { eccFaults: 2 }],
        ["dips of the supply", { brownOuts: 2 }],
        ["a watchdog that strikes", { watchdogs: 1 }],
    ])("signs in spite of %s", (_, faults) => {
        const { model, custody, publicKey } = provisioned()
        model.faults = faults
        expect(custody.verify(publicKey, digest, custody.sign(digest))).toBe(true)
        expect(Object.values(model.faults)).toEqual([0])
    })

    it.each([
        ["ElementWake", { wakeFailures: 100 }],
        ["ElementAnswerCrc", { crcErrors: 100 }],
        ["ElementEccFault", { eccFaults: 100 }],
        ["ElementRestart", { brownOuts: 100 }],
    ])("ends with %s when it does not get better", (code, faults) => {
        const { model, custody } = provisioned()
        model.faults = faults
        expect(codeThrown(() => custody.sign(digest))).toBe(code)
        model.faults = {}
        expect(codeThrown(() => custody.sign(digest))).toBe("none")
    })

    it("names a failed self-test and a failed health test of the random source", () => {
        const { model, custody } = provisioned()
        model.faults = { healthFailures: 1 }
        expect(codeThrown(() => custody.part.random())).toBe("ElementRandom")
        model.faults = { selfTest: 0x04 }
        expect(codeThrown(() => custody.sign(digest))).toBe("ElementSelfTest")
    })

    it.each(["nackAddress", "nackData", "flip"] as const)(
        "signs in spite of one bus fault, %s, wherever it strikes",
        kind => {
            const { bus, custody, publicKey } = provisioned()
            let seen = 0
            bus.model.onTransaction = () => ++seen
            custody.sign(digest)
            const length = seen
            for (let strike = 1; strike <= length; ++strike) {
                bus.model.faults = {
                    plan: [
                        {
                            transaction: bus.model.transactions + strike,
                            kind,
                            octet: strike % 3 === 0 ? 1 : 0,
                            bit: strike % 8,
                        },
                    ],
                }
                expect(custody.verify(publicKey, digest, custody.sign(digest))).toBe(true)
            }
            expect(length).toBeGreaterThan(10)
        },
    )

    it("names what holds it: a stuck bus, or no power", () => {
        const { model, bus, custody } = provisioned()
        bus.model.faults = { stuck: true }
        expect(codeThrown(() => custody.sign(digest))).toBe("BusStuck")
        bus.model.nineClocks()
        bus.model.faults = {}
        expect(codeThrown(() => custody.sign(digest))).toBe("none")
        model.powerOff()
        expect(codeThrown(() => custody.sign(digest))).toBe("ElementWake")
        model.powerOn()
        expect(codeThrown(() => custody.sign(digest))).toBe("none")
    })
})
