import type { Code } from "../../../firmware/core/errors.ts"
import { type Cell, expected, type Matrix, type Report, unexpected } from "../report.ts"
import { type Came, codeText } from "./answer.ts"
import type { Person } from "./company.ts"

/** One use case as a table: who did what, what came of it, and what must not have worked. */
export class Story {
    private readonly rows: Matrix["rows"] = []
    /** Has everything come out as told, so far? */
    good = true
    private successes = 0
    private refusals = 0
    /** A sentence each, below the table. */
    readonly notes: string[] = []
    private readonly began = Date.now()

    /** `title` in the words of the paper. */
    constructor(readonly title: string) {}

    /** It was done, and the device says so under its signature. */
    done(who: Person | string, what: string, came: Came): Came {
        ++this.successes
        const holds = came.code === 0 && came.answer === "signed"
        const found = came.code === 0 ? `done, ${came.answer} answer` : came.text
        this.add(who, what, "done", found, holds)
        return came
    }

    /** It was refused, for one of these reasons and no other. */
    refused(who: Person | string, what: string, came: Came, ...codes: Code[]): Came {
        ++this.refusals
        this.add(who, what, codes.map(codeText).join(" or "), came.text, codes.includes(came.code))
        return came
    }

    /** Something else that must be so. */
    shows(who: string, what: string, wanted: string, found: string, holds = wanted === found): void {
        ++this.successes
        this.add(who, what, wanted, found, holds)
    }

    report(): Report {
        const seconds = ((Date.now() - this.began) / 1000).toFixed(1)
        return {
            matrices: [{ title: this.title, head: ["who", "what", "expected", "came"], rows: this.rows }],
            notes: [...this.notes, `${this.successes} steps, ${this.refusals} refusals, ${seconds} s.`],
            counts: { successes: this.successes, refusals: this.refusals },
        }
    }

    private add(who: Person | string, what: string, wanted: string, found: string, holds: boolean): void {
        const name = typeof who === "string" ? who : who.name
        this.good &&= holds
        const cell: Cell = holds ? expected(found) : unexpected(found, `expected ${wanted}, came ${found}`)
        this.rows.push({ names: [name, what, wanted], cells: [cell] })
    }
}
