import { createHash } from "node:crypto"
import { Installer } from "../bench/cases/installer.ts"
import type { Component } from "../bench/cases/stage.ts"
import { VmGround } from "../bench/cases/vm-ground.ts"
import { digestOf } from "../package/delivery.ts"
import { Package } from "../package/package.ts"
import type { SoftwareState } from "../verify/software.ts"
import { shipped } from "../within/built-in.ts"
import { type Kept, KeptBoard } from "./kept-board.ts"
import type { Outcome } from "./outcome.ts"
import { type Change, changes, makePackages, type Packages } from "./software-changes.ts"

/** The meter's image in the stock VM, on its line: at most `count` cuts of each change, evenly spread over the octets that it writes. */
export async function cuts(count: number): Promise<Outcome> {
    const ground = await VmGround.open(false)
    try {
        const { company } = ground
        const operator = await company.certify("operator", "operator")
        const installer = new Installer(ground, operator, await company.certify("inspector", "inspector"))
        const packages = await makePackages(ground)
        const campaign = new Campaign(ground, installer, packages, sha256((await shipped()).image))
        const begin = campaign.kept.keep()
        for (const change of changes) await campaign.run(change, begin, count)
        return campaign.outcome()
    } finally {
        await ground.close()
    }
}

class Campaign {
    private readonly summary: string[] = []
    private readonly failures: string[] = []
    private cases = 0
    readonly kept: KeptBoard
    private readonly meter: Component
    /** SHA-256 of the image in each package, by that of its file. */
    private readonly images: Map<string, string>

    constructor(
        private readonly ground: VmGround,
        private readonly installer: Installer,
        private readonly packages: Packages,
        private readonly builtIn: string,
    ) {
        this.meter = ground.stage.meter
        this.kept = new KeptBoard(ground.stage.desk.world, this.meter)
        this.images = new Map(
            Object.values(packages).map((file: Buffer) => [
                digestOf(file).toString("hex"),
                sha256(Package.read(file).image),
            ]),
        )
    }

    async run(change: Change, begin: Kept, most: number): Promise<void> {
        await this.restore(begin)
        await change.prepare(this.installer, this.packages)
        const start = this.kept.keep()
        await this.restore(start)
        const writes = await this.kept.writesOf(() => change.play(this.installer, this.packages))
        const octets = writes.reduce((sum, each) => sum + each, 0)
        if (!change.done(await this.installer.state())) {
            this.failures.push(`${change.name}: does not come about without a cut`)
            return
        }
        const points = Math.min(most, octets)
        let done = 0
        let made = 0
        for (let i = 0; i < points; ++i) {
            const point = 1 + Math.floor(((i + 0.5) * octets) / points)
            const came = await this.cut(change, start, point)
            if (came === undefined) continue
            ++made
            if (came) ++done
        }
        this.cases += made
        this.summary.push(
            `${change.name}: ${octets} octets written, ${made} cut points; ${done} times it had come about, ${made - done} times it was completed afterwards`,
        )
    }

    outcome(): Outcome {
        const { summary, failures, cases } = this
        return { summary: [...summary, `${cases} cut points in all`], failures, cases }
    }

    /** Cuts there; then all must be as before or as after. Had it come about? undefined where it ended before the cut. */
    private async cut(change: Change, start: Kept, point: number): Promise<boolean | undefined> {
        const { board, bench } = this.meter
        const place = `${change.name}, cut after ${point} octets`
        await this.restore(start)
        const before = await this.installer.reading()
        void board.exited
        bench.fram.cutAfterWrites(point)
        try {
            await change.play(this.installer, this.packages)
        } catch (error) {
            if (board.powered) throw error
        }
        bench.fram.cutNever()
        if (board.powered) return undefined
        await board.exited
        await this.kept.powerOn()
        try {
            const state = await this.judge(place, before.energy)
            if (change.done(state)) return true
            await change.play(this.installer, this.packages)
            const then = await this.installer.state()
            if (!change.done(then)) this.failures.push(`${place}: not completed: ${then.slots.map(slot => slot.state)}`)
        } catch (error) {
            this.failures.push(`${place}: ${(error as Error).message}`)
        }
        return false
    }

    private async judge(place: string, energy: number): Promise<SoftwareState> {
        const { installer, ground } = this
        const state = await installer.state()
        for (const single of ["receiving", "on trial", "active", "former"])
            if (state.slots.filter(slot => slot.state === single).length > 1)
                this.failures.push(`${place}: more than one slot is ${single}`)
        const runs =
            state.slots.find(slot => slot.state === "on trial") ??
            state.slots.find(({ state: each }) => each === "active")
        const image = runs ? this.images.get(runs.digest) : this.builtIn
        if (state.checksum !== image)
            this.failures.push(`${place}: ${state.identification} runs, not what the slots say`)
        const first = await installer.reading(image)
        await ground.pass(3)
        const second = await installer.reading(image)
        if (second.verdict.name !== "proof") this.failures.push(`${place}: ${second.verdict.statement}`)
        if (first.energy < energy) this.failures.push(`${place}: the register went back: ${energy} to ${first.energy}`)
        if (second.energy <= first.energy) this.failures.push(`${place}: it does not measure`)
        // Throws where an entry is missing.
        await installer.entries()
        return state
    }

    private async restore(kept: Kept): Promise<void> {
        await this.kept.restore(kept)
        this.installer.forget()
    }
}

function sha256(octets: Uint8Array): string {
    return createHash("sha256").update(octets).digest("hex")
}
