import { createHash } from "node:crypto"
import { Code, fail, PlombError } from "../../firmware/core/errors"
import type { OctetSource } from "../../firmware/core/octets"
import { type Manifest, readPackage } from "../../firmware/core/package"
import { verifyPackage } from "../../firmware/core/package-trust"
import { SlotState, Slots } from "../../firmware/core/slots"
import * as paths from "../../firmware/core/sml-parameter"
import type { Store } from "../../firmware/core/store"
import type { Anchors } from "../../tools/package/judge.ts"
import { versionName } from "../../tools/verify/software.ts"

/** The core's slots with packages judged as a meter does, and nothing that runs: for tests of host tools. */
export class FakeSoftware {
    readonly slots: Slots
    /** Blocks that came, by number. */
    readonly came: number[] = []
    floor = 0
    running = { name: "", checksum: Buffer.alloc(32) }
    /** It was started since it judged what it holds. */
    started = false
    private slot = 0
    private version = 0

    constructor(
        store: Store,
        readonly anchors: Anchors,
    ) {
        this.slots = new Slots(store, 0, 0x400, 0x1000)
        this.runBuiltIn()
    }

    /** What Get of the software's path shows. */
    values(): Buffer[] {
        const number = (value: number) => {
            const octets = Buffer.alloc(4)
            octets.writeUInt32BE(value)
            return octets
        }
        const blocks = this.slots.blocks()
        const slots = Buffer.from(this.slots.octets())
        this.judge()
        return [
            slots,
            Buffer.concat([Buffer.of(this.slot), number(this.version), this.running.checksum]),
            Buffer.from(this.running.name),
            number(this.floor),
            blocks,
        ]
    }

    block(value: Buffer): void {
        this.came.push(value.readUInt16BE(0))
        this.slots.block(value)
    }

    /** What a device does in the background, some time after the last block. */
    judge(): void {
        try {
            const slot = this.slots.whole()
            if (slot < 0) return
            const source = this.source(slot)
            const parts = readPackage(source, this.slots.length(slot))
            verifyPackage(source, parts, { ...this.anchors, atSeconds: Math.floor(Date.now() / 1000) })
            if (parts.manifest.version <= this.version) fail(Code.SoftwareVersion, -1, "a higher one", "not")
            this.slots.verified(slot, parts.manifest.version)
        } catch (error) {
            if (!(error instanceof PlombError)) throw error
            this.slots.fail(this.slots.find(SlotState.Receiving), error.code)
        }
    }

    obey(path: Buffer, value: Buffer): void {
        if (path.equals(paths.announcePath)) this.slots.announce(value)
        else if (path.equals(paths.activatePath)) {
            const slot = this.slots.named(value, SlotState.Verified)
            if (this.started) {
                this.started = false
                fail(Code.Busy, -1, "a package proved since the start", "one that is being proved")
            }
            this.slots.begin(slot)
            this.run(slot)
        } else if (path.equals(paths.confirmPath)) {
            const slot = this.slots.named(value, SlotState.Trial)
            this.slots.confirm(slot)
            this.floor = this.manifest(slot).floor
        } else {
            const trial = this.slots.find(SlotState.Trial) >= 0
            const slot = this.slots.named(value, trial ? SlotState.Trial : SlotState.Active)
            this.slots.fail(slot, Code.SoftwarePutBack)
            const before = this.slots.find(SlotState.Active)
            if (before >= 0) this.run(before)
            else this.runBuiltIn()
        }
    }

    private source(slot: number): OctetSource {
        return (from, length) => this.slots.read(slot, from, length)
    }

    private manifest(slot: number): Manifest {
        return readPackage(this.source(slot), this.slots.length(slot)).manifest
    }

    private run(slot: number): void {
        const manifest = this.manifest(slot)
        this.slot = slot
        this.version = manifest.version
        this.running = {
            name: `${manifest.name} ${versionName(manifest.version)}`,
            checksum: Buffer.from(manifest.sha256),
        }
    }

    private runBuiltIn(): void {
        this.slot = 255
        this.version = 0x010000
        this.running = { name: "metrology 1.0.0", checksum: createHash("sha256").update("built in").digest() }
    }
}
