import * as ds from "@devicescript/core"

/** Version 1 of the metrological module: two tariffs by time of day, load profile of 15 minutes. */
const tariffs = 2

/** What the meter offers its module (firmware/sandbox/metrology-calls.ts). */
interface Host {
    onTick(f: () => number): void
    onSelfTest(f: () => number): void
    inputs(): Buffer
    parameters(): Buffer
    state(): Buffer
    add(register: number, microwattSeconds: number): void
    tariff(number: number): void
    status(bits: number): void
    power(milliwatts: number): void
    profile(wattSeconds: number, peakMilliwatts: number, flags: number): void
}

const host: Host = (ds as any).host
const inputs = host.inputs()
const parameters = host.parameters()
const state = host.state()

// Parameters: f64 microwatt-seconds, volts and amperes of a count, f64 microwatts below which there is no load; u16 number of
// switches, then of each u16 minute of the day, u8 days (bit 0 Monday), u8 tariff; u16 CRC-16/X.25 of all before it.
const energyGain = parameters.getAt(0, "f64")
const voltageGain = parameters.getAt(8, "f64")
const currentGain = parameters.getAt(16, "f64")
const noLoad = parameters.getAt(24, "f64")
const switches = parameters.getAt(32, "u16")

// State: u32 period of the load profile + 1, f64 its microwatt-seconds, u32 its peak in milliwatts, u32 its flags.
const periodAt = 0
const energyAt = 4
const peakAt = 12
const flagsAt = 16

const fed = 9
const flagLowVoltage = 1
const flagHighVoltage = 2
const flagOverload = 4
const flagFrontEnd = 8
const flagNoTime = 16

let current = 0

/** The tariff in force at a minute of a day of the week: that of the last switch before it. */
function tariffAt(minute: number, day: number): number {
    let tariff = 1
    for (let i = 0; i < switches; ++i) {
        const at = 34 + i * 4
        if (parameters.getAt(at, "u16") > minute) break
        if (parameters.getAt(at + 2, "u8") & (1 << day)) tariff = parameters.getAt(at + 3, "u8")
    }
    return tariff > tariffs ? 1 : tariff
}

/** Once a second: counts what the front end has measured. */
function tick(): number {
    const seconds = inputs.getAt(20, "u32")
    let energy = (inputs.getAt(0, "i32") + inputs.getAt(4, "i32")) * energyGain
    let flags = 0
    // The counts are of one second, so microwatt-seconds are microwatts.
    if (energy < noLoad && -noLoad < energy) energy = 0
    const volts = inputs.getAt(8, "u32") * voltageGain
    if (volts < 184) flags = flagLowVoltage
    if (volts > 264.5) flags = flags | flagHighVoltage
    if (inputs.getAt(12, "u32") * currentGain > 60) flags = flags | flagOverload
    if (inputs.getAt(16, "u32") & 0x20000) flags = flags | flagFrontEnd
    if (inputs.getAt(25, "u8") !== 2) flags = flags | flagNoTime
    if (current === 0 || (seconds | 0) % 60 === 0) {
        // Without a trusted time all is counted under tariff 1.
        const tariff = flags & flagNoTime ? 1 : tariffAt(Math.floor(seconds / 60), inputs.getAt(24, "u8"))
        if (tariff !== current) {
            current = tariff
            host.tariff(tariff)
        }
    }
    const milliwatts = Math.round(energy * 0.001)
    if (energy > 0) {
        host.add(0, energy)
        host.add(current, energy)
    } else if (energy < 0) host.add(fed, -energy)
    host.power(milliwatts)
    const period = Math.floor(seconds / 900) + 1
    if (period !== state.getAt(periodAt, "u32")) {
        if (state.getAt(periodAt, "u32") !== 0)
            host.profile(
                Math.floor(state.getAt(energyAt, "f64") * 0.000001),
                state.getAt(peakAt, "u32"),
                state.getAt(flagsAt, "u32"),
            )
        state.fillAt(0, 20, 0)
        state.setAt(periodAt, "u32", period)
    }
    if (energy > 0) state.setAt(energyAt, "f64", state.getAt(energyAt, "f64") + energy)
    if (milliwatts > state.getAt(peakAt, "u32")) state.setAt(peakAt, "u32", milliwatts)
    state.setAt(flagsAt, "u32", state.getAt(flagsAt, "u32") | flags)
    host.status(flags)
    return flags
}

/** CRC-16/X.25 of the first `length` octets. */
function crc16(octets: Buffer, length: number): number {
    let crc = 0xffff
    for (let i = 0; i < length; ++i) {
        let h = (crc ^ octets[i]) & 0xff
        h = (h ^ (h << 4)) & 0xff
        crc = (crc >> 8) ^ (h << 8) ^ (h << 3) ^ (h >> 4)
    }
    return crc ^ 0xffff
}

/** 0, or what is wrong: 1 the parameters' checksum, 2 a gain, 3 the arithmetic, 4 a tariff that this version does not have. */
function selfTest(): number {
    const end = 34 + switches * 4
    if (end + 2 > parameters.length || crc16(parameters, end) !== parameters.getAt(end, "u16")) return 1
    if (!(energyGain > 0 && voltageGain > 0 && currentGain > 0 && noLoad >= 0)) return 2
    if (Math.floor(123456789.5 * 0.001) !== 123456 || Math.round(2147483646.7) !== 2147483647) return 3
    if (crc16(hex`31 32 33 34 35 36 37 38 39`, 9) !== 0x906e) return 3
    for (let i = 0; i < switches; ++i) {
        const tariff = parameters.getAt(34 + i * 4 + 3, "u8")
        if (tariff < 1 || tariff > tariffs) return 4
    }
    return 0
}

host.onTick(tick)
host.onSelfTest(selfTest)
