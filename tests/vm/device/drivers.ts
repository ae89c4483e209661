import * as ds from "@devicescript/core"
import { RecordRing, SwitchedRecord } from "../../../firmware/core/journal"
import { platform } from "../../../firmware/core/platform"
import { writeFile } from "../../../firmware/core/sml-transport"
import { Ade7953 } from "../../../hal/ade7953"
import { Atecc608 } from "../../../hal/atecc608"
import { VmBus } from "../../../hal/bus-vm"
import { Ds3231 } from "../../../hal/ds3231"
import { ElementCustody } from "../../../hal/keys-element"
import { Mb85rc1mt } from "../../../hal/mb85rc1mt"
import { SmlLine } from "../../../hal/rs485-link"
import { installDevicePlatform } from "../../../hal/runtime"
import { Sc16is752 } from "../../../hal/sc16is752"

// Each driver once, on the models of the host; one line of log a result.

const bus = new VmBus()
const custody = new ElementCustody(new Atecc608(bus, 0x60), 0)
installDevicePlatform((publicKey, digest, signature) => custody.verify(publicKey, digest, signature))

function tell(name: string, action: () => string): void {
    try {
        console.log(name + " " + action())
    } catch (e: any) {
        console.log(name + " failed " + e.message)
        e.print()
    }
}

const fram = new Mb85rc1mt(bus, 0x50)
tell("fram", () => {
    fram.start()
    const data = Buffer.alloc(600)
    for (let i = 0; i < 600; ++i) data[i] = i & 0xff
    fram.write(0xff00, data)
    const back = fram.read(0xff00, 600)
    let same = 0
    for (let i = 0; i < 600; ++i) if (back[i] === data[i]) ++same
    return "" + same
})

tell("journal", () => {
    const ring = new RecordRing(fram, 0x1000, 64, 56)
    const record = Buffer.alloc(56)
    for (let i = 1; i <= 70; ++i) {
        record.setAt(0, "u32", i)
        ring.append(record)
        platform().yieldNow()
    }
    const again = new RecordRing(fram, 0x1000, 64, 56)
    const latest = again.latest()
    const switched = new SwitchedRecord(fram, 0, 16)
    switched.save(hex`000102030405060708090a0b0c0d0e0f`)
    const saved = switched.load()
    return again.newest + " " + (latest ? latest.getAt(0, "u32") : 0) + " " + (saved ? saved.toString("hex") : "none")
})

const clock = new Ds3231(bus)
tell("clock", () => {
    clock.start()
    const before = clock.read().running
    clock.set(1795356355)
    const now = clock.read()
    return before + " " + now.utcSeconds + " " + now.running + " " + clock.temperatureQuarters()
})

const front = new Ade7953(bus)
const calibration = {
    voltageGain: 0x400000,
    currentGain: 0x400000,
    activePowerGain: 0x400000,
    phase: 0,
    nanovoltsPerLsb: 39184,
    nanoamperesPerLsb: 11072,
    microwattSecondsPerLsb: 171054,
}
tell("energy", () => {
    front.start(calibration)
    ;(ds as any).sleep(10000)
    const energy = front.takeEnergy()
    const now = front.measure()
    return energy + " " + now.millivolts + " " + now.milliwatts + " " + now.millihertz
})

const uart = new Sc16is752(bus, 0x4d, 14745600)
const line = new SmlLine(uart.port(0))
let pumping = false
function pump(): void {
    pumping = true
    line.pump()
}
tell("line", () => {
    uart.start()
    line.open()
    pump.start()
    line.send(writeFile([hex`7605`]))
    return "sent"
})

tell("element", () => {
    custody.configure()
    const key = custody.generateKey()
    custody.seal()
    const digest = Buffer.alloc(32)
    // The answer of the line arrives meanwhile.
    let good = 0
    for (let i = 0; i < 5; ++i) {
        digest[0] = i
        const signature = custody.sign(digest)
        if (custody.verify(key, digest, signature)) ++good
        signature[5] ^= 1
        if (custody.verify(key, digest, signature)) good += 100
    }
    const state = custody.state()
    return good + " " + state.sealed + " " + key.toString("hex") + " " + custody.incrementCounter()
})

tell("answer", () => {
    const file = line.poll()
    return pumping + " " + (file ? "" + file.length : "none") + " " + line.overruns + " " + line.echoes
})
console.log("done")
