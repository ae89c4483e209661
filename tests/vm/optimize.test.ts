import { expect, test } from "vitest"
import { Board } from "../../tools/vm/board.ts"
import { compile } from "../../tools/vm/compile.ts"
import { expr, newLabel } from "../../tools/vm/optimize/code.ts"
import { answerNeeded } from "../../tools/vm/optimize/inline.ts"
import { Op } from "../../tools/vm/optimize/opcodes.ts"
import { optimize } from "../../tools/vm/optimize/optimize.ts"
import { World } from "../../tools/vm/world.ts"
import { logOf } from "../helpers/log-of.ts"
import { randomProgram } from "../helpers/programs.ts"

const main = "probe/main.ts"

const programs: Record<string, string> = {
    "conditions nested in each other": `
        function f(a: any, b: any, c: any) {
            if (a || (b && !c)) console.log("x")
            if (!(a && b) || c) console.log("y"); else console.log("n")
            const v = (a && b) || c
            console.log(v ? "1" : "0")
            return a ? b || c : b && c
        }
        for (let i = 0; i < 8; ++i) console.log(f(i & 1, (i & 2) !== 0, (i >> 2) * 3))`,
    "optional chains and defaults": `
        class Box { held: any = 3; get1() { return this.held } }
        function f(a: any, b: any) { return (a?.get1() ?? b ?? "none") + ":" + a?.held }
        console.log(f(new Box(), 1)); console.log(f(undefined, 1)); console.log(f(null, undefined))`,
    "exceptions, finally, and variables a handler reads": `
        function risky(n: number) { if (n === 2) throw new RangeError("two"); return n }
        function f(n: number) {
            let seen: any = "none"
            try { seen = "before"; seen = risky(n); seen = seen + risky(n + 1) }
            catch (e: any) { console.log(e.message + " " + seen); return -1 }
            finally { console.log("at last " + seen) }
            return seen
        }
        console.log(f(0)); console.log(f(1)); console.log(f(2))`,
    "closures that change what is around them": `
        function f(n: number) { let sum = n; const add = (x: number) => { sum = sum + x; return sum }
            const first = sum; add(2); const second = sum; return [first, second, add(first), sum].join(" ") }
        console.log(f(1)); console.log(f(40))`,
    "a function called once, with too few and too many arguments, whose variables begin undefined each time": `
        function few(a: any, b?: any) { let c: any; if (a > 1) c = a; return "" + c + b }
        function many(a: any) { return a + 1 }
        for (let i = 0; i < 3; ++i) { console.log(few(i)); console.log((many as any)(i, console.log("evaluated"))) }`,
    "a variable of the program that gets its one value only where something is so, or in a loop": `
        function see(x: any) { console.log("" + x); return x }
        let a: any; let b: any; let c: any; const d = 4
        if (see(0)) a = 1
        for (let i = 0; i < see(0); ++i) b = 2
        try { see(undefined).field; c = 3 } catch { console.log("thrown") }
        function all() { return [a, b, c, d].join(" ") }
        console.log(all()); console.log(all())`,
    "loops, switches, and fibers that wait for each other": `
        let shared = 0
        async function worker(n: number) { for (let i = 0; i < 3; ++i) { const was = shared; await sleep2(n); shared = was + 1 } }
        async function sleep2(n: number) { await (ds as any).sleep(n) }
        function kind(x: any) { switch (x) { case 1: return "one"; case "a": case 2: return "some"; default: return "other" } }
        (worker as any).start(3); (worker as any).start(5)
        for (const x of [1, 2, "a", undefined]) console.log(kind(x))
        await (ds as any).sleep(60)
        console.log(shared)`,
}

test.each(Object.entries(programs))("the same log, optimised or not: %s", async (_, text) => {
    const whole = `// @ts-nocheck\nimport * as ds from "@devicescript/core"\n${text}\nconsole.log("end")`
    const plain = await logOf(whole, false)
    expect(plain).toContain("end")
    expect(await logOf(whole, true)).toEqual(plain)
})

test("optimising is deterministic, makes code smaller, and can be done twice", async () => {
    const files = { [main]: randomProgram(99, 8) }
    const { bytecode, debug } = await compile(main, { files, optimize: false })
    const once = optimize(bytecode, debug)
    expect(once.bytecode).toEqual(optimize(bytecode, debug).bytecode)
    expect(once.bytecode.length).toBeLessThan(bytecode.length)
    expect(optimize(once.bytecode, once.debug).bytecode.length).toBeLessThanOrEqual(once.bytecode.length)
})

test("what leaves a try by a jump is thrown: the value of the last call is another one there", () => {
    const there = newLabel()
    const body = [
        expr(Op.call0, 0, expr(Op.staticFunction, 1)),
        { ...expr(Op.throwJmp, 0, expr(Op.literal, 1)), to: there },
        there,
        expr(Op.return, 0, expr(Op.retVal)),
    ]
    expect([...answerNeeded(body)]).toEqual([0, 1, 1, 0])
})

test("an image with an opcode that is not known is refused", async () => {
    const { bytecode, debug } = await compile(main, { files: { [main]: 'console.log("x")' }, optimize: false })
    const start = new DataView(bytecode.buffer, bytecode.byteOffset).getUint32(112, true)
    const changed = bytecode.slice()
    changed[start] = 42
    expect(() => optimize(changed, debug)).toThrow("opcode 42 is not known")
})

test("a stack trace tells the line of a function that was moved into its caller", async () => {
    const text =
        "function deep(a: any) {\n    if (a)\n        throw new Error('deep')\n    return a\n}\n\nfunction outer(a: any) {\n    return deep(a) + 1\n}\nouter(1)\nouter(0)\n"
    const world = new World({ clock: "virtual" })
    const board = new Board({ image: await compile(main, { files: { [main]: text } }), world, onEnd: () => {} })
    await board.powerOn()
    await world.runUntil(() => !board.powered, 20_000)
    world.close()
    expect(board.log.join("\n")).toContain("main.ts:3:")
})
