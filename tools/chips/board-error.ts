/**
 * What every metering board has and calibration must correct: tolerances of the voltage divider and the current
 * sensors, and the phase lead of a current transformer. Fixed by the board's serial number.
 */

/** Deviations of one board. Gains are relative (0.01 = reads 1 % high); leads in radians of the line. */
export interface BoardError {
    voltage: number
    currentA: number
    currentB: number
    /** The measured current of channel A leads the real one by this. */
    leadA: number
    leadB: number
}

/** A board without error. */
export const perfectBoard: BoardError = { voltage: 0, currentA: 0, currentB: 0, leadA: 0, leadB: 0 }

/** Line values that give the ADE7953 its full-scale input at gain 1 on our board: rms volts, rms amperes. */
export const boardScale = {
    /** Divider 1 : 1001 in front of 0.5 V peak. */
    volts: (0.5 / Math.SQRT2) * 1001,
    /** Current transformer 2000 : 1 with 7.07 ohm burden. */
    amperes: 100,
}

function mix(x: number): number {
    let h = Math.imul((x | 0) ^ 0x5bf03635, 0x2c1b3c6d)
    h = Math.imul(h ^ (h >>> 15), 0x297a2d39)
    return ((h ^ (h >>> 15)) >>> 0) / 0x100000000
}

/** Deviations of the board with this serial: gains within +-2 %, lead 0.1 to 0.6 degrees. */
export function boardErrorOf(serial: number): BoardError {
    const spread = (what: number) => (mix(serial * 8 + what) * 2 - 1) * 0.02
    const lead = (what: number) => ((0.1 + 0.5 * mix(serial * 8 + what)) * Math.PI) / 180
    return { voltage: spread(0), currentA: spread(1), currentB: spread(2), leadA: lead(3), leadB: lead(4) }
}
