/**
 * What flows through a meter, as a function of world time. Active and reactive power are linear in time (or
 * constant) between `at(s)` and `nextChange(s)`, so energies are exact whatever steps they are summed in.
 */

/** Line values at one instant. */
export interface LoadPoint {
    /** Volts rms. */
    volts: number
    /** Amperes rms, 0 or more. */
    amperes: number
    /** Radians by which the current lags the voltage; beyond +-pi/2 energy flows back to the grid. */
    angle: number
    /** Line frequency in hertz. */
    hertz: number
}

/** Anything a meter can measure. */
export interface LoadSource {
    /** Line values at `second` of world time. */
    at(second: number): LoadPoint
    /** First instant after `second` at which power stops being linear or jumps; Infinity if never. */
    nextChange(second: number): number
}

/** True energy, watt-seconds, both 0 or more. */
export interface TrueEnergy {
    drawnWs: number
    fedWs: number
}

/** Line values from active power (watts, negative fed in) and reactive power (var, positive inductive). */
export function pointOf(watts: number, vars: number, volts: number, hertz: number): LoadPoint {
    return { volts, hertz, amperes: volts > 0 ? Math.hypot(watts, vars) / volts : 0, angle: Math.atan2(vars, watts) }
}

/** Active power of a point in watts. */
export function wattsOf(point: LoadPoint): number {
    return point.volts * point.amperes * Math.cos(point.angle)
}

/** Exact energy between two instants (world seconds, `from` <= `to`): the truth a meter is measured by. */
export function energyBetween(source: LoadSource, from: number, to: number): TrueEnergy {
    const sum = { drawnWs: 0, fedWs: 0 }
    for (let t = from; t < to; ) {
        const end = Math.min(to, source.nextChange(t))
        const first = wattsOf(source.at(t))
        const last = 2 * wattsOf(source.at((t + end) / 2)) - first
        const length = end - t
        const zero = first * last < 0 ? first / (first - last) : 1
        add(sum, (first + (zero < 1 ? 0 : last)) * 0.5 * length * zero)
        add(sum, last * 0.5 * length * (1 - zero))
        t = end
    }
    return sum
}

function add(sum: TrueEnergy, wattSeconds: number): void {
    if (wattSeconds > 0) sum.drawnWs += wattSeconds
    else sum.fedWs -= wattSeconds
}

/** The same for ever, for calibration and tests. */
export function constantLoad(watts: number, vars = 0, volts = 230, hertz = 50): LoadSource {
    const point = pointOf(watts, vars, volts, hertz)
    return { at: () => point, nextChange: () => Number.POSITIVE_INFINITY }
}
