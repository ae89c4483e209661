import { Code } from "../../firmware/core/errors"
import { withoutTexts } from "../build/texts.ts"
import { compile } from "../vm/compile.ts"
import { runCases } from "../vm/harness.ts"
import { answer } from "./device/sandbox-answer.ts"
import { type Outcome, randomFrom } from "./outcome.ts"

/** Bytecode steps a case may take in the VM: the work a module may do, at its dearest, and the check of its image. */
const stepsBound = 12_000_000

/** Octets of memory / 256 that a mutated module gets. */
const memory = 32

/** A module that uses most of what there is, so that damage has something to hit. */
const sample = `import * as ds from "@devicescript/core"
const host: any = (ds as any).host
const shared: Buffer = host.shared()
class Row { total = 0; constructor(public name: string, readonly gain: number) {} add(x: number) { this.total += x * this.gain; return this } text() { return this.name + ":" + this.total } }
class Wide extends Row { constructor() { super("wide", 2.5) } override text() { return "W" + this.name } }
const rows: Row[] = [new Row("a", 2), new Row("b", 0.5), new Wide()]
function counter() { let n = 0; return () => { n++; return n } }
const next = counter()
const table = hex\`01 02 03 04 05 06 07 08\`
function pick(k: any) { switch (k) { case 1: return "one"; case "x": return "ex"; default: return k } }
function tick(n: number) {
    let s = ""
    for (const row of rows) s += row.add(n + next()).text() + ";"
    const b = Buffer.alloc(12)
    for (let i = 0; i < 8; ++i) { b[i] = table[i] ^ n; b.setAt(4, "u32", b.getAt(2, "u32") * 3 + i) }
    b.blitAt(8, table, 2, 4); b.fillAt(1, 2, 7); shared.setAt(0, "i32", n * 7); shared.setAt(8, "f64", n / 3)
    try { if (n % 3 === 0) throw new RangeError("three"); (b as any).none.x = 1 } catch (e: any) { s += e.message.length } finally { s += "f" }
    const o: any = { a: n, b: [1, 2, 3].map(x => x * n) }
    o["k" + n] = pick(n); delete o.a
    s += Object.keys(o).join(",") + Math.floor(n * 1.7) + (n & 6 | 1) + host.number(n) + b.toString("hex") + typeof o + s.slice(1, 4) + s.indexOf("w")
    host.pair(n, s.slice(0, 20))
    console.log(\`\${n} \${s}\`)
    return s.length
}
host.onTick(tick)
host.onSelfTest(() => 0)
`

type Random = (below: number) => number

/** An image with some octets changed: mostly code, operands and tables that decide; lengths stay, or the end is cut off. */
function mutated(image: Uint8Array, random: Random): Buffer {
    const copy = Buffer.from(image)
    const codeAt = copy.readUInt32LE(40)
    const codeLength = copy.readUInt32LE(44)
    for (let n = 1 + random(3); n > 0; --n) {
        const kind = random(12)
        const at =
            kind < 8
                ? codeAt + random(codeLength)
                : kind < 9
                  ? 112 + random(codeAt - 112)
                  : kind < 10
                    ? random(112)
                    : random(copy.length)
        const way = random(6)
        if (way < 2) copy[at] ^= 1 << random(8)
        else if (way < 4) copy[at] = random(256)
        else if (way < 5) copy[at] = copy[codeAt + random(codeLength)]
        // An opcode that some statement or expression has, where it counts most.
        else copy[at] = [12, 13, 17, 18, 21, 22, 24, 25, 26, 27, 43, 44, 58, 75, 79, 80, 84, 86, 93, 144][random(20)]
    }
    return random(60) === 0 ? copy.subarray(0, 112 + random(copy.length - 112)) : copy
}

/** `count` damaged modules, each loaded, ticked twice and self-tested among canaries: refused, or run within its budgets. */
export async function run(count: number, seed: number, where: "node" | "vm"): Promise<Outcome> {
    const random = randomFrom(seed)
    const failures: string[] = []
    const came = new Map<string, number>()
    const seeds = [
        { image: await compile("sandbox-sample.ts", { files: { "sandbox-sample.ts": sample } }), kind: 0, self: 8 },
        { image: await compile("firmware/modules/metrology.ts"), kind: 1, self: 1 },
        { image: await compile("firmware/modules/polling.ts"), kind: 2, self: 2 },
    ]
    const requests: Buffer[] = []
    for (let i = 0; i < count; ++i) {
        const { image, kind, self } = seeds[random(3)]
        requests.push(Buffer.concat([Buffer.of(0, memory, kind, 0), mutated(image.bytecode, random)]))
        for (const n of [1, 6]) requests.push(Buffer.of(1, 0, 0, 0, n, 0, 0, 0))
        requests.push(Buffer.of(1, self, 0, 0))
    }
    const judge = (request: Buffer, text: string) => {
        const last = text.slice(text.lastIndexOf("\n") + 1)
        const code = /^E(\d+) at /.exec(last)?.[1]
        const name = code ? (Code[Number(code)] ?? code) : last === "CANARY" ? last : "went on"
        came.set(name, (came.get(name) ?? 0) + 1)
        if (last === "CANARY" || (code && !Code[Number(code)])) failures.push(`${last}: ${request.toString("hex")}`)
    }
    let most = 0
    if (where === "node")
        for (const request of requests) {
            try {
                judge(request, answer(request).toString())
            } catch (error) {
                failures.push(`escaped ${error}: ${request.toString("hex")}`)
            }
        }
    else {
        const image = await compile("tools/campaign/device/sandbox.ts", {
            change: withoutTexts,
            changeName: "without texts",
        })
        const outcomes = await runCases(image, requests, { countSteps: true })
        outcomes.forEach((outcome, i) => {
            // The load that a call belongs to says which module it was.
            const module = requests[i - (i % 4)]
            if ("failure" in outcome) {
                failures.push(`${outcome.failure.split("\n")[0]}: ${module.toString("hex")}`)
                return
            }
            judge(module, Buffer.from(outcome.octets).toString())
            most = Math.max(most, outcome.steps)
            if (outcome.steps > stepsBound) failures.push(`${outcome.steps} steps: ${module.toString("hex")}`)
        })
    }
    const counts = [...came].sort((a, b) => b[1] - a[1]).map(([name, n]) => `${name} ${n}`)
    const steps = where === "vm" ? [`at most ${most} steps a call`] : []
    return { summary: [counts.join(", "), ...steps], failures }
}
