import { Code, fail } from "../core/errors"
import type { Program } from "../core/software"
import { pollingCalls } from "../sandbox/polling-calls"
import { Sandbox, type SandboxHost } from "../sandbox/sandbox"
import type { Served } from "./answering"

/** What a call of the module may use up: octets of code, octets of heap. */
const limits = { work: 20000, memory: 3072 }
/** Seconds between two readings that a module is told. */
const periodSeconds = 900

/** A module that says which meter is asked when (firmware/sandbox/polling-calls.ts), with the MUC as its host. */
export class Polling implements SandboxHost {
    readonly calls = pollingCalls
    /** Meters of the line, once there are any. */
    meters: Served | undefined
    private readonly box: Sandbox

    /** Runs the start of an image that was checked, and its self-test. Throws what `Sandbox` does, `SoftwareSelfTest` with its answer. */
    constructor(program: Program) {
        this.box = new Sandbox(program.image, this, limits, program.called)
        this.box.start()
        const answer = this.box.call("onSelfTest")
        if (answer !== 0) fail(Code.SoftwareSelfTest, typeof answer === "number" ? answer : -1, "0", "" + answer)
    }

    /** The meter to be asked now, -1 for none. Throws what `Sandbox.call` does, `BadArgument` for one that there is not. */
    next(seconds: number): number {
        const index = this.box.call("onNext", seconds)
        const count = this.meters ? this.meters.count() : 0
        if (typeof index !== "number" || !(index >= -1 && index < count) || index !== Math.floor(index))
            fail(Code.ModuleAnswer, -1, "a meter below " + count, "" + index)
        return index
    }

    /** Tells it what came of that. */
    answered(index: number, seconds: number, ok: boolean): void {
        this.box.call("onAnswer", index, seconds, ok ? 1 : 0)
    }

    log(line: string): void {
        console.log("module: " + line)
    }

    call(index: number, a: number, b: number): any {
        const meters = this.meters
        const count = meters ? meters.count() : 0
        if (index === 3) return count
        if (index === 4) return meters && a >= 0 && a < count ? meters.idAt(Math.floor(a))[1] : 0
        if (index === 5) return periodSeconds
        if (index === 6) console.log("meter " + a + " silent, " + b + " times")
        return undefined
    }
}
