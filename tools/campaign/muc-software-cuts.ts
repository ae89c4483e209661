import { createHash } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { SlotState, slotCount } from "../../firmware/core/slots.ts"
import { Order } from "../../firmware/core/software.ts"
import { announcementOf, blocksOf, blockValue, digestOf } from "../package/delivery.ts"
import { versionNumber } from "../package/manifest.ts"
import { Package } from "../package/package.ts"
import { countersign, submit } from "../package/steps.ts"
import { readCertificates } from "../pki/certificates.ts"
import { initPki } from "../pki/init.ts"
import { compile } from "../vm/compile.ts"
import { logFaults, slotFaults } from "../within/after-cut.ts"
import { shipped } from "../within/built-in.ts"
import { CutStore } from "../within/cut-store.ts"
import { installClock } from "../within/meter.ts"
import { MucInNode } from "../within/muc.ts"
import type { Outcome } from "./outcome.ts"
import { spread } from "./spread.ts"

const hardware = "plomb-muc-1"
const clock = { ms: Date.now() + 60_000 }

interface Packages {
    second: Buffer
    third: Buffer
    /** Throws at its start. */
    bad: Buffer
}

/** A change of a MUC's software: what comes before it, what is cut, and when it is done. Done again where it was cut it must come about. */
interface Change {
    name: string
    prepare(muc: MucInNode, packages: Packages): void
    play(muc: MucInNode, packages: Packages): void
    done(muc: MucInNode): boolean
}

function order(muc: MucInNode, which: Order, value: Buffer): void {
    muc.software.order(which, value, () => {})
    muc.settle()
}

function deliver(muc: MucInNode, file: Buffer): void {
    order(muc, Order.Announce, announcementOf(file))
    const there = muc.slots().blocks()
    for (const [i, block] of blocksOf(file).entries()) if (there[i] === 0) order(muc, Order.Block, blockValue(i, block))
}

/** Does what is left of it: what was there before the cut is no error. */
function onlyIf(muc: MucInNode, file: Buffer, state: SlotState, which: Order): void {
    const slots = muc.slots()
    const slot = slots.find(state)
    if (slot >= 0 && slots.digest(slot).equals(digestOf(file))) order(muc, which, digestOf(file))
}

const activate = (muc: MucInNode, file: Buffer) => onlyIf(muc, file, SlotState.Verified, Order.Activate)
const confirm = (muc: MucInNode, file: Buffer) => onlyIf(muc, file, SlotState.Trial, Order.Confirm)

function confirmed(muc: MucInNode, ...files: Buffer[]): void {
    for (const file of files) {
        deliver(muc, file)
        activate(muc, file)
        confirm(muc, file)
    }
}

function onTrial(muc: MucInNode, file: Buffer): void {
    deliver(muc, file)
    activate(muc, file)
}

function passed(muc: MucInNode, seconds: number): void {
    for (let i = 0; i < seconds; i += 30) {
        muc.software.passed(30)
        muc.settle()
    }
}

function is(muc: MucInNode, version: string, state: SlotState): boolean {
    const slots = muc.slots()
    const slot = slots.find(state)
    return slot >= 0 && slots.version(slot) === versionNumber(version)
}

/** In the order of a package's life. */
const changes: Change[] = [
    {
        name: "delivery",
        prepare: () => {},
        play: (muc, { second }) => deliver(muc, second),
        done: muc => is(muc, "2.0.0", SlotState.Verified),
    },
    {
        name: "activation",
        prepare: (muc, { second }) => deliver(muc, second),
        play: (muc, { second }) => activate(muc, second),
        done: muc => is(muc, "2.0.0", SlotState.Trial),
    },
    {
        name: "trial, its first minute",
        prepare: (muc, { second }) => onTrial(muc, second),
        play: muc => passed(muc, 60),
        done: muc => is(muc, "2.0.0", SlotState.Trial),
    },
    {
        name: "trial, its end unconfirmed",
        prepare: (muc, { second }) => {
            onTrial(muc, second)
            passed(muc, 870)
        },
        play: muc => passed(muc, 60),
        done: muc => is(muc, "2.0.0", SlotState.Failed),
    },
    {
        name: "trial, its end by a fault",
        prepare: (muc, { bad }) => deliver(muc, bad),
        play: (muc, { bad }) => activate(muc, bad),
        done: muc => is(muc, "4.0.0", SlotState.Failed),
    },
    {
        name: "confirmation",
        prepare: (muc, { second }) => onTrial(muc, second),
        play: (muc, { second }) => confirm(muc, second),
        done: muc => is(muc, "2.0.0", SlotState.Active) && muc.floor() === versionNumber("1.0.0"),
    },
    {
        name: "confirmation over a former version",
        prepare: (muc, { second, third }) => {
            confirmed(muc, second)
            onTrial(muc, third)
        },
        play: (muc, { third }) => confirm(muc, third),
        done: muc => is(muc, "3.0.0", SlotState.Active) && is(muc, "2.0.0", SlotState.Former),
    },
    {
        name: "rollback of a trial",
        prepare: (muc, { second }) => onTrial(muc, second),
        play: (muc, { second }) => onlyIf(muc, second, SlotState.Trial, Order.PutBack),
        done: muc => is(muc, "2.0.0", SlotState.Failed),
    },
    {
        name: "rollback of an active version",
        prepare: (muc, { second, third }) => confirmed(muc, second, third),
        play: (muc, { third }) => onlyIf(muc, third, SlotState.Active, Order.PutBack),
        done: muc => is(muc, "3.0.0", SlotState.Failed) && is(muc, "2.0.0", SlotState.Active),
    },
]

/** What keeps a MUC's software, in Node: of each write of each change the power goes as for a meter. */
export async function mucCuts(count: number): Promise<Outcome> {
    const folder = mkdtempSync(join(tmpdir(), "plomb-muc-cuts-"))
    const pki = join(folder, "pki")
    const log = console.log
    // What the MUC prints of each cut is not for people.
    console.log = () => {}
    try {
        installClock(undefined, true)
        await initPki(pki, { hss: "H5/W4" })
        const campaign = new Campaign(await shipped("muc_modules"), await makePackages(pki))
        const bare = new MucInNode(new CutStore(), campaign.builtIn, clock)
        bare.install(hardware, Buffer.from(readCertificates(join(pki, "manufacturer", "cert.pem"))[0].rawData))
        for (const change of changes) campaign.run(change, bare.store.cells, count)
        return campaign.outcome()
    } finally {
        console.log = log
        rmSync(folder, { recursive: true, force: true })
    }
}

async function makePackages(pki: string): Promise<Packages> {
    const make = async (version: string, floor: string, change: (text: string) => string) => {
        const source = "firmware/modules/polling.ts"
        const { bytecode } = await compile(source, {
            version,
            change: (path, text) => (path.endsWith(source) ? change(text) : text),
            changeName: `cuts ${version}`,
        })
        const stated = {
            component: "muc",
            metrological: false,
            name: "polling",
            version: versionNumber(version),
            hardware,
            approval: "",
            runtime: versionNumber("2.16.0"),
            floor: versionNumber(floor),
        }
        return Buffer.from((await countersign(submit(stated, Buffer.from(bytecode)), pki)).octets())
    }
    return {
        second: await make("2.0.0", "1.0.0", text => text.replace("period() * 4", "period() * 2")),
        third: await make("3.0.0", "1.0.0", text => text.replace("period() * 4", "period() * 3")),
        bad: await make("4.0.0", "2.0.0", text => `${text}throw new Error("bad")\n`),
    }
}

class Campaign {
    private readonly summary: string[] = []
    private readonly failures: string[] = []
    private readonly files: Map<string, Buffer>
    private cases = 0

    constructor(
        readonly builtIn: Awaited<ReturnType<typeof shipped>>,
        private readonly packages: Packages,
    ) {
        this.files = new Map(Object.values(packages).map((file: Buffer) => [digestOf(file).toString("hex"), file]))
    }

    run(change: Change, begin: Buffer, most: number): void {
        const prepared = this.powered(begin)
        change.prepare(prepared, this.packages)
        const start = Buffer.from(prepared.store.cells)
        const whole = this.powered(start)
        whole.store.begin()
        change.play(whole, this.packages)
        const writes = [...whole.store.writes]
        if (!change.done(whole)) {
            this.failures.push(`${change.name}: does not come about without a cut`)
            return
        }
        const points = writes.flatMap((length, write) =>
            [...new Set([0, 1, length >> 1, length - 1])].map(octets => ({ write, octets, length })),
        )
        const chosen = spread(points, most)
        let done = 0
        for (const { write, octets, length } of chosen) {
            const place = `MUC, ${change.name}, write ${write + 1} of ${writes.length}, ${octets} of ${length} octets`
            try {
                if (this.cut(change, start, write, octets, place)) ++done
            } catch (error) {
                this.failures.push(`${place}: ${(error as Error).message}`)
            }
        }
        this.cases += chosen.length
        this.summary.push(
            `MUC, ${change.name}: ${writes.length} writes, ${chosen.length} cut points; ${done} times it had come about, ${chosen.length - done} times it was completed afterwards`,
        )
    }

    outcome(): Outcome {
        return { summary: this.summary, failures: this.failures, cases: this.cases }
    }

    /** Cuts there, starts again and judges; then does the change again where it has not come about. Had it? */
    private cut(change: Change, start: Buffer, write: number, octets: number, place: string): boolean {
        const cut = this.powered(start)
        cut.store.begin(write, octets)
        try {
            change.play(cut, this.packages)
        } catch {
            // Whatever a program makes of a store that takes nothing: its power is gone.
        }
        if (!cut.store.isCut) throw new Error("no cut")
        const entries = cut.logbook.newest()
        const muc = this.powered(cut.store.cells)
        const judge = (when: string) => {
            for (const fault of this.faultsOf(muc, entries)) this.failures.push(`${place}, ${when}: ${fault}`)
        }
        judge("started again")
        const had = change.done(muc)
        if (!had) {
            change.play(muc, this.packages)
            judge("completed")
            if (!change.done(muc)) this.failures.push(`${place}: not completed: ${statesOf(muc)}`)
        }
        return had
    }

    private faultsOf(muc: MucInNode, entries: number): string[] {
        return [...logFaults(muc.logbook, entries), ...slotFaults(muc.slots(), this.files), ...this.runningFaults(muc)]
    }

    /** Does what the slots say run, of a package that was sent, and not below the floor? */
    private runningFaults(muc: MucInNode): string[] {
        if (!muc.software.module) return ["nothing runs"]
        const slots = muc.slots()
        const trial = slots.find(SlotState.Trial)
        const slot = trial >= 0 ? trial : slots.find(SlotState.Active)
        const file = slot < 0 ? undefined : this.files.get(slots.digest(slot).toString("hex"))
        const image = slot < 0 ? this.builtIn.image : file ? Package.read(file).image : Buffer.alloc(0)
        const faults: string[] = []
        if (!muc.checksum().equals(createHash("sha256").update(image).digest()))
            faults.push(`slot ${slot + 1} is not what runs`)
        if ((slot < 0 ? this.builtIn.version : slots.version(slot)) < muc.floor())
            faults.push("it runs below the floor")
        return faults
    }

    private powered(cells: Buffer): MucInNode {
        const muc = new MucInNode(new CutStore(cells), this.builtIn, clock)
        muc.start()
        muc.settle()
        return muc
    }
}

function statesOf(muc: MucInNode): string {
    const slots = muc.slots()
    return Array.from({ length: slotCount }, (_, slot) => SlotState[slots.state(slot)]).join(", ")
}
