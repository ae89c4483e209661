import { mbusReadings } from "./mbus-readings"
import { type MbusTelegram, openWired } from "./mbus-telegram"
import type { Reading } from "./reading"
import type { SmlValue } from "./sml-write"

/**
 * Meters that a meter has read, as they stand behind the other entries of its signed list: PLOMB-SL/3 (README.md). Of each there is the telegram as it was
 * received, so nobody need believe the decoder; and what it means, so nobody need have one.
 */

/** What is known of such a meter: the status of its entry. Only of one that is `Present` registers follow. */
export enum SubMeterState {
    /** Its telegram is of this run of the program and not older than two periods of reading. */
    Present = 0,
    /** It has not been read since the start; what there is, is from before. */
    Former = 1,
    /** It does not answer. */
    Silent = 2,
    /** Its answers are damaged, or say nothing that can be decoded. */
    Garbled = 3,
    /** Its telegrams are encrypted, and this meter has no keys. */
    Encrypted = 4,
    /** Another one answers at its address. */
    Other = 5,
}

/** Registers of one telegram in a list. */
export const mostSubRegisters = 2

/** DLMS codes of the units in which something is counted: m3, m3 corrected, J, Wh. */
const counted = hex`0d 0e 19 1e`

/** One meter: `telegram` of no octets where there never was one. */
export interface SubMeter {
    state: SubMeterState
    /** When the telegram was received: SML_Time's tag (1 seconds index, 2 timestamp) and its number. */
    timeKind: number
    seconds: number
    /** Identification as on the line: manufacturer 2, number 4, version, device type. */
    address: Buffer
    telegram: Buffer
}

/** Opens and judges a telegram as it came from the line. Errors of `openWired`; `MbusNoKey` for an encrypted one. */
export function openSubMeter(frame: Buffer): MbusTelegram {
    return openWired(frame, undefined)
}

/**
 * The registers of a telegram that stand in a list: the first two whole numbers of gas, water, heat or cold that count up to now. Those of an electricity meter
 * are left out: they would have the names of the meter's own.
 */
export function subRegisters(telegram: MbusTelegram): Reading[] {
    const all = mbusReadings(telegram)
    const registers: Reading[] = []
    for (let i = 0; i < all.length && registers.length < mostSubRegisters; ++i) {
        const reading = all[i]
        const code = reading.obis
        // Value groups D and E of totals: 0, and for gas whatever its volume is referred to.
        const total = code[4] === 0 && code[5] === 255 && (code[3] === 0 || code[0] === 7)
        let unit = false
        for (let k = 0; k < counted.length; ++k) if (counted[k] === reading.unit) unit = true
        const whole = reading.exact && reading.value === Math.floor(reading.value)
        if (unit && whole && reading.time.length === 0 && code[0] > 3 && total) registers.push(reading)
    }
    return registers
}

/** Appends the entries of the meter with number `index`, from 0 on. Throws, and appends nothing, where a telegram that is present can not be decoded. */
export function addSubMeter(entries: SmlValue[], index: number, sub: SubMeter): void {
    // What can not be decoded leaves no half of an entry behind.
    const present = sub.state === SubMeterState.Present
    const registers = present ? subRegisters(openSubMeter(sub.telegram)) : []
    const value = Buffer.alloc(1 + sub.address.length + sub.telegram.length)
    value[0] = sub.address.length
    value.blitAt(1, sub.address, 0, sub.address.length)
    value.blitAt(1 + sub.address.length, sub.telegram, 0, sub.telegram.length)
    entries.push([
        Buffer.from([0x81, 0x81, 0xc7, 0xf2, index + 1, 0xff]),
        [0x61, sub.state],
        sub.telegram.length > 0 ? [sub.timeKind, sub.seconds] : undefined,
        undefined,
        undefined,
        [0, value],
        undefined,
    ])
    for (let i = 0; i < registers.length; ++i) {
        const register = registers[i]
        entries.push([
            register.obis,
            undefined,
            undefined,
            register.unit,
            register.exponent,
            [0x58, register.value],
            undefined,
        ])
    }
}
