import { Installer } from "../bench/cases/installer.ts"
import { NodeGround } from "../bench/cases/node-ground.ts"
import { digestOf } from "../package/delivery.ts"
import { faultsOf, type Proved, type Shown, shownBy } from "../within/after-cut.ts"
import { shipped } from "../within/built-in.ts"
import { CutStore, PowerCut } from "../within/cut-store.ts"
import type { Outcome } from "./outcome.ts"
import { type Change, changes, makePackages, type Packages } from "./software-changes.ts"
import { spread } from "./spread.ts"

/** A meter's FRAM, and the time. */
interface Kept {
    cells: Buffer
    ms: number
}

/**
 * The meter's program in Node: of each write of each change the power goes before its first octet, behind the first, in the middle and
 * before the last. `count`: at most so many points of each change, evenly spread.
 */
export async function cuts(count: number): Promise<Outcome> {
    const ground = await NodeGround.open(true)
    const log = console.log
    // What the meter prints of each cut is not for people.
    console.log = () => {}
    try {
        const operator = await ground.certify("operator", "operator")
        const installer = new Installer(ground, operator, await ground.certify("inspector", "inspector"))
        const packages = await makePackages(ground)
        const files = new Map(Object.values(packages).map((file: Buffer) => [digestOf(file).toString("hex"), file]))
        const campaign = new Campaign(ground, installer, packages, { builtIn: await shipped(), files })
        const begin = campaign.keep()
        for (const change of changes) await campaign.run(change, begin, count)
        return campaign.outcome()
    } finally {
        console.log = log
        await ground.close()
    }
}

class Campaign {
    private readonly summary: string[] = []
    private readonly failures: string[] = []
    private cases = 0

    constructor(
        private readonly ground: NodeGround,
        private readonly installer: Installer,
        private readonly packages: Packages,
        private readonly proved: Proved,
    ) {}

    keep(): Kept {
        return { cells: Buffer.from(this.ground.running.store.cells), ms: this.ground.clock.ms }
    }

    async run(change: Change, begin: Kept, most: number): Promise<void> {
        this.restore(begin)
        await change.prepare(this.installer, this.packages)
        const start = this.keep()
        this.restore(start).begin()
        await change.play(this.installer, this.packages)
        const writes = [...this.ground.running.store.writes]
        if (!change.done(await this.installer.state())) {
            this.failures.push(`${change.name}: does not come about without a cut`)
            return
        }
        const points = writes.flatMap((length, write) =>
            [...new Set([0, 1, length >> 1, length - 1])].map(octets => ({ write, octets, length })),
        )
        const chosen = spread(points, most)
        let done = 0
        for (const point of chosen) {
            const place = `${change.name}, write ${point.write + 1} of ${writes.length}, ${point.octets} of ${point.length} octets`
            try {
                if (await this.cut(change, start, point.write, point.octets, place)) ++done
            } catch (error) {
                this.failures.push(`${place}: ${(error as Error).message}`)
            }
        }
        this.cases += chosen.length
        this.summary.push(
            `${change.name}: ${writes.length} writes, ${chosen.length} cut points; ${done} times it had come about, ${chosen.length - done} times it was completed afterwards`,
        )
    }

    outcome(): Outcome {
        const { summary, failures, cases } = this
        return { summary, failures, cases }
    }

    /** Cuts there, starts again and judges; then does the change again where it has not come about. Had it? */
    private async cut(change: Change, start: Kept, write: number, octets: number, place: string): Promise<boolean> {
        const { ground, installer, packages } = this
        const store = this.restore(start)
        store.begin(write, octets)
        let shown: Shown | undefined
        try {
            await change.play(installer, packages)
        } catch (error) {
            if (!(error instanceof PowerCut)) throw error
            shown = shownBy(ground.running)
        }
        if (!store.isCut || !shown) throw new Error("no cut")
        store.begin()
        await ground.powerCut()
        const judge = (when: string, before: Shown) => {
            for (const fault of faultsOf(ground.running, before, this.proved))
                this.failures.push(`${place}, ${when}: ${fault}`)
        }
        judge("started again", shown)
        const again = shownBy(ground.running)
        await ground.pass(1)
        judge("a second later", again)
        const drawn = ground.running.meter.registers.register(0)
        await ground.pass(1)
        if (ground.running.meter.registers.register(0) <= drawn) this.failures.push(`${place}: it does not measure`)
        if (change.done(await installer.state())) return true
        await change.play(installer, packages)
        const state = await installer.state()
        if (!change.done(state))
            this.failures.push(`${place}: not completed: ${state.slots.map(slot => slot.state)}, ${state.running} runs`)
        return false
    }

    private restore({ cells, ms }: Kept): CutStore {
        const store = new CutStore(cells)
        this.ground.clock.ms = ms
        this.ground.powerOn(store)
        return store
    }
}
