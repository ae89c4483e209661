/**
 * A household nobody has to describe: the default load of a simulated meter. World second 0 is midnight UTC.
 *
 * | part | watts | when |
 * |---|---|---|
 * | base load | 60 to 140, a little capacitive | always |
 * | refrigerator | 90, power factor 0.6 | 14 of every 40 minutes, phase by seed |
 * | kettle, toaster | 1900 | some minutes between 6:30 and 8:30, 12:00 and 13:00 |
 * | cooking | 800 to 2400 | most of 18:00 to 19:30 |
 * | light, television | 180 | 18:00 to 23:00 |
 * | photovoltaics (option) | up to `pvPeakWatts` fed in | 6:00 to 18:00, with clouds |
 *
 * Power is constant over 20 seconds. The same seed gives the same household, day by day.
 */
import { type LoadSource, pointOf } from "./load-source"

const piece = 20
const day = 86_400

/** Which household. */
export interface HouseholdOptions {
    /** Any integer, usually the meter's serial. */
    seed: number
    /** Installed photovoltaic power in watts; default 0 = none. */
    pvPeakWatts?: number
}

/** Uniform 0..1 from three integers, the same everywhere. */
function chance(seed: number, what: number, index: number): number {
    let x = (Math.imul(seed | 0, 0x9e3779b1) ^ Math.imul(what + 1, 0x85ebca6b) ^ Math.imul(index | 0, 0xc2b2ae35)) | 0
    x = Math.imul(x ^ (x >>> 16), 0x7feb352d)
    x = Math.imul(x ^ (x >>> 15), 0x846ca68b)
    return ((x ^ (x >>> 16)) >>> 0) / 0x100000000
}

function between(hour: number, first: number, last: number): boolean {
    return hour >= first && hour < last
}

/** The household model above. */
export function household(options: HouseholdOptions): LoadSource {
    const { seed, pvPeakWatts = 0 } = options
    const fridgePhase = chance(seed, 1, 0) * 2400
    return {
        at(second) {
            const index = Math.floor(second / piece)
            const start = index * piece
            const hour = (((start % day) + day) % day) / 3600
            const minute = Math.floor(start / 60)
            let watts = 60 + 80 * chance(seed, 2, index)
            let vars = -15
            if ((((start + fridgePhase) % 2400) + 2400) % 2400 < 840) {
                watts += 90
                vars += 120
            }
            const breakfast = between(hour, 6.5, 8.5) || between(hour, 12, 13)
            if (breakfast && chance(seed, 3, minute) < 0.15) watts += 1900
            if (between(hour, 18, 19.5) && chance(seed, 4, Math.floor(minute / 4)) < 0.7) {
                watts += 800 + 1600 * chance(seed, 5, Math.floor(minute / 2))
            }
            if (between(hour, 18, 23)) watts += 180
            if (pvPeakWatts > 0 && between(hour, 6, 18)) {
                const clouds = 0.4 + 0.6 * chance(seed, 6, Math.floor(minute / 5))
                watts -= pvPeakWatts * Math.sin(((hour - 6) / 12) * Math.PI) * clouds
            }
            const volts = 228 + 5 * chance(seed, 7, Math.floor(minute / 3)) - watts * 0.0004
            return pointOf(watts, vars, volts, 49.98 + 0.04 * chance(seed, 8, minute))
        },
        nextChange: second => (Math.floor(second / piece) + 1) * piece,
    }
}
