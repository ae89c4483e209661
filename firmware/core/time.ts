/**
 * Seconds since 1970-01-01 00:00:00 UTC of a date of the proleptic Gregorian calendar, leap seconds
 * not counted. `month` 1 to 12, `day` 1 to 31; years 1970 to 9999. Ranges are the caller's business.
 */
export function utcSeconds(
    year: number,
    month: number,
    day: number,
    hour: number,
    minute: number,
    second: number,
): number {
    // Years that begin in March put the leap day last
    const y = month > 2 ? year : year - 1
    const days = 365 * y + (y >> 2) - Math.floor(y / 100) + Math.floor(y / 400)
    const ofYear = Math.floor((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5) + day - 1
    return (days + ofYear - 719468) * 86400 + hour * 3600 + minute * 60 + second
}

/** Days in a month (1 to 12) of a year. */
export function daysInMonth(year: number, month: number): number {
    if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
    return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
}

/** The date of a time from 1970 on as ISO 8601 spells it, "2026-11-23": `seconds` of UTC, or of a zone's time for its date. Ten steps a month since 1970. */
export function dateOf(seconds: number): string {
    let day = Math.floor(seconds / 86400)
    let month = 0
    for (;;) {
        const days = daysInMonth(1970 + Math.floor(month / 12), (month % 12) + 1)
        if (day < days) break
        day -= days
        month += 1
    }
    return 1970 + Math.floor(month / 12) + "-" + twoDigits((month % 12) + 1) + "-" + twoDigits(day + 1)
}

/** The time of day, "16:58:07". */
export function clockOf(seconds: number): string {
    const minutes = Math.floor(seconds / 60)
    return twoDigits(Math.floor(minutes / 60) % 24) + ":" + twoDigits(minutes % 60) + ":" + twoDigits(seconds % 60)
}

/** 0 to 99. */
function twoDigits(n: number): string {
    return (n < 10 ? "0" : "") + n
}

/** Is it summer time in the European Union (Directive 2000/84/EC): from the last Sunday of March 01:00 UTC to that of October? */
export function isEuSummer(seconds: number): boolean {
    // Days around New Year are taken for the other year: both are winter.
    const year = 1970 + Math.floor(seconds / 31556952)
    return seconds >= changeOf(year, 3) && seconds < changeOf(year, 10)
}

/** The last Sunday of a month of 31 days, 01:00 UTC. */
function changeOf(year: number, month: number): number {
    const last = utcSeconds(year, month, 31, 1, 0, 0)
    // 1970-01-01 was a Thursday.
    return last - ((Math.floor(last / 86400) + 4) % 7) * 86400
}
