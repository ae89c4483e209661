import { Code, fail } from "../firmware/core/errors"
import { firstTransfer } from "./bus-register"
import type { ClockReading, I2cBus, RealTimeClock } from "./ports"

const address = 0x68
const controlAt = 0x0e
const statusAt = 0x0f
const temperatureAt = 0x11
/** Oscillator runs on battery too, no alarms, no square wave: the power-on value. */
const control = 0x1c
/** Oscillator stop flag of the status register. */
const stopFlag = 0x80
/** The alarm flags: a 1 written leaves them as they are. */
const alarmFlags = 0x03

/** 2000-01-01T00:00:00Z and 2100-01-01T00:00:00Z: the part has two digits for the year. */
const firstSecond = 946684800
const endSecond = 4102444800
const secondsOfDay = 86400

/** Days of the months of a common year. */
const monthDays = hex`1f1c1f1e1f1e1f1f1e1f1e1f`

function daysOfMonth(year: number, month: number): number {
    return month === 2 && (year & 3) === 0 ? 29 : monthDays[month - 1]
}

/** Value of a BCD octet, or -1 where it is none or lies outside `low` to `high`. */
function fromBcd(octet: number, low: number, high: number): number {
    const value = (octet >> 4) * 10 + (octet & 0xf)
    return (octet & 0xf) < 10 && value >= low && value <= high ? value : -1
}

function toBcd(value: number): number {
    return ((Math.floor(value / 10) << 4) | (value % 10)) & 0xff
}

/** Seconds since 1970 of time registers 0 to 6, 0 where they are not a date of 2000 to 2099 in 24 hour form. */
function secondsOf(registers: Buffer): number {
    const second = fromBcd(registers[0], 0, 59)
    const minute = fromBcd(registers[1], 0, 59)
    const hour = fromBcd(registers[2], 0, 23)
    const month = fromBcd(registers[5], 1, 12)
    const year = fromBcd(registers[6], 0, 99)
    if (second < 0 || minute < 0 || hour < 0 || month < 0 || year < 0) return 0
    const day = fromBcd(registers[4], 1, daysOfMonth(year, month))
    if (day < 0) return 0
    // Every fourth year from 2000 on is a leap year, up to the end of the part's calendar.
    let days = year * 365 + Math.floor((year + 3) / 4) + day - 1
    for (let m = 1; m < month; ++m) days += daysOfMonth(year, m)
    return firstSecond + days * secondsOfDay + hour * 3600 + minute * 60 + second
}

/** Time registers 0 to 6 of a moment within 2000 to 2099. */
function registersOf(utcSeconds: number): Buffer {
    const since = utcSeconds - firstSecond
    let days = Math.floor(since / secondsOfDay)
    const second = since - days * secondsOfDay
    const registers = Buffer.alloc(7)
    registers[0] = toBcd(second % 60)
    registers[1] = toBcd(Math.floor(second / 60) % 60)
    registers[2] = toBcd(Math.floor(second / 3600))
    // 2000-01-01 was a Saturday; the part only counts this field up at midnight.
    registers[3] = ((days + 5) % 7) + 1
    const year = Math.floor((4 * days) / 1461)
    days -= year * 365 + Math.floor((year + 3) / 4)
    let month = 1
    while (days >= daysOfMonth(year, month)) days -= daysOfMonth(year, month++)
    registers[4] = toBcd(days + 1)
    registers[5] = toBcd(month)
    registers[6] = toBcd(year)
    return registers
}

/**
 * Maxim DS3231, real-time clock with battery. Its time is believed only while the oscillator stop flag is
 * clear and the fields are a date. Nothing but `set` clears the flag, as its last act: power lost before
 * that leaves a time that is not believed.
 *
 * @devsWhenUsed
 */
export class Ds3231 implements RealTimeClock {
    constructor(readonly bus: I2cBus) {}

    /** Checks that the part is there (`PartAbsent`); changes nothing in it. */
    start(): void {
        firstTransfer(this.bus, "DS3231", address, Buffer.from([statusAt]), 1)
    }

    read(): ClockReading {
        let last = this.burst()
        // I2C has no checksum: a time is believed when the next reading goes on from it.
        for (let i = 0; i < 4; ++i) {
            const next = this.burst()
            const step = next.utcSeconds - last.utcSeconds
            if (next.running === last.running && (step === 0 || step === 1)) return next
            last = next
        }
        return fail(Code.ImpossibleValue, 0, "a time that goes on", "" + last.utcSeconds)
    }

    private burst(): ClockReading {
        // At once: the part freezes time at its START, and the flag belongs to that very time.
        const registers = this.bus.transfer(address, hex`00`, statusAt + 1)
        const utcSeconds = secondsOf(registers)
        return { utcSeconds, running: utcSeconds > 0 && (registers[statusAt] & stopFlag) === 0 }
    }

    set(utcSeconds: number): void {
        if (!(utcSeconds >= firstSecond && utcSeconds < endSecond && Math.floor(utcSeconds) === utcSeconds))
            fail(Code.BadArgument, -1, "a second of the years 2000 to 2099", "" + utcSeconds)
        this.bus.transfer(address, Buffer.from([controlAt, control]), 0)
        // The seconds go first: writing them restarts the second, so the rest cannot be overtaken by a carry.
        const write = Buffer.alloc(8)
        write.blitAt(1, registersOf(utcSeconds), 0, 7)
        this.bus.transfer(address, write, 0)
        const now = this.read().utcSeconds
        if (now < utcSeconds || now > utcSeconds + 1)
            fail(Code.ReadBackMismatch, 0, "the time just set, " + utcSeconds, "" + now)
        const status = this.bus.transfer(address, Buffer.from([statusAt]), 1)[0]
        this.bus.transfer(address, Buffer.from([statusAt, (status & ~stopFlag & 0xff) | alarmFlags]), 0)
        if (!this.read().running)
            fail(Code.ReadBackMismatch, statusAt, "a running oscillator", "its stop flag is set again")
    }

    temperatureQuarters(): number {
        const registers = this.bus.transfer(address, Buffer.from([temperatureAt]), 2)
        return registers.getAt(0, "i8") * 4 + (registers[1] >> 6)
    }
}
