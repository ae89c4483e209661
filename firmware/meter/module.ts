import type { Measurement } from "../../hal/ports"
import { Code, fail } from "../core/errors"
import { platform } from "../core/platform"
import { nameOf, type Program } from "../core/software"
import { metrologyCalls } from "../sandbox/metrology-calls"
import { Sandbox, type SandboxHost } from "../sandbox/sandbox"
import type { Meter, Rule } from "./meter"
import { moduleParameters } from "./parameters"
import { stateSize } from "./registers"

/** What a call of the module may use up: octets of code, octets of heap. */
const limits = { work: 20000, memory: 4096 }
const inputsSize = 32
const daySeconds = 86400

/** A metrological module (firmware/sandbox/metrology-calls.ts) with the meter as its host: what is counted, under which tariff, when a period is over. */
export class Module implements Rule, SandboxHost {
    readonly calls = metrologyCalls
    /** Name and version, as they stand in signed lists. */
    readonly identification: Buffer
    /** SHA-256 of the image. */
    readonly checksum: Buffer
    private readonly box: Sandbox
    private readonly inputs: Buffer
    private readonly parameters: Buffer
    /** Its own copy: what it writes counts once a tick has gone well. */
    private readonly state: Buffer
    private readonly microwattSeconds: number
    private ticking = false

    /** Runs the start of an image that was checked; throws what `Sandbox` does. `metering`: as in `Parameters.metering`. */
    constructor(
        private readonly meter: Meter,
        program: Program,
        metering: Buffer,
    ) {
        this.identification = nameOf(program)
        this.checksum = platform().sha256([program.image])
        this.inputs = Buffer.alloc(inputsSize)
        this.state = Buffer.alloc(stateSize)
        this.microwattSeconds = meter.identity.calibration().microwattSecondsPerLsb
        this.parameters = moduleParameters(metering, this.microwattSeconds)
        this.box = new Sandbox(program.image, this, limits, program.called)
        this.box.start()
    }

    /** Throws `SoftwareSelfTest` with the module's answer, or what `Sandbox.call` does. */
    selfTest(): void {
        const answer = this.box.call("onSelfTest")
        if (answer !== 0) fail(Code.SoftwareSelfTest, typeof answer === "number" ? answer : -1, "0", "" + answer)
    }

    /** A second's work: counts the energy the front end has measured. Throws what `Sandbox.call` does; `OutOfRange` from the registers. */
    count(microwattSeconds: number, present: Measurement): void {
        const inputs = this.inputs
        const time = this.meter.time
        const state = this.meter.registers.state
        const seconds = time.trusted() ? time.utcSeconds() : time.secondsIndex()
        const day = Math.floor(seconds / daySeconds)
        inputs.setAt(0, "i32", Math.round(microwattSeconds / this.microwattSeconds))
        inputs.setAt(8, "u32", present.millivolts)
        inputs.setAt(12, "u32", present.milliamperes)
        inputs.setAt(20, "u32", seconds - day * daySeconds)
        // 1 January 1970 was a Thursday.
        inputs[24] = (day + 3) % 7
        inputs[25] = time.quality()
        this.state.blitAt(0, state, 0, stateSize)
        this.ticking = true
        try {
            this.box.call("onTick")
        } finally {
            this.ticking = false
        }
        state.blitAt(0, this.state, 0, stateSize)
    }

    log(line: string): void {
        console.log("module: " + line)
    }

    /** A call of the module; outside of a tick nothing that it says has an effect. */
    call(index: number, a: number, b: number): any {
        const meter = this.meter
        if (index === 2) return this.inputs
        if (index === 3) return this.parameters
        if (index === 4) return this.state
        if (index === 6) return meter.registers.register(a)
        if (!this.ticking) return undefined
        if (index === 5) meter.registers.add(a, b)
        else if (index === 8) meter.moduleStatus = (a & 0xff) << 16
        else if (index === 10) meter.periodOver = true
        return undefined
    }
}
