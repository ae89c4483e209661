import { ModelSource } from "../calibrate/boards.ts"
import { type Call, meterTarget } from "../calibrate/link.ts"
import { MeterUnderCalibration } from "../calibrate/meter.ts"
import type { CalibrationProtocol, PartialProtocol } from "../calibrate/protocol.ts"
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
    const desk = await Desk.open({ serials: [serial], load: source, program: "meter_calibration" })
    const [meter] = desk.meters
    let earlier: PartialProtocol | undefined
    let protocol: CalibrationProtocol | undefined
    try {
        await desk.start()
        const field = await desk.field()
        let entered = false
        const enter = async () => {
            entered = true
            await field.enter()
        }
        const work = async (call: Call) => {
            protocol = await calibrateMeter({
                ...(await quietJob(desk, new MeterUnderCalibration(call), source, pki)),
                field: { ...field, enter },
                earlier,
                remember: async partial => {
                    earlier = JSON.parse(JSON.stringify(partial))
                },
            })
        }
        // Struck after the field image had come, the board is begun with as any other.
        const again = async () => {
            if (entered || !meter.board.powered) await desk.flash("meter_calibration")
        }
        const extent = await workDespite(desk, meter, meterTarget, mishap, work, again)
        await desk.flash("meter_calibration")
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
