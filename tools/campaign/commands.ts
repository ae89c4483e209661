import "../node/platform.ts"
import { Code } from "../../firmware/core/errors.ts"
import {
    accessPath,
    labelPath,
    meteringPath,
    metrologicalLogbookPath,
    metrologicalResetPath,
} from "../../firmware/core/sml-parameter.ts"
import type { Came } from "../bench/cases/answer.ts"
import type { Person } from "../bench/cases/company.ts"
import { readLog } from "../bench/cases/logs.ts"
import { stranger } from "../bench/cases/reading.ts"
import { get, half, list, type Request, set, word } from "../bench/cases/requests.ts"
import { Stage } from "../bench/cases/stage.ts"
import { AuthorityModel, type Plan, type Signatory, type Wish } from "./authority-model.ts"
import { type Outcome, randomFrom } from "./outcome.ts"

type Random = (below: number) => number

/** After so many commands all that the model knows is compared, and the metrological logbook read and cleared. */
const stretch = 20

/** Seconds from now: the past, the future, whole days, more than that, none at all. */
const periods = [
    [-86_000, 300],
    [-7200, -3600],
    [3600, 7200],
    [-86_400, 3600],
    [900, -900],
]
const kinds = ["read", "label", "hours", "access"] as const

function pick<T>(random: Random, from: readonly T[]): T {
    return from[random(from.length)]
}

/**
 * Random command sequences to a meter in the stock VM: people of every role, some with certificates that must not count, counters that go
 * on, stand or go back, validity past and future, broken signatures, one to three requests. What the meter does is compared with a model,
 * answer by answer, and its parameters and access table after each stretch.
 */
export async function run(count: number, seed: number): Promise<Outcome> {
    const stage = await Stage.open({ muc: false })
    try {
        const play = new Play(stage, randomFrom(seed))
        await play.begin()
        return await play.run(count)
    } finally {
        await stage.close()
    }
}

class Play {
    private readonly failures: string[] = []
    private readonly codes = new Map<string, number>()
    private readonly counters: number[] = []
    private cast: { person: Person; is: Signatory }[] = []
    private model!: AuthorityModel
    private inspector!: Person

    constructor(
        private readonly stage: Stage,
        private readonly random: Random,
    ) {}

    async begin(): Promise<void> {
        const { stage } = this
        const { meter } = stage
        this.inspector = await stage.certify("inspector", "the caretaker", { roleVersion: 1000 })
        const management = stage.person("security-management")
        const all = { version: 1, rights: -1 }
        const past = new Date(stage.now().getTime() - 3 * 86_400_000)
        const certify = async (issue: string, name: string, is: Signatory, options = {}) => ({
            person: await stage.certify(issue, name, { roleVersion: is.version, ...options }),
            is,
        })
        const revoked = await certify("operator", "revoked", { ...all, role: 4, never: Code.ChainRevoked })
        this.cast = [
            { person: management, is: { ...all, role: 3 } },
            { person: stage.person("manufacturer"), is: { ...all, role: 2 } },
            { person: stage.person("calibration-authority"), is: { ...all, role: 1 } },
            await certify("inspector", "inspector", { ...all, role: 0 }),
            await certify("operator", "operator", { ...all, role: 4 }),
            await certify("operator", "operator of version 3", { role: 4, version: 3, rights: -1 }),
            await certify("operator", "reader", { role: 4, version: 2, rights: 1 }, { rights: 1 }),
            await certify("local-operator", "fitter", { role: 7, version: 2, rights: -1 }),
            await certify("customer", "customer", { ...all, role: 8 }),
            await certify("energy-provider", "supplier", { ...all, role: 6 }),
            await certify("operator", "expired", { ...all, role: 4, never: Code.ChainExpired }, { days: 2, now: past }),
            revoked,
            { person: await stranger(stage), is: { ...all, role: 4, never: Code.ChainKeyId } },
        ]
        await stage.revoke(revoked.person, meter)
        const table = (await stage.tell(management, meter, [get(accessPath)])).trees[0]?.value
        if (!table) throw new Error("the meter does not tell its access table")
        this.counters.push(...this.cast.map(() => 0))
        this.counters[0] = 1
        this.model = new AuthorityModel(
            this.cast.map(({ is }) => is),
            Buffer.from(table),
        )
        this.model.obey({ by: 0, counter: 1, from: -1, to: 1, broken: false, wishes: [] })
        await this.compare()
    }

    async run(count: number): Promise<Outcome> {
        let i = 0
        for (; i < count && this.failures.length < 10; ++i) {
            await this.one(i)
            if (i % stretch === stretch - 1) await this.compare()
        }
        await this.compare()
        const told = [...this.codes].sort((a, b) => b[1] - a[1]).map(([text, n]) => `${text} ${n}`)
        return { summary: [told.join(", ")], failures: this.failures, cases: i }
    }

    private async one(i: number): Promise<void> {
        const plan = this.plan()
        const { person } = this.cast[plan.by]
        const wanted = this.model.obey(plan)
        const came = await this.send(plan, person)
        this.codes.set(came.text, (this.codes.get(came.text) ?? 0) + 1)
        const fits = wanted.length === 0 ? came.code === 0 && came.answer === "signed" : wanted.includes(came.code)
        if (fits) return
        const expected = wanted.map(code => Code[code]).join(" or ") || "done, signed"
        const what = plan.wishes.map(({ kind }) => kind)
        this.failures.push(
            `command ${i} of ${person.name} (${what}): expected ${expected}, came ${came.text}, ${came.answer}`,
        )
    }

    private async send(plan: Plan, person: Person): Promise<Came> {
        const { stage } = this
        const { meter } = stage
        // The model counts from where the stage begins.
        const manner = { counter: stage.spent(person) + plan.counter, from: plan.from, to: plan.to }
        const draft = stage.draft(person, meter, plan.wishes.map(requestOf), manner)
        const signer = plan.broken ? this.cast[(plan.by + 1) % this.cast.length].person.signer : person.signer
        return stage.show(signer.seal(draft.target, draft.header, draft.messages, draft.id), meter)
    }

    private plan(): Plan {
        const { random } = this
        const by = random(this.cast.length)
        const last = this.counters[by]
        const next = [last + 1, last + 1, last + 1, last + 1 + random(1000)]
        const counter = [...next, ...next, last, Math.max(0, last - 1 - random(5))][random(10)]
        this.counters[by] = Math.max(last, counter)
        const [from, to] = random(3) > 0 ? [-300, 900] : pick(random, periods)
        const wishes = Array.from({ length: 1 + random(3) }, () => this.wish(by))
        return { by, counter, from, to, broken: random(10) === 0, wishes }
    }

    /** Mostly something that the signer may want. */
    private wish(by: number): Wish {
        const { random } = this
        const mine = this.model.wants(this.cast[by].is)
        const kind = mine.length > 0 && random(4) > 0 ? pick(random, mine) : pick(random, kinds)
        if (kind === "read") return { kind }
        if (kind === "label") return { kind: "label", value: `label ${random(1000)}` }
        if (kind === "hours")
            return { kind: "hours", value: Buffer.concat([half(random(1440)), half(random(1440))]).toString("hex") }
        return { kind: "access", table: this.otherTable() }
    }

    /** The model's table with one thing changed; now and then one that no device may take. */
    private otherTable(): Buffer {
        const { random } = this
        const table = Buffer.from(this.model.table)
        if (random(20) === 0) return table.subarray(0, random(86))
        table.writeUInt32BE(table.readUInt32BE(0) + (random(8) === 0 ? random(3) : 1), 0)
        if (random(6) === 0) {
            const at = 46 + 4 * random(10)
            table.writeUInt32BE(Math.max(1, table.readUInt32BE(at) + random(3) - 1), at)
        } else {
            const at = 4 + 2 * random(21)
            table.writeUInt16BE(table.readUInt16BE(at) ^ (1 << random(10)), at)
        }
        return table
    }

    /** Everything the model knows against what the meter says, and a logbook that is whole. */
    private async compare(): Promise<void> {
        const { stage, model, inspector } = this
        const { meter } = stage
        const said = async (path: Buffer) => {
            const came = await stage.tell(inspector, meter, [get(path)])
            if (came.code !== 0) this.failures.push(`a parameter is not told: ${came.text}`)
            return came.trees[0]?.value
        }
        const log = await readLog(stage, inspector, meter, metrologicalLogbookPath)
        if (!log.whole) this.failures.push("the metrological logbook is not whole")
        const cleared = await stage.tell(inspector, meter, [set(metrologicalResetPath, word(log.last))])
        if (cleared.code !== 0) this.failures.push(`the logbook is not cleared: ${cleared.text}`)
        const table = await said(accessPath)
        if (!table?.equals(model.table))
            this.failures.push(`table ${table?.toString("hex")}, by the model ${model.table.toString("hex")}`)
        const hours = (await said(meteringPath))?.toString("hex")
        if (model.hours !== "" && hours !== model.hours)
            this.failures.push(`tariff hours ${hours}, by the model ${model.hours}`)
    }
}

function requestOf(wish: Wish): Request {
    if (wish.kind === "read") return list()
    if (wish.kind === "label") return set(labelPath, Buffer.from(wish.value))
    if (wish.kind === "hours") return set(meteringPath, Buffer.from(wish.value, "hex"))
    return set(accessPath, wish.table)
}
