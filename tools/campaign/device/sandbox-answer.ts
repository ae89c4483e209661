import { PlombError } from "../../../firmware/core/errors"
import { cut } from "../../../firmware/core/octets"
import { checkImage } from "../../../firmware/sandbox/image"
import { metrologyCalls } from "../../../firmware/sandbox/metrology-calls"
import { pollingCalls } from "../../../firmware/sandbox/polling-calls"
import { Sandbox, type SandboxHost } from "../../../firmware/sandbox/sandbox"

/**
 * Answers requests about one module after the other, in Node and in the VM alike. Request: op, three octets, rest. Answer: text,
 * one line for each thing the module did, the last one for how it went.
 *
 * - 0 load the image in the rest: memory in 256 octets, kind of host (0 test calls, 1 metrology, 2 polling), 1 = tell host calls;
 * - 1 call the entry with this number of the host's calls; arguments i32;
 * - 2 put the rest into the inputs, 3 into the parameters; 4 what the module's values hold.
 */

const testCalls = ["onTick:f", "number:n", "text:s", "octets:b", "shared:", "pair:ns", "bad:", "fails:", "onSelfTest:f"]

/** Octets code may not touch: lie between all buffers that code gets. */
const canaries: Buffer[] = []
const canary = hex`a5 5a c3 3c 96 69 0f f0 a5 5a c3 3c 96 69 0f f0 a5 5a c3 3c 96 69 0f f0 a5 5a c3 3c 96 69 0f f0`

function putCanary(): void {
    const octets = Buffer.alloc(canary.length)
    octets.blitAt(0, canary, 0, canary.length)
    canaries.push(octets)
}

function canariesLive(): boolean {
    for (let k = 0; k < canaries.length; ++k)
        for (let i = 0; i < canary.length; i += 4)
            if (canaries[k].getAt(i, "u32") !== canary.getAt(i, "u32")) return false
    return true
}

class BenchHost implements SandboxHost {
    calls: string[]
    said = ""
    tells = false
    shared: Buffer
    parameters: Buffer
    state: Buffer

    constructor(readonly kind: number) {
        this.calls = kind === 1 ? metrologyCalls : kind === 2 ? pollingCalls : testCalls
        putCanary()
        this.shared = Buffer.alloc(32)
        putCanary()
        this.parameters = Buffer.alloc(64)
        putCanary()
        this.state = Buffer.alloc(32)
        putCanary()
    }

    say(line: string): void {
        if (this.said.length < 4000) this.said = this.said + line + "\n"
    }

    log(line: string): void {
        this.say(line)
    }

    call(index: number, a: any, b: any, c: any): any {
        const name = this.calls[index]
        if (this.tells) this.say(`${name} ${a} ${b} ${c}`)
        if (name === "inputs:" || name === "shared:") return this.shared
        if (name === "parameters:") return this.parameters
        if (name === "state:") return this.state
        if (name === "meters:") return 4
        if (name === "medium:n") return a === 3 ? 7 : 1
        if (name === "period:") return 900
        if (name === "register:n") return 1000 + a
        if (name === "bad:") return this
        if (name === "fails:") throw new PlombError(1001, 7, "", "")
        if (name === "octets:b") return a.length
        return a
    }
}

let host = new BenchHost(0)
let box: Sandbox | undefined
let parameters = Buffer.alloc(64)

export function answer(request: Buffer): Buffer {
    const op = request[0]
    let end = "ok"
    host.said = ""
    try {
        if (op === 0) {
            box = undefined
            while (canaries.length > 0) canaries.pop()
            host = new BenchHost(request[2])
            host.tells = request[3] === 1
            host.parameters.blitAt(0, parameters, 0, 64)
            const image = cut(request, 4, request.length - 4)
            putCanary()
            box = new Sandbox(image, host, { work: 60000, memory: request[1] * 256 }, checkImage(image))
            putCanary()
            box.start()
        } else if (op === 1 && box) {
            const entry = host.calls[request[1]]
            const a = request.length > 4 ? request.getAt(4, "i32") : undefined
            const b = request.length > 8 ? request.getAt(8, "i32") : undefined
            const c = request.length > 12 ? request.getAt(12, "i32") : undefined
            end = "" + box.call(entry.slice(0, entry.length - 2), a, b, c)
        } else if (op === 2) host.shared.blitAt(0, request, 4, 32)
        else if (op === 3) {
            parameters = Buffer.alloc(64)
            parameters.blitAt(0, request, 4, 64)
        } else if (op === 4 && box) end = "" + box.free()
        else end = "no module"
    } catch (e: any) {
        if (!(e instanceof PlombError)) throw e
        end = `E${e.code} at ${e.at}`
    }
    if (!canariesLive()) end = "CANARY"
    return Buffer.from(host.said + end)
}
