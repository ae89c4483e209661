/**
 * The counting chain of the DS3231: seven BCD registers and two alarms, advanced by whole seconds. Days are
 * stepped one by one, so a jump of years costs little.
 */

/** 00:00:00, day 1, 1 January 00. */
export const defaultTime = Uint8Array.of(0, 0, 0, 1, 1, 1, 0)

const daySeconds = 86_400
const fromBcd = (octet: number) => (octet >> 4) * 10 + (octet & 0x0f)
const toBcd = (value: number) => (Math.floor(value / 10) << 4) | (value % 10)

function hoursOf(register: number): number {
    if ((register & 0x40) === 0) return fromBcd(register & 0x3f)
    return (fromBcd(register & 0x1f) % 12) + (register & 0x20 ? 12 : 0)
}

function hoursTo(hours: number, before: number): number {
    if ((before & 0x40) === 0) return toBcd(hours)
    return 0x40 | (hours >= 12 ? 0x20 : 0) | toBcd(hours % 12 === 0 ? 12 : hours % 12)
}

function daysInMonth(month: number, year: number): number {
    if (month === 2) return year % 4 === 0 ? 29 : 28
    return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}

function nextDay(r: Uint8Array): void {
    r[3] = (r[3] % 7) + 1
    const month = fromBcd(r[5] & 0x1f)
    const year = fromBcd(r[6])
    const date = fromBcd(r[4]) + 1
    if (date <= daysInMonth(month, year)) {
        r[4] = toBcd(date)
        return
    }
    r[4] = 1
    if (month < 12) {
        r[5] = (r[5] & 0x80) | toBcd(month + 1)
        return
    }
    r[5] = (r[5] & 0x80) | 1
    if (year < 99) r[6] = toBcd(year + 1)
    else {
        r[6] = 0
        r[5] ^= 0x80
    }
}

/** Does an alarm strike on the present day between the seconds `first` and `last` of the day? */
function strikes(r: Uint8Array, alarm: Uint8Array, first: number, last: number): boolean {
    const [second, minute, hour, day] = alarm
    if ((day & 0x80) === 0) {
        const meant = day & 0x40 ? (day & 0x07) === r[3] : (day & 0x3f) === r[4]
        if (!meant) return false
    }
    let period = daySeconds
    let at = hoursOf(hour & 0x7f) * 3600 + fromBcd(minute & 0x7f) * 60 + fromBcd(second & 0x7f)
    if (hour & 0x80) period = 3600
    if (minute & 0x80) period = 60
    if (second & 0x80) period = 1
    at %= period
    return first + ((((at - first) % period) + period) % period) <= last
}

function alarms(r: Uint8Array, first: number, last: number): number {
    // Alarm 2 has no seconds register: it strikes at second 00.
    const one = strikes(r, r.subarray(7, 11), first, last)
    const two = strikes(r, Uint8Array.of(0, r[11], r[12], r[13]), first, last)
    return (one ? 1 : 0) | (two ? 2 : 0)
}

/** Counts `seconds` on in registers 00..06 of `r`; returns the alarm flags (A1F bit 0, A2F bit 1) that struck. */
export function advanceCalendar(r: Uint8Array, seconds: number): number {
    let flags = 0
    let left = seconds
    while (left > 0) {
        let time = Math.min(hoursOf(r[2]) * 3600 + fromBcd(r[1]) * 60 + fromBcd(r[0]), daySeconds - 1)
        const within = Math.min(left, daySeconds - 1 - time)
        if (within > 0) flags |= alarms(r, time + 1, time + within)
        time += within
        left -= within
        const midnight = left > 0
        if (midnight) {
            nextDay(r)
            flags |= alarms(r, 0, 0)
            time = 0
            left--
        }
        r[0] = toBcd(time % 60)
        r[1] = toBcd(Math.floor(time / 60) % 60)
        r[2] = hoursTo(Math.floor(time / 3600), r[2])
    }
    return flags
}
