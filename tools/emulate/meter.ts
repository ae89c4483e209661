import { readFileSync } from "node:fs"
import { UsageError } from "../cli/usage.ts"
import { unitCode } from "../decode/units.ts"

/** A value of an emulated meter that grows evenly. */
export interface Register {
    /** Six octets A to F. */
    obis: Buffer
    /** DLMS code. */
    unit: number
    /** Power of ten of the numbers below. */
    scaler: number
    raw: number
    rawPerHour: number
}

/** What a meter is and what it shows. */
export interface Meter {
    /** Eight digits. */
    id: string
    /** Three letters. */
    manufacturer: string
    version: number
    /** Device type of M-Bus. */
    deviceType: number
    registers: Register[]
}

const example = {
    id: "10000001",
    manufacturer: "PLB",
    version: 1,
    deviceType: 2,
    registers: [
        { obis: "1-0:1.8.0*255", value: "12345.678", unit: "Wh", kilo: true, perHour: 1.5 },
        { obis: "1-0:2.8.0*255", value: "250.000", unit: "Wh", kilo: true, perHour: 0 },
        { obis: "1-0:16.7.0*255", value: "1500", unit: "W" },
        { obis: "1-0:32.7.0*255", value: "230.1", unit: "V" },
        { obis: "1-0:31.7.0*255", value: "6.52", unit: "A" },
        { obis: "1-0:14.7.0*255", value: "50.01", unit: "Hz" },
    ],
}

const bad = (what: string): never => {
    throw new UsageError(`the profile's ${what}`)
}

/** The meter of a profile's JSON; without a file an example. `UsageError` says what is wrong with it. */
export function meterOf(profile: any = example): Meter {
    const { id, manufacturer, version = 1, deviceType = 2, registers } = profile
    if (!/^\d{8}$/.test(id)) bad("id is eight digits")
    if (!/^[A-Z]{3}$/.test(manufacturer)) bad("manufacturer is three capital letters")
    if (!Array.isArray(registers) || registers.length === 0) bad("registers are a list")
    return { id, manufacturer, version, deviceType, registers: registers.map(registerOf) }
}

function registerOf({ obis, value, unit, kilo = false, perHour = 0 }: any): Register {
    const groups =
        /^(\d+)-(\d+):(\d+)\.(\d+)\.(\d+)(?:\*(\d+))?$/.exec(obis) ??
        bad(`register ${obis} has no OBIS code A-B:C.D.E*F`)
    const number = /^(-?)(\d+)(?:\.(\d+))?$/.exec(String(value)) ?? bad(`register ${obis} has no decimal value`)
    const code = unitCode(unit) ?? bad(`register ${obis} has a unit that DLMS has not: ${unit}`)
    const decimals = number[3]?.length ?? 0
    const scaler = (kilo ? 3 : 0) - decimals
    return {
        obis: Buffer.from(groups.slice(1).map((group: string | undefined) => Number(group ?? 255))),
        unit: code,
        scaler,
        raw: Number(number[1] + number[2] + (number[3] ?? "")),
        rawPerHour: Number(perHour) * 10 ** decimals,
    }
}

export function meterFrom(file: string | undefined): Meter {
    if (file === undefined) return meterOf()
    let profile: unknown
    try {
        profile = JSON.parse(readFileSync(file, "utf8"))
    } catch (error) {
        throw new UsageError(`${file}: ${(error as Error).message.split("\n")[0]}`)
    }
    return meterOf(profile)
}

/** The number of a register after so many milliseconds. */
export const rawAt = (register: Register, elapsedMs: number): number =>
    register.raw + Math.floor((register.rawPerHour * elapsedMs) / 3_600_000)

/** Decimal text with the digits of the scaler, in thousands where `kilo`. */
export function decimalText(raw: number, scaler: number, kilo: boolean, digits = 0): string {
    const decimals = Math.max(0, (kilo ? 3 : 0) - scaler)
    const scaled = kilo || scaler <= 0 ? raw : raw * 10 ** scaler
    const text = String(Math.abs(scaled)).padStart(decimals + 1, "0")
    const whole = decimals > 0 ? text.slice(0, -decimals) : text
    const fraction = decimals > 0 ? `.${text.slice(-decimals)}` : ""
    return (raw < 0 ? "-" : "") + whole.padStart(digits, "0") + fraction
}
