import { Board, type BoardEnd, BoardError } from "./board.ts"
import { type CompileOptions, compile, type Image } from "./compile.ts"
import { World } from "./world.ts"

/** What one case came to: the program's answer, or the panic it caused. */
export type CaseOutcome =
    | { octets: Uint8Array; steps: number }
    | {
          /** The panic in words, with the log lines of this case. */
          failure: string
          /** The panic's code (60001 endless loop, 60004 out of memory, 60005 uncaught exception, …). */
          code?: number
      }

export interface CaseOptions {
    /** For the compilation of the entry. */
    compile?: CompileOptions
    /** Count bytecode steps; `steps` of an answer is 0 otherwise. */
    countSteps?: boolean
    /** Each log line of the program. */
    onLog?(line: string): void
    /** Called after each case. */
    onCase?(index: number, outcome: CaseOutcome): void
}

/** Hypercalls of the harness. `nextCase` replies with nothing when there are no more. */
export const nextCase = 16
export const giveAnswer = 17

/**
 * Runs `cases` (none of them empty) through one program of the VM and answers what each came to, in order. The
 * program calls `serveCases(capacity, answer)` of `device/serve.ts`. A panic is the failure of the case at hand;
 * the board is booted again and the run goes on with the next. `entry` is a source file or a compiled image.
 * Throws `CompileError`, or `BoardError` where the program fails outside of any case.
 */
export async function runCases(
    entry: string | Image,
    cases: Uint8Array[],
    options: CaseOptions = {},
): Promise<CaseOutcome[]> {
    const empty = cases.findIndex(each => each.length === 0)
    if (empty >= 0) throw new Error(`case ${empty} is empty`)
    const image = typeof entry === "string" ? await compile(entry, options.compile) : entry
    const outcomes: CaseOutcome[] = []
    const world = new World({ clock: "virtual" })
    let next = 0
    let startedAtStep = 0
    let logFrom = 0
    const settle = (outcome: CaseOutcome) => {
        outcomes.push(outcome)
        options.onCase?.(outcomes.length - 1, outcome)
    }
    const board = new Board({
        image,
        world,
        countSteps: options.countSteps,
        onLog: options.onLog,
        onHostCall: (op, _a, octets) => {
            if (op === nextCase) {
                if (next > outcomes.length) throw new Error("the program asked for a case before answering one")
                if (next === cases.length) return new Uint8Array(0)
                logFrom = board.log.length
                startedAtStep = options.countSteps ? board.steps : 0
                return cases[next++]
            }
            if (op === giveAnswer) {
                if (next === outcomes.length) throw new Error("the program answered without a case")
                settle({ octets, steps: options.countSteps ? board.steps - startedAtStep : 0 })
                return new Uint8Array(0)
            }
            return undefined
        },
    })
    try {
        while (outcomes.length < cases.length) {
            await board.powerOn()
            const end: BoardEnd = await world.runWhile(board.exited, Number.POSITIVE_INFINITY)
            if (outcomes.length === cases.length) break
            const inCase = next > outcomes.length
            if (!inCase || end.reason !== "panic") throw new BoardError(board, end)
            settle({ failure: [end.message, ...board.log.slice(logFrom)].join("\n"), code: end.code })
        }
    } finally {
        await board.powerOff()
        world.close()
    }
    return outcomes
}

/** Bytecode steps of each case: exact, the same in every run, the two calls of the harness (about 300) included. */
export async function measureSteps(entry: string | Image, cases: Uint8Array[]): Promise<number[]> {
    const outcomes = await runCases(entry, cases, { countSteps: true })
    return outcomes.map((outcome, index) => {
        if ("failure" in outcome) throw new Error(`case ${index}: ${outcome.failure}`)
        return outcome.steps
    })
}
