import { CoseAlgorithm, type CoseKey } from "../core/cose"
import { Code, fail, PlombError } from "../core/errors"
import { Event } from "../core/logbook"
import { type OctetSource, sameOctets } from "../core/octets"
import { checkSigners, type Manifest, readPackage } from "../core/package"
import { platform } from "../core/platform"
import { SlotState } from "../core/slots"
import { builtInSlot, isElsewhere, mustSuit, Order, SoftwareArea } from "../core/software"
import { checkImage } from "../sandbox/image"
import { floor, host, type Runs, serve, slots, tell, withdraw } from "./software"

/*
 * Software of a device at its start (firmware/muc/README.md), while the heap is empty: judges the package that has come whole, and starts what is to
 * run.
 */

/** Judgements of one package that ended with the power or the program. */
const mostJudgements = 3

serve(order => {
    if (order === Order.Judge) judge()
    else start()
})

/** A fault of the store ends the order; who gave it begins anew. */
function judge(): void {
    const slot = slots.find(SlotState.Receiving)
    if (slot < 0) return
    try {
        if (slots.whole() < 0) return
        const times = host.read(SoftwareArea.Judged, 1)[0]
        if (times >= mostJudgements) fail(Code.SoftwareStarts, -1, "fewer judgements", "one more")
        host.write(SoftwareArea.Judged, Buffer.from([times + 1]))
        const manifest = prove(slot, true)
        load(slot, manifest, present(true))
        tell(Event.softwareReceived, 0, slot)
        slots.verified(slot, manifest.version)
    } catch (e: any) {
        if (!(e instanceof PlombError) || isElsewhere(e.code)) throw e
        tell(Event.failed, e.code, slot)
        slots.fail(slot, e.code)
    }
}

/** What does not hold is withdrawn, until something runs or nothing is left. */
function start(): void {
    for (;;) {
        const trial = slots.find(SlotState.Trial)
        const slot = trial >= 0 ? trial : slots.find(SlotState.Active)
        if (slot < 0) break
        try {
            // Until some time of its trial is over it is being installed: signers must be valid, and it newer than what ran.
            const fresh = trial >= 0 && slots.untried()
            if (trial >= 0 && !slots.start()) fail(Code.SoftwareStarts, -1, "fewer starts", "one more")
            const manifest = prove(slot, fresh)
            const program = load(slot, manifest, fresh ? present(false) : -1)
            program.trial = trial >= 0
            run(program)
            // Where power went between the two.
            if (trial < 0) floor.raise(manifest.floor)
            return
        } catch (e: any) {
            if (!(e instanceof PlombError) || isElsewhere(e.code) || e.code === Code.FloorDamaged) throw e
            withdraw(slot, e.code)
        }
    }
    if (host.about(0) < floor.value()) fail(Code.SoftwareNone, -1, "software above the floor", "none")
    run({ slot: builtInSlot })
}

function run(program: Runs): void {
    const code = host.run(program)
    if (code > 0) fail(code, -1, "software that runs", "another")
}

/** Version of what runs, or would but for one on `trial`. */
function present(trial: boolean): number {
    let slot = trial ? slots.find(SlotState.Trial) : -1
    if (slot < 0) slot = slots.find(SlotState.Active)
    return slot < 0 ? host.about(0) : slots.version(slot)
}

function sourceOf(slot: number): OctetSource {
    return (from, length) => slots.read(slot, from, length)
}

/** Proves who signed. To be `installed`, signers must be valid at present; what was installed runs on when their certificates end. */
function prove(slot: number, installed: boolean): Manifest {
    const source = sourceOf(slot)
    const parts = readPackage(source, slots.length(slot))
    const manifest = parts.manifest
    if (manifest.component !== "muc" || manifest.metrological)
        fail(Code.SoftwareComponent, -1, "software of a MUC", manifest.component)
    const held: Buffer[] = []
    const code = host.signers(held, installed ? 1 : 0)
    if (code > 0) fail(code, -1, "the manufacturer's certificate", "none that holds")
    const keys: CoseKey[] = [
        { kid: held[0], algorithm: CoseAlgorithm.Es256, key: held[1] },
        { kid: held[2], algorithm: CoseAlgorithm.HssLms, key: held[3] },
    ]
    checkSigners(source, parts, keys)
    return manifest
}

/** Loads the image of a package, and judges whether it may run here: newer than `above`. */
function load(slot: number, manifest: Manifest, above: number): Runs {
    mustSuit(manifest, host.hardware(), above, floor.value())
    const image = slots.read(slot, slots.length(slot) - manifest.size, manifest.size)
    if (!sameOctets(platform().sha256([image]), manifest.sha256))
        fail(Code.PackageHash, -1, "the image that the manifest names", "another")
    return {
        slot: slot,
        image: image,
        called: checkImage(image),
        name: manifest.name,
        version: manifest.version,
        floor: manifest.floor,
    }
}
