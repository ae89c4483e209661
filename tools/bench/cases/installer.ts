import { Code } from "../../../firmware/core/errors.ts"
import {
    activatePath,
    announcePath,
    blockPath,
    confirmPath,
    metrologicalLogbookPath,
    rollbackPath,
    softwarePath,
} from "../../../firmware/core/sml-parameter.ts"
import { announcementOf, blocksOf, blockValue, digestOf } from "../../package/delivery.ts"
import type { Verdict } from "../../verify/findings.ts"
import { readSoftware, type SlotContent, type SoftwareState } from "../../verify/software.ts"
import { type Came, codeText } from "./answer.ts"
import type { Person } from "./company.ts"
import type { Ground } from "./ground.ts"
import { type LogEntry, readLog } from "./logs.ts"
import { evidenceOf, verdictOf } from "./proof.ts"
import { get, list, set } from "./requests.ts"

/** Seconds, and so looks, until a package is judged. */
const mostLooks = 60

/** A reading: its verdict, the module that it names, energy drawn in 0.1 Wh. */
export interface Reading {
    came: Came
    verdict: Verdict
    name: string
    energy: number
}

/** Orders to a meter that concern its software, and what it says of itself. */
export class Installer {
    /** Newest entry of the metrological logbook that was read. */
    private seen = 0

    constructor(
        readonly ground: Ground,
        /** Who orders: of the provider. */
        readonly by: Person,
        /** Who may read the metrological logbook. */
        readonly inspector: Person,
    ) {}

    /** The logbook is read from its beginning again: its contents are older ones. */
    forget(): void {
        this.seen = 0
    }

    /** What slots hold and what runs. */
    async state(): Promise<SoftwareState> {
        const { company } = this.ground
        const came = await company.tell(this.by, company.meter, [get(softwarePath)])
        const state = came.trees[0] && readSoftware(came.trees[0])
        if (!state) throw new Error(`the meter does not tell of its software: ${came.text}`)
        return state
    }

    announce(file: Buffer): Promise<Came> {
        return this.order(announcePath, announcementOf(file))
    }

    /** Brings one block; nobody signs it. */
    block(file: Buffer, index: number): Promise<Came> {
        const { company } = this.ground
        return company.ask(company.meter, [set(blockPath, blockValue(index, blocksOf(file)[index]))])
    }

    /**
     * Announces a package, brings what is missing of it and waits until it is judged; answers the first refusal, the reason why it failed, or the last answer. A
     * block that got lost is brought again. `between` happens before each block.
     */
    async deliver(file: Buffer, between: (index: number) => Promise<void> = async () => {}): Promise<Came> {
        let came = await this.announce(file)
        if (came.code !== 0) return came
        const { blocks } = await this.state()
        // Of one that is judged already, none is told.
        for (let index = 0; index < blocks.length; ++index) {
            if (blocks[index]) continue
            await between(index)
            for (let tries = 0; tries < 4; ++tries) {
                came = await this.block(file, index)
                if (came.code !== -1 && came.code !== Code.Busy) break
                await this.ground.pass(1)
            }
            if (came.code !== 0) return came
        }
        return this.judged(file, came)
    }

    /** What became of a package that is whole. */
    private async judged(file: Buffer, came: Came): Promise<Came> {
        for (let tries = 0; tries < mostLooks; ++tries) {
            const slot = await this.slotOf(digestOf(file))
            if (!slot) throw new Error("no slot has the package that was delivered")
            if (slot.state === "failed") return { ...came, code: slot.reason, text: codeText(slot.reason) }
            if (slot.state !== "receiving") return came
            await this.ground.pass(1)
        }
        throw new Error(`the meter has not judged the package in ${mostLooks} s`)
    }

    /** Again while the meter has yet to judge what was delivered before it was started. */
    async activate(file: Buffer): Promise<Came> {
        for (let tries = 0; ; ++tries) {
            const came = await this.change(activatePath, digestOf(file), "on trial")
            if (came.code !== Code.Busy || tries === mostLooks) return came
            await this.ground.pass(1)
        }
    }

    confirm(file: Buffer): Promise<Came> {
        return this.change(confirmPath, digestOf(file), "active")
    }

    /** Takes back what is on trial, or else what is active. */
    async rollback(): Promise<Came> {
        const { slots } = await this.state()
        const slot = slots.find(({ state }) => state === "on trial") ?? slots.find(({ state }) => state === "active")
        if (!slot) throw new Error("no slot has anything to take back")
        return this.change(rollbackPath, Buffer.from(slot.digest, "hex"), "failed")
    }

    /** An order that brings a package's slot into this state. Where the answer got lost, the slot tells what came of it. */
    private async change(path: Buffer, digest: Buffer, wanted: SlotContent["state"]): Promise<Came> {
        const { company } = this.ground
        for (let tries = 0; ; ++tries) {
            const came = await company.show(company.write(this.by, company.meter, [set(path, digest)]), company.meter)
            if ((came.raw && came.code !== Code.CommandReplayed) || tries === mostLooks) return came
            const after = await this.slotOf(digest)
            if (after?.state === wanted) return { ...came, code: 0, text: codeText(0) }
            if (after?.state === "failed") return { ...came, code: after.reason, text: codeText(after.reason) }
        }
    }

    private async slotOf(digest: Buffer): Promise<SlotContent | undefined> {
        const mine = (await this.state()).slots.filter(each => each.digest === digest.toString("hex"))
        return mine.find(({ state }) => state !== "failed") ?? mine[0]
    }

    /** A reading of this moment, judged as `plomb verify` does; `module` is the SHA-256 of the image that should measure. */
    async reading(module?: string): Promise<Reading> {
        const { company, fixedPart } = this.ground
        const came = await company.tell(this.by, company.meter, [list()])
        const known = module === undefined ? undefined : { module, image: fixedPart }
        const verdict = verdictOf(company, evidenceOf(company, company.meter, came), 0, known)
        const { reading } = verdict
        return { came, verdict, name: reading.module ?? "nothing", energy: Number(verdict.link?.drawn ?? 0) }
    }

    /** Entries of the metrological logbook since it was read last. */
    async entries(): Promise<LogEntry[]> {
        const { company } = this.ground
        const { entries, last, whole } = await readLog(
            company,
            this.inspector,
            company.meter,
            metrologicalLogbookPath,
            this.seen + 1,
        )
        if (!whole) throw new Error("the metrological logbook is broken")
        this.seen = Math.max(this.seen, last)
        return entries
    }

    private order(path: Buffer, value: Buffer): Promise<Came> {
        const { company } = this.ground
        return company.tell(this.by, company.meter, [set(path, value)])
    }
}
