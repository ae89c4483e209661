import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { ensureBuilt } from "../../build/build.ts"
import type { Company } from "./company.ts"
import { type Ground, hss, keepCounts } from "./ground.ts"
import { Stage } from "./stage.ts"

/** A meter in the stock VM, with a MUC before it or not. */
export class VmGround implements Ground {
    readonly hardware = "plomb-1"
    readonly company: Company
    readonly where: string

    private constructor(
        readonly stage: Stage,
        readonly fixedPart: string,
        private readonly restoreCounts: () => void,
    ) {
        this.company = stage
        this.where = stage.uplink ? "in the VM, over the MUC" : "in the VM, on the meter's line"
    }

    /** Without a `muc` we stand at the meter's line. */
    static async open(muc = true): Promise<VmGround> {
        const { report } = await ensureBuilt("meter", "vm")
        const counts = mkdtempSync(join(tmpdir(), "plomb-counts-"))
        const restore = keepCounts(counts)
        const end = () => {
            restore()
            rmSync(counts, { recursive: true, force: true })
        }
        try {
            return new VmGround(await Stage.open({ muc, hss }), report.softwareChecksum, end)
        } catch (error) {
            end()
            throw error
        }
    }

    pass(seconds: number): Promise<void> {
        return this.stage.desk.world.runFor(seconds * 1000)
    }

    powerCut(): Promise<void> {
        return this.stage.restart(this.stage.meter)
    }

    damage(address: number): void {
        this.stage.meter.bench.fram.memory[address] ^= 1
    }

    async close(): Promise<void> {
        await this.stage.close()
        this.restoreCounts()
    }
}
