import type { RecordFields } from "./mbus-values.ts"

/** Names of what is measured: per table of VIFs, first code of a row in hex -> name (EN 13757-3 tables 10, 14, 12, 13). */
const quantities: string[] = [
    `00 energy, 08 energy, 10 volume, 18 mass, 20 on time, 24 operating time, 28 power, 30 power, 38 volume flow, 40 volume flow, 48 volume flow,
    50 mass flow, 58 flow temperature, 5c return temperature, 60 temperature difference, 64 external temperature, 68 pressure, 6c date,
    6d date and time, 6e heat cost allocation, 70 averaging duration, 74 actuality duration, 78 fabrication number, 79 enhanced identification,
    7a bus address, 7e any VIF`,
    `00 energy, 02 reactive energy, 04 apparent energy, 08 energy, 0c energy, 10 volume, 14 reactive power, 18 mass, 1a relative humidity, 20 volume,
    21 volume, 22 volume, 23 volume, 24 volume flow, 25 volume flow, 26 volume flow, 28 power, 2a phase U-U, 2b phase U-I, 2c frequency, 30 power,
    34 apparent power, 58 flow temperature, 5c return temperature, 60 temperature difference, 64 external temperature,
    68 resulting rating factor, 69 thermal output rating factor, 6a thermal coupling rating factor, 6b thermal coupling rating factor room side,
    6c thermal coupling rating factor heater side, 6d low temperature rating factor, 6e display output scaling factor, 70 temperature limit,
    74 temperature limit, 78 cumulated maximum of active power`,
    `00 credit, 04 debit, 08 access number, 09 device type, 0a manufacturer, 0b parameter set, 0c model and version, 0d hardware version,
    0e metrology firmware version, 0f other software version, 10 customer location, 11 customer, 12 access code user, 13 access code operator,
    14 access code system operator, 15 access code developer, 16 password, 17 error flags, 18 error mask, 19 security key, 1a digital output,
    1b digital input, 1c baud rate, 1d response delay time, 1e retry, 1f remote control, 20 first storage, 21 last storage,
    22 size of storage block, 23 descriptor of tariff and subunit, 24 storage interval, 28 storage interval, 29 storage interval,
    2a operator specific data, 2b time point second, 2c duration since last readout, 30 start of tariff, 31 duration of tariff, 34 period of tariff,
    38 period of tariff, 39 period of tariff, 3a dimensionless, 3b wireless M-Bus container, 3c period of transmissions, 40 voltage, 50 current,
    60 reset counter, 61 cumulation counter, 62 control signal, 63 day of week, 64 week number, 65 time of day change,
    66 state of parameter activation, 67 supplier information, 68 duration since last cumulation, 6c operating time of battery,
    70 battery change, 71 reception level, 72 daylight saving, 73 listening window, 74 remaining battery life, 75 times the meter was stopped,
    76 manufacturer container`,
    "00 selected application, 02 remaining battery life, 03 remaining battery life",
]

const names = quantities.map(
    text => new Map(text.split(/,\s+/).map(item => [Number.parseInt(item.slice(0, 2), 16), item.slice(3)])),
)

/** What a record measures. */
export function quantityName({ table, quantity }: RecordFields): string {
    if (table === 4) return "plain text unit"
    if (table > 4) return "manufacturer specific"
    return names[table].get(quantity) ?? `reserved ${["", "FB ", "FD ", "FD FD "][table]}${quantity.toString(16)}`
}

const units = "m3/min, m3/s, kg/h, cal, ft3, gal, gal/min, gal/h, degF, Bd, bit times, 1/4096".split(", ")

/** Units that the DLMS table has not. */
export const ownUnit = (code: number): string | undefined => units[code - 128]

export const functionNames = ["instantaneous", "maximum", "minimum", "error state"]

export const proofNames = ["none", "decrypted", "mac"]

export const contentNames = ["records", "fixed", "error", "other", "compact"]

/** Application errors (EN 13757-3 clause 10). */
export const applicationErrors = [
    "unspecified error",
    "unimplemented CI field",
    "buffer too long, truncated",
    "too many records",
    "premature end of record",
    "more than 10 DIFEs",
    "more than 10 VIFEs",
    "reserved",
    "application too busy",
    "too many readouts",
]

const deviceTypes =
    `other, oil, electricity, gas, heat, steam, warm water, water, heat cost allocator, compressed air, cooling (return), cooling (flow), heat (flow),
    heat and cooling, bus or system component, unknown, irrigation water, water data logger, gas data logger, gas converter, calorific value, hot water, cold water,
    dual register water, pressure, A/D converter, smoke detector, room sensor, gas detector, carbon monoxide detector, heat detector, sensor, breaker, valve,
    switching device, reserved, reserved, customer unit, reserved, reserved, waste water, garbage, reserved, reserved, reserved, reserved, reserved, reserved, reserved,
    communication controller, unidirectional repeater, bidirectional repeater, reserved, reserved, radio converter (system), radio converter (meter), wired adapter`
        .trim()
        .split(/,\s+/)

/** Device type (EN 13757-7 table 13). */
export const deviceTypeName = (code: number): string => deviceTypes[code] ?? "reserved"

const codes: Record<number, string> = {
    18: "average",
    19: "inverse compact profile",
    20: "relative deviation",
    29: "standard conform data",
    30: "compact profile with registers",
    31: "compact profile",
    39: "per revolution or measurement",
    54: "multiplied by s",
    55: "multiplied by s/V",
    56: "multiplied by s/A",
    57: "start of",
    58: "uncorrected",
    59: "forward",
    60: "backward",
    61: "non-metric",
    62: "at base conditions",
    63: "OBIS declaration",
    105: "leakage",
    109: "overflow",
    125: "times 1000",
    126: "future value",
}
const errors =
    "none, too many DIFEs, storage not implemented, subunit not implemented, tariff not implemented, function not implemented, data class not implemented, data size not implemented".split(
        ", ",
    )
const laterErrors: Record<number, string> = {
    11: "too many VIFEs",
    12: "illegal VIF group",
    13: "illegal VIF exponent",
    14: "VIF and DIF do not match",
    15: "unimplemented action",
    21: "no data",
    22: "overflow",
    23: "underflow",
    24: "data error",
    28: "premature end of record",
}
const per = "s, min, h, d, week, month, year".split(", ")
const perUnit = "l, m3, kg, K, kWh, GJ, kW, K l, V, A".split(", ")
const ofExtension =
    "reserved, phase L1, phase L2, phase L3, neutral, L1 to L2, L2 to L3, L3 to L1, quadrant 1, quadrant 2, quadrant 3, quadrant 4, import minus export".split(
        ", ",
    )
const time = "s, min, h, d".split(", ")

/** Name of a combinable extension (table 15; behind 7C table 16). */
export function extensionName(code: number, behindExtension: boolean): string {
    const side = (bit: number) => ((code & bit) !== 0 ? "upper" : "lower")
    const which = (bit: number) => ((code & bit) !== 0 ? "last" : "first")
    const edge = (code & 1) !== 0 ? "end" : "begin"
    if (behindExtension)
        return code === 0x10
            ? "absolute values"
            : code === 0x11
              ? "type C"
              : code === 0x12
                ? "type D"
                : (ofExtension[code] ?? hex(code))
    if (codes[code]) return codes[code]
    if (code < 8) return `error: ${errors[code]}`
    if (laterErrors[code]) return `error: ${laterErrors[code]}`
    if (code >= 0x20 && code <= 0x26) return `per ${per[code - 0x20]}`
    if (code >= 0x28 && code <= 0x2b) return `per ${code < 0x2a ? "input" : "output"} pulse of channel ${code & 1}`
    if (code >= 0x2c && code <= 0x35) return `per ${perUnit[code - 0x2c]}`
    if ((code & 0x77) === 0x40) return `${side(8)} limit`
    if ((code & 0x77) === 0x41) return `times beyond ${side(8)} limit`
    if ((code & 0x72) === 0x42) return `${edge} of ${which(4)} time beyond ${side(8)} limit`
    if ((code & 0x70) === 0x50) return `duration (${time[code & 3]}) of ${which(4)} time beyond ${side(8)} limit`
    if ((code & 0x78) === 0x60) return `${which(4)} duration (${time[code & 3]})`
    if ((code & 0x7b) === 0x68) return `value beyond ${side(4)} limit`
    if ((code & 0x7a) === 0x6a) return `${edge} of ${which(4)}`
    if ((code & 0x78) === 0x70) return `times 10^${(code & 7) - 6}`
    if ((code & 0x7c) === 0x78) return `plus 10^${(code & 3) - 3}`
    return hex(code)
}

const hex = (code: number) => `extension ${code.toString(16).padStart(2, "0")}`
