import { MucUnderInstallation, mucTarget, step } from "../commission/muc.ts"
import { kind, type Secret } from "../commission/secrets.ts"
import { type CommissioningRecord, commissionMuc, mucCertifierOf } from "../commission/station.ts"
import { Desk } from "../desk/desk.ts"
import { certificatesFor, type Extent, type Mishap, strike, workDespite } from "./mishaps.ts"
import type { Outcome } from "./outcome.ts"

const secretOf = (of: number, address: string, octet: number, length = 32): Secret => ({
    key: { kind: of, address },
    name: `kind ${of}`,
    value: () => Buffer.alloc(length, octet),
})
const secrets = [
    secretOf(kind.key1Plc, "", 1),
    secretOf(kind.key2Plc, "", 2),
    secretOf(kind.password, "", 3, 52),
    secretOf(kind.mBus, "2423785634121b07", 4, 16),
]

/**
 * Produces and installs a MUC with its real image in the VM with one mishap each, and then once more as a person would:
 * the second run must end with an installed MUC, one certificate, and the secrets that were named, each once.
 */
export function run(count: number, seed: number): Promise<Outcome> {
    return strike(count, seed, "commissioning", commissionDespite)
}

/** Throws where the second run does not end as it must. */
async function commissionDespite(pki: string, serial: number, mishap?: Mishap): Promise<Extent> {
    const desk = await Desk.open({ serials: [] })
    let earlier: Partial<CommissioningRecord> | undefined
    let record: CommissioningRecord | undefined
    try {
        await desk.startInstallation(serial)
        const extent = await workDespite(desk, desk.muc!, mucTarget, mishap, async call => {
            record = await commissionMuc({
                muc: new MucUnderInstallation(call),
                hardware: "plomb-muc-1",
                certifier: mucCertifierOf(pki),
                installation: () => ({ secrets }),
                now: () => new Date(),
                onStep: () => {},
                earlier,
                remember: partial => {
                    earlier = JSON.parse(JSON.stringify(partial))
                },
            })
        })
        const { bus, muc } = await desk.installationLink()
        const state = await muc.identify()
        const held = await muc.held()
        bus.dispose()
        if (state.step !== step.installed || !state.sealed)
            throw new Error(`step ${state.step}, sealed ${state.sealed}`)
        const expected = secrets.map(({ key }) => key)
        if (JSON.stringify(held) !== JSON.stringify(expected)) throw new Error(`holds ${JSON.stringify(held)}`)
        const certificates = certificatesFor(pki, "manufacturer", record!.serverId)
        if (certificates !== 1) throw new Error(`${certificates} certificates`)
        return extent
    } finally {
        await desk.close()
    }
}
