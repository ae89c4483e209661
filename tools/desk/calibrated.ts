import { createHash } from "node:crypto"
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs"
import { dirname, join } from "node:path"
import { checkout, ensureBuilt } from "../build/build.ts"
import { ModelSource } from "../calibrate/boards.ts"
import { certifierOf, instituteCrls } from "../calibrate/certifier.ts"
import { judgeWith } from "../calibrate/judge.ts"
import type { MeterUnderCalibration } from "../calibrate/meter.ts"
import type { ReferenceSource } from "../calibrate/reference.ts"
import { type CalibrationJob, calibrateMeter } from "../calibrate/station.ts"
import { initPki } from "../pki/init.ts"
import { renewCrls } from "../pki/revoke.ts"
import { Desk } from "./desk.ts"

/**
 * Lays out a fresh folder `into` with calibrated meters of these serial numbers: `into/state` for
 * `Desk.open({ state })`, `into/pki` the parties. The calibration is a real one, made once for an image and
 * the PKI's sources and kept in the cache. The revocation lists are those of today.
 */
export async function layOutCalibrated(into: string, serials: number[], variant = "vm"): Promise<void> {
    const { report } = await ensureBuilt("meter", variant)
    const hash = createHash("sha256").update(`${report.sha256} ${variant} ${serials}`)
    const sources = join(checkout, "tools", "pki")
    for (const name of readdirSync(sources).sort()) hash.update(readFileSync(join(sources, name)))
    const key = hash.digest("hex").slice(0, 16)
    const kept = join(checkout, ".plomb", "cache", `calibrated-${key}`)
    if (!existsSync(kept)) {
        mkdirSync(dirname(kept), { recursive: true })
        const fresh = mkdtempSync(`${kept}-`)
        await calibrateAll(fresh, serials, variant)
        try {
            renameSync(fresh, kept)
        } catch (error) {
            // Another process was quicker with the same calibration.
            if (!existsSync(kept)) throw error
            rmSync(fresh, { recursive: true })
        }
    }
    cpSync(kept, into, { recursive: true })
    await renewCrls(join(into, "pki"))
}

async function calibrateAll(folder: string, serials: number[], variant: string): Promise<void> {
    const pki = join(folder, "pki")
    await initPki(pki)
    for (const serial of serials) {
        const source = new ModelSource()
        const desk = await Desk.open({ serials: [serial], state: join(folder, "state"), load: source, variant })
        await desk.start()
        const { bus, meter } = await desk.calibrationLink()
        try {
            await calibrateMeter(quietJob(meter, serial, source, pki))
        } finally {
            bus.dispose()
            await desk.close()
        }
    }
}

/** A calibration by the authority of the folder `pki` with nobody watching and nothing remembered. */
export function quietJob(
    meter: MeterUnderCalibration,
    serial: number,
    reference: ReferenceSource,
    pki: string,
): CalibrationJob {
    return {
        meter,
        serial,
        hardware: "plomb-1",
        reference,
        certifier: certifierOf(pki),
        judge: judgeWith(instituteCrls(pki)),
        now: () => new Date(),
        onStep: () => {},
        onProgress: () => {},
        remember: async () => {},
    }
}
