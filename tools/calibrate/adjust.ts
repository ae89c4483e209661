import type { Measured, MeterUnderCalibration } from "./meter.ts"
import { points, type ReferencePoint, type ReferenceSource, wattsOf } from "./reference.ts"

/** Gain registers of the front end: 0x400000 is 1.0, 0.5 to 1.5 are permitted (ADE7953). */
const unity = 0x400000
/** Phase calibration: sign bit 9, magnitude 8 to 0, 1.117 us a step. */
const phaseSign = 0x200
const phaseMagnitude = 383
const phaseStepSeconds = 1.117e-6

/** Largest error that a calibrated meter may show at the proof point: class B of EN 50470-3 halved. */
export const errorLimit = 0.005

/** A point as applied and as the meter saw it. */
export interface PointRecord {
    name: string
    applied: ReferencePoint & { watts: number }
    measured: Measured
    /** (measured - applied) / applied, of active power. */
    powerError: number
}

/** Constants found, and the record of how. */
export interface Adjustment {
    voltageGain: number
    currentGain: number
    powerGain: number
    phase: number
    records: PointRecord[]
}

/** The adjustment failed: the meter is outside what its front end can correct, or did not hold still. */
export class AdjustmentError extends Error {}

/** Mean of several measurements; one alone carries the ripple of its moment. */
async function measureSteadily(meter: MeterUnderCalibration): Promise<Measured> {
    const sum: Measured = { volts: 0, amperes: 0, watts: 0, hertz: 0 }
    const count = 4
    for (let i = 0; i < count; ++i) {
        const one = await meter.measure()
        sum.volts += one.volts / count
        sum.amperes += one.amperes / count
        sum.watts += one.watts / count
        sum.hertz += one.hertz / count
    }
    return sum
}

function gain(name: string, present: number, applied: number, measured: number): number {
    const value = Math.round((present * applied) / measured)
    if (!(value >= unity / 2 && value <= (unity * 3) / 2))
        throw new AdjustmentError(
            `${name}: applied ${applied}, measured ${measured}: no gain from 0.5 to 1.5 corrects that`,
        )
    return value
}

/**
 * Finds gains and phase from the reference and leaves them in the meter, then proves them at a third
 * point. The direction of the phase register is tried out, not assumed: sources disagree on its sign.
 */
export async function adjustMeter(
    meter: MeterUnderCalibration,
    reference: ReferenceSource,
    progress: (text: string) => void,
): Promise<Adjustment> {
    const records: PointRecord[] = []
    const visit = async (point: ReferencePoint): Promise<PointRecord> => {
        const applied = await reference.apply(point)
        const measured = await measureSteadily(meter)
        const watts = wattsOf(applied)
        const record = {
            name: point.name,
            applied: { ...applied, watts },
            measured,
            powerError: (measured.watts - watts) / watts,
        }
        progress(
            `${point.name}: applied ${watts.toFixed(2)} W, measured ${measured.watts.toFixed(2)} W (${(record.powerError * 100).toFixed(3)} %)`,
        )
        return record
    }

    await meter.adjust(unity, unity, unity, 0)
    const [gainPoint, phasePoint, proofPoint] = points
    const raw = await visit(gainPoint)
    records.push(raw)
    const voltageGain = gain("voltage", unity, raw.applied.volts, raw.measured.volts)
    const currentGain = gain("current", unity, raw.applied.amperes, raw.measured.amperes)
    // The power path has its own gain stage behind the two channel gains.
    await meter.adjust(voltageGain, currentGain, unity, 0)
    const scaled = await visit({ ...gainPoint, name: "gain" })
    let powerGain = gain("power", unity, scaled.applied.watts, scaled.measured.watts)

    await meter.adjust(voltageGain, currentGain, powerGain, 0)
    const lagging = await visit(phasePoint)
    records.push(lagging)
    const lag = (lagging.applied.lagDegrees * Math.PI) / 180
    const seenCosine = lagging.measured.watts / (lagging.applied.volts * lagging.applied.amperes)
    const shiftSeconds =
        (Math.acos(Math.max(-1, Math.min(1, seenCosine))) - lag) / (2 * Math.PI * lagging.applied.hertz)
    const steps = Math.min(phaseMagnitude, Math.round(Math.abs(shiftSeconds) / phaseStepSeconds))
    let phase = 0
    let best = Math.abs(lagging.powerError)
    for (const candidate of steps === 0 ? [] : [steps, steps | phaseSign]) {
        await meter.adjust(voltageGain, currentGain, powerGain, candidate)
        const tried = await visit(phasePoint)
        if (Math.abs(tried.powerError) < best) {
            best = Math.abs(tried.powerError)
            phase = candidate
            records[records.length - 1] = tried
        }
    }
    // A phase error also cost a little power at unity power factor: take the power gain once more.
    await meter.adjust(voltageGain, currentGain, powerGain, phase)
    const again = await visit(gainPoint)
    powerGain = gain("power", powerGain, again.applied.watts, again.measured.watts)
    await meter.adjust(voltageGain, currentGain, powerGain, phase)

    const proof = await visit(proofPoint)
    records.push(proof)
    if (Math.abs(proof.powerError) > errorLimit)
        throw new AdjustmentError(
            `the error at the proof point is ${(proof.powerError * 100).toFixed(3)} %, allowed is ${errorLimit * 100} %`,
        )
    return { voltageGain, currentGain, powerGain, phase, records }
}
