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
import { readSoftware, type SoftwareState } from "../../verify/software.ts"
import type { Came } from "./answer.ts"
import type { Person } from "./company.ts"
import type { Ground } from "./ground.ts"
import { type LogEntry, readLog } from "./logs.ts"
import { evidenceOf, verdictOf } from "./proof.ts"
import { get, list, set } from "./requests.ts"

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
     * Announces a package and brings what is missing of it; answers the first refusal, or the last answer. A block that got lost is
     * brought again. `between` happens before each block.
     */
    async deliver(file: Buffer, between: (index: number) => Promise<void> = async () => {}): Promise<Came> {
        let came = await this.announce(file)
        if (came.code !== 0) return came
        const { blocks } = await this.state()
        const all = blocksOf(file).length
        for (let index = 0; index < all; ++index) {
            // The last one again where power went before the whole was judged.
            if (blocks[index] && !(index === all - 1 && blocks.every(Boolean))) continue
            await between(index)
            for (let tries = 0; tries < 4; ++tries) {
                came = await this.block(file, index)
                if (came.code !== -1) break
            }
            if (came.code !== 0) return came
        }
        return came
    }

    activate(file: Buffer): Promise<Came> {
        return this.order(activatePath, digestOf(file))
    }

    confirm(file: Buffer): Promise<Came> {
        return this.order(confirmPath, digestOf(file))
    }

    rollback(): Promise<Came> {
        return this.order(rollbackPath, Buffer.of(0))
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
