import { createHash, randomBytes } from "node:crypto"
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs"
import { dirname, join } from "node:path"
import { checkout, ensureBuilt } from "../build/build.ts"
import { ModelSource } from "../calibrate/boards.ts"
import { certifierOf, instituteCrls } from "../calibrate/certifier.ts"
import { judgeWith } from "../calibrate/judge.ts"
import type { MeterUnderCalibration } from "../calibrate/meter.ts"
import type { ReferenceSource } from "../calibrate/reference.ts"
import { type CalibrationJob, calibrateMeter } from "../calibrate/station.ts"
import { openMuc } from "../commission/boards.ts"
import { kind, passwordVerifier, type Secret } from "../commission/secrets.ts"
import { broughtByHand, commissionMuc, mucCertifierOf } from "../commission/station.ts"
import { initPki } from "../pki/init.ts"
import { renewCrls } from "../pki/revoke.ts"
import { Desk } from "./desk.ts"
import { bringProvider } from "./line-operator.ts"

/**
 * Lays out a fresh folder `into` with calibrated meters of these serial numbers: `into/state` for
 * `Desk.open({ state })`, `into/pki` the parties. The calibration is a real one, made once for an image and
 * the PKI's sources and kept in the cache. The revocation lists are those of today.
 */
export async function layOutCalibrated(into: string, serials: number[], variant = "vm"): Promise<void> {
    await layOut(into, serials, variant, "meters")
}

/** The same, and each meter holds the provider of `into/pki`: the operator there may read it. */
export async function layOutReadable(into: string, serials: number[], variant = "vm"): Promise<void> {
    await layOut(into, serials, variant, "readable meters")
}

/**
 * The same, and MUC 1 produced and installed with all that a directory would bring: it connects to the operator of
 * `into/pki`, and to a concentrator that is issued there. With `hss` (a parameter set, "H5/W4")
 * manufacturer and institute can sign software; keys that sign once must not be copied, so nothing of it comes from the cache.
 */
export async function layOutDesk(into: string, serials: number[], variant = "vm", hss?: string): Promise<void> {
    if (hss === undefined) return layOut(into, serials, variant, "meters and MUC")
    await calibrateAll(into, serials, variant, hss)
    await installMuc(join(into, "state"), join(into, "pki"))
}

type Layout = "meters" | "readable meters" | "meters and MUC"

async function layOut(into: string, serials: number[], variant: string, what: Layout): Promise<void> {
    const images = await Promise.all(["meter", "meter_calibration"].map(name => ensureBuilt(name, variant)))
    const sums = images.map(({ report }) => report.sha256)
    const hash = createHash("sha256").update(`${sums} ${variant} ${serials} ${what}`)
    const withMuc = what === "meters and MUC"
    // The lists in the MUC are those of the day it was laid out; they last for three months.
    if (withMuc) hash.update(`${(await ensureBuilt("muc_install", "vm")).report.sha256} ${weeks()}`)
    const sources = join(checkout, "tools", "pki")
    for (const name of readdirSync(sources).sort()) hash.update(readFileSync(join(sources, name)))
    const key = hash.digest("hex").slice(0, 16)
    const kept = join(checkout, ".plomb", "cache", `calibrated-${key}`)
    if (!existsSync(kept)) {
        mkdirSync(dirname(kept), { recursive: true })
        const fresh = mkdtempSync(`${kept}-`)
        await calibrateAll(fresh, serials, variant)
        if (withMuc) await installMuc(join(fresh, "state"), join(fresh, "pki"))
        if (what === "readable meters") await giveProvider(fresh, serials, variant)
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

async function calibrateAll(folder: string, serials: number[], variant: string, hss?: string): Promise<void> {
    const pki = join(folder, "pki")
    await initPki(pki, { hss })
    for (const serial of serials) await calibrateInVm(join(folder, "state"), serial, pki, variant)
}

/** Calibrates a bare meter in the VM, its parts kept in the folder of boards' folders `state`, by the authority of `pki`. */
export async function calibrateInVm(state: string, serial: number, pki: string, variant = "vm"): Promise<void> {
    const source = new ModelSource()
    const program = "meter_calibration"
    const desk = await Desk.open({ serials: [serial], state, load: source, variant, program })
    try {
        await desk.start()
        const { bus, meter } = await desk.calibrationLink()
        await calibrateMeter(await quietJob(desk, meter, source, pki)).finally(() => bus.dispose())
    } finally {
        await desk.close()
    }
}

async function giveProvider(folder: string, serials: number[], variant: string): Promise<void> {
    const desk = await Desk.open({
        serials,
        state: join(folder, "state"),
        variant,
        clock: "virtual",
        startMs: Date.now(),
    })
    try {
        await desk.start()
        await desk.world.runFor(3000)
        await bringProvider(desk, join(folder, "pki"))
    } finally {
        await desk.close()
    }
}

/** Produces and installs MUC `serial` in the folder of boards' folders `state`, with keys of its own and `more`; `onStep` hears each step. The user's password and the display's key are such as nobody knows unless they are given. */
export async function installMuc(
    state: string,
    pki: string,
    serial = 1,
    onStep: (name: string, final: string) => void = () => {},
    more: Secret[] = [],
    password = randomBytes(16).toString("hex"),
    key1Plc = randomBytes(32),
): Promise<void> {
    const secret = (of: number, name: string, value: Buffer): Secret => ({
        key: { kind: of, address: "" },
        name,
        value: () => value,
    })
    const secrets = [
        secret(kind.key1Plc, "KEY1PLC", key1Plc),
        secret(kind.key2Plc, "KEY2PLC", randomBytes(32)),
        secret(kind.password, "verifier of the user's password", passwordVerifier(password)),
        ...more,
    ]
    const open = await openMuc(`vm:${serial}`, state)
    try {
        await commissionMuc({
            muc: open.muc,
            hardware: "plomb-muc-1",
            certifier: mucCertifierOf(pki),
            installation: () => ({ secrets, ...broughtByHand(pki) }),
            now: () => new Date(),
            onStep,
            remember: () => {},
        })
    } finally {
        await open.close()
    }
}

function weeks(): number {
    return Math.floor(Date.now() / (7 * 86_400_000))
}

/** A calibration of the desk's first meter by the authority of the folder `pki`, with nobody watching and nothing remembered. */
export async function quietJob(
    desk: Desk,
    meter: MeterUnderCalibration | undefined,
    reference: ReferenceSource,
    pki: string,
): Promise<CalibrationJob> {
    return {
        meter,
        field: await desk.field(),
        serial: desk.meters[0].serial,
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
