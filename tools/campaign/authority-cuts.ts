import "../node/platform.ts"
import { join } from "node:path"
import {
    accessPath,
    changeProviderPath,
    erasePath,
    inventoryPath,
    metrologicalLogbookPath,
    metrologicalResetPath,
    publicKeyPath,
    rolloverPath,
} from "../../firmware/core/sml-parameter.ts"
import { readCame } from "../bench/cases/answer.ts"
import { type Person, sha256 } from "../bench/cases/company.ts"
import { readLog } from "../bench/cases/logs.ts"
import { nextProvider } from "../bench/cases/provider-change.ts"
import { get, half, list, type Request, set, unsigned, word } from "../bench/cases/requests.ts"
import { type Component, Stage } from "../bench/cases/stage.ts"
import { renew } from "../pki/renew.ts"
import { type Kept, KeptBoard } from "./kept-board.ts"
import type { Outcome } from "./outcome.ts"

/** A change of party or right: how it is prepared, the one command that makes it, and what shows whether it was made. */
interface Change {
    name: string
    by: Person
    /** The command has no room for a certificate: the meter knows who signs. */
    brief?: boolean
    /** What lies in the device's RAM beforehand; gone with the power, so it is done for each cut. */
    prepare(): Promise<void>
    order(): Request
    /** The program ends after its answer, and the rest is done when it starts anew. */
    restarts?: boolean
    /** All that tells the old state from the new one. */
    state(): Promise<string>
}

/**
 * Cuts the power of a metering board in the stock VM at every write to its FRAM that a change of authority makes: after each transaction,
 * and in the midst of each. Begins each time from the same contents. With power again everything must be as it was, or as it was to be;
 * and the same command, sent again, must be refused or complete it.
 */
export async function run(count: number): Promise<Outcome> {
    const summary: string[] = []
    const failures: string[] = []
    let cases = 0
    for (const make of [accessChange, providerChange, logbookReset, keyRollover, erase]) {
        const stage = await Stage.open({ muc: false, restart: make === erase })
        try {
            const cuts = new Cuts(stage, await make(stage))
            await cuts.run(count)
            cases += cuts.points
            summary.push(cuts.summary())
            failures.push(...cuts.failures)
        } finally {
            await stage.close()
        }
    }
    summary.push(`${cases} cut points in all`)
    return { summary, failures, cases }
}

class Cuts {
    points = 0
    readonly failures: string[] = []
    private olds = 0
    private news = 0
    private completed = 0
    private readonly meter: Component
    private readonly kept: KeptBoard

    constructor(
        private readonly stage: Stage,
        private readonly change: Change,
    ) {
        this.meter = stage.meter
        this.kept = new KeptBoard(stage.desk.world, stage.meter)
    }

    /** At most `most` points; all there are otherwise. */
    async run(most: number): Promise<void> {
        const start = this.kept.keep()
        const old = await this.change.state()
        const sizes = await this.rehearse()
        const made = await this.change.state()
        if (made === old) {
            this.failures.push(`${this.change.name}: without a cut nothing changes: ${old}`)
            return
        }
        const points = sizes.flatMap((size, i) => {
            const before = sizes.slice(0, i).reduce((sum, each) => sum + each, 0)
            return size > 1 ? [before + (size >> 1), before + size] : [before + 1]
        })
        const count = Math.min(most, points.length)
        for (let i = 0; i < count; ++i) {
            const place = count > 1 ? Math.round((i * (points.length - 1)) / (count - 1)) : 0
            await this.cut(start, points[place], old, made)
        }
    }

    summary(): string {
        const { points, olds, news, completed, failures } = this
        const bad = failures.length > 0 ? `, ${failures.length} neither` : ""
        return `${this.change.name}: ${points} cut points, then ${olds} times the old state and ${news} times the new one${bad}; ${completed} completed by the same command`
    }

    /** The change without a cut; answers the octets of each write to the FRAM. */
    private async rehearse(): Promise<number[]> {
        await this.change.prepare()
        const command = this.command()
        return this.kept.writesOf(async () => {
            const began = this.meter.board.log.length
            const came = await this.stage.show(command, this.meter)
            if (this.change.restarts) await this.kept.started(began)
            if (came.code !== 0) this.failures.push(`${this.change.name}: ${came.text}`)
        })
    }

    private async cut(start: Kept, point: number, old: string, made: string): Promise<void> {
        const { board, bench } = this.meter
        await this.kept.restore(start)
        await this.change.prepare()
        const command = this.command()
        void board.exited
        bench.fram.cutAfterWrites(point)
        const began = board.log.length
        await this.stage.show(command, this.meter)
        if (this.change.restarts) await this.kept.started(began)
        bench.fram.cutNever()
        if (board.powered) {
            // Later writes of a slower run: it ended uncut.
            return
        }
        ++this.points
        await board.exited
        await this.kept.powerOn()
        const state = await this.change.state()
        if (state === old) ++this.olds
        else if (state === made) ++this.news
        else {
            this.failures.push(`${this.change.name}, cut after ${point} octets: neither old nor new: ${state}`)
            return
        }
        const again = await this.stage.show(command, this.meter)
        const then = await this.change.state()
        if (then === made && state === old) ++this.completed
        if (then !== made && then !== state)
            this.failures.push(`${this.change.name}, cut after ${point} octets, command again (${again.text}): ${then}`)
    }

    private command(): Buffer {
        return this.stage.write(this.change.by, this.meter, [this.change.order()], { brief: this.change.brief })
    }
}

/** What the meter says that it holds, to everybody. */
async function inventory(stage: Stage): Promise<string> {
    const [raw, key] = [await asked(stage, inventoryPath), await asked(stage, publicKeyPath)]
    return `${raw ? sha256(raw).toString("hex", 0, 6) : "silent"} ${key ? sha256(key).toString("hex", 0, 6) : "silent"}`
}

/** The answer to nobody; a request may get lost when a meter has just started, so it is asked again. */
async function asked(stage: Stage, path: Buffer): Promise<Buffer | undefined> {
    for (let tries = 1; ; ++tries) {
        const raw = await stage.send(unsigned(stage.meter.id, [get(path)]))
        if (raw || tries === 5) return raw
    }
}

async function reads(stage: Stage, person: Person): Promise<string> {
    return `${person.name}: ${(await stage.tell(person, stage.meter, [list()])).text}`
}

async function accessChange(stage: Stage): Promise<Change> {
    const by = stage.person("security-management")
    const table = async () => {
        const value = (await stage.tell(by, stage.meter, [get(accessPath)])).trees[0]?.value
        if (value) return value
        throw new Error("The meter does not tell its access table")
    }
    const next = Buffer.from(await table())
    next.writeUInt32BE(next.readUInt32BE(0) + 1, 0)
    // The energy provider reads no more.
    next.writeUInt16BE(next.readUInt16BE(4) & ~(1 << 6), 4)
    const supplier = await stage.certify("energy-provider", "energy provider")
    return {
        name: "access change",
        by,
        prepare: async () => {},
        order: () => set(accessPath, next),
        state: async () => `${(await table()).toString("hex")} ${await reads(stage, supplier)}`,
    }
}

async function providerChange(stage: Stage): Promise<Change> {
    const operator = await stage.certify("operator", "first operator")
    const second = await nextProvider(stage)
    const next = await stage.certify("operator", "second operator", { by: second.path })
    const der = second.signer.certificate
    const ca = stage.der("ca-root")
    return {
        name: "provider change",
        by: stage.person("security-management"),
        prepare: async () => void (await stage.bring(stage.meter, der, ca)),
        order: () => set(changeProviderPath, Buffer.concat([half(der.length), half(ca.length), sha256(der)])),
        state: async () => [await inventory(stage), await reads(stage, operator), await reads(stage, next)].join(", "),
    }
}

async function logbookReset(stage: Stage): Promise<Change> {
    const by = await stage.certify("inspector", "inspector")
    const read = () => readLog(stage, by, stage.meter, metrologicalLogbookPath)
    for (let i = 0; i < 3; ++i)
        await stage.tell(stage.person("manufacturer"), stage.meter, [set(metrologicalResetPath, word(0))])
    const { last } = await read()
    return {
        name: "logbook reset",
        by,
        prepare: async () => {},
        order: () => set(metrologicalResetPath, word(last)),
        state: async () => {
            const { count, first, whole, entries } = await read()
            // Who sends the command again is nobody, and is entered.
            const told = entries.filter(({ role }) => role !== "nobody").map(({ event }) => event)
            return `from ${first}: ${told}, ${whole ? "whole" : "broken"}, ${count > 0}`
        },
    }
}

async function keyRollover(stage: Stage): Promise<Change> {
    const { meter } = stage
    const by = stage.person("calibration-authority")
    const operator = await stage.certify("operator", "operator")
    const begun = await stage.tell(by, meter, [set(rolloverPath, Buffer.of(1))])
    const csr = begun.trees[0]?.value ?? Buffer.alloc(0)
    const path = join("meters", meter.id.toString("hex"))
    const former = meter.certificate
    const { certificate } = await renew(stage.pki, path, { csr, now: stage.now() })
    return {
        name: "key rollover",
        by,
        prepare: async () => void (await stage.bring(meter, certificate)),
        order: () => set(rolloverPath, Buffer.concat([Buffer.of(2), half(certificate.length), sha256(certificate)])),
        state: async () => {
            // Which of the two certificates its signed answers hold under.
            const { command, raw } = await stage.tell(operator, meter, [list()])
            const under = [former, certificate].map(der => readCame(command, raw, der).answer)
            return `${await inventory(stage)}, first: ${under[0]}, second: ${under[1]}`
        },
    }
}

async function erase(stage: Stage): Promise<Change> {
    const { meter } = stage
    const by = await stage.certify("local-operator", "fitter")
    const authority = stage.person("calibration-authority")
    const operator = await stage.certify("operator", "operator")
    return {
        name: "erase",
        by,
        brief: true,
        restarts: true,
        prepare: async () => void (await stage.tell(by, meter, [list()])),
        order: () => set(erasePath, stage.write(authority, meter, [set(erasePath, Buffer.of(0))], { brief: true })),
        state: async () => {
            const registers = meter.bench.fram.memory
                .subarray(0x04000, 0x0e000)
                .some(octet => octet !== 0 && octet !== 0xff)
            return `${await inventory(stage)}, ${await reads(stage, operator)}, ${registers ? "readings" : "no readings"}`
        },
    }
}
