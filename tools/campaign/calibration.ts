import { ModelSource } from "../calibrate/boards.ts"
import { meterTarget } from "../calibrate/link.ts"
import { MeterUnderCalibration } from "../calibrate/meter.ts"
import type { CalibrationProtocol } from "../calibrate/protocol.ts"
import { calibrateMeter } from "../calibrate/station.ts"
import { quietJob } from "../desk/calibrated.ts"
import { Desk } from "../desk/desk.ts"
import { certificatesFor, type Extent, type Mishap, strike, workDespite } from "./mishaps.ts"
import type { Outcome } from "./outcome.ts"

/**
 * Calibrates the real meter image in the VM with one mishap each, and then once more as a person would:
 * the second run must end with a calibrated meter, one certificate, and a test reading that is proved with it.
 */
export function run(count: number, seed: number): Promise<Outcome> {
    return strike(count, seed, "calibration", calibrateDespite)
}

/** Throws where the second run does not end as it must. */
async function calibrateDespite(pki: string, serial: number, mishap?: Mishap): Promise<Extent> {
    const source = new ModelSource()
    const desk = await Desk.open({ serials: [serial], load: source })
    const [meter] = desk.meters
    let earlier: Partial<CalibrationProtocol> | undefined
    let protocol: CalibrationProtocol | undefined
    try {
        await desk.start()
        const extent = await workDespite(desk, meter, meterTarget, mishap, async call => {
            protocol = await calibrateMeter({
                ...quietJob(new MeterUnderCalibration(call), serial, source, pki),
                earlier,
                remember: async partial => {
                    earlier = JSON.parse(JSON.stringify(partial))
                },
            })
        })
        const { bus, meter: calibrated } = await desk.calibrationLink()
        const state = await calibrated.identify()
        bus.dispose()
        if (state.step !== 5 || !state.sealed) throw new Error(`step ${state.step}, sealed ${state.sealed}`)
        const certificates = certificatesFor(pki, "calibration-authority", protocol!.serverId)
        if (certificates !== 1) throw new Error(`${certificates} certificates`)
        return extent
    } finally {
        await desk.close()
    }
}
