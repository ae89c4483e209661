import { expect, test } from "vitest"
import { Board } from "../../tools/vm/board.ts"
import { compile } from "../../tools/vm/compile.ts"
import { expr, newLabel, visitBody } from "../../tools/vm/optimize/code.ts"
import { takeApart } from "../../tools/vm/optimize/image.ts"
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
    "a value that leaves a try, with and without finally, in loops too": `
        function one(n: number) { if (n === 3) throw new RangeError("three"); return [n, n * 2] }
        function f(n: number) { for (;;) { try { return one(n) } catch (e: any) { console.log(e.message); n = n + 1 } } }
        function g(n: number) { let r: any = 0; try { try { r = one(n); return r } finally { r = one(n + 2)[0]; console.log("left " + r) } }
            catch (e: any) { r = e.message; return r + r } }
        function h(n: number) { for (let i = 0; i < 4; ++i) { let v: any = "n"; try { v = one(i); if (i === n) break; continue } catch (e: any) { v = e.message }
            console.log(v + n) } return n }
        for (let i = 0; i < 5; ++i) console.log(f(i)[0] + " " + g(i) + " " + h(i))`,
    "values that are chosen, then used once, many times, after a call and in a loop": `
        const calls: any[] = []
        function see(x: any) { calls.push(x); return x }
        function f(a: any, b: any) { const v = a ? b : 7; return v + (b ? 1 : 2) * v }
        function g(a: any) { let v: any = 1; if (see(a)) v = 2; else v = 3; return v + see(v) + v }
        function h(a: any) { let v = see(a); if (v > 1) v = v + v; else v = v - 1; see("h"); return v }
        function k(a: any) { let i = 0; let sum = 0; while (i < a) { sum = sum + i; i = i + 1 } return sum }
        function m(a: any) { let v: any; try { v = 5; v = see(a).held } catch { v = v + 1 } return v }
        function p(a: any) { const v = a && see(a); const w = see(v) || "w"; return v === undefined ? w : [v, w].join(",") }
        for (const a of [0, 1, 5, "x", undefined, null]) console.log([f(a, 3), f(0, a), g(a), h(a), k(a), m(a), p(a)].join(" "))
        console.log(calls.join(" "))`,
    "a variable of the program that gets its one value only where something is so, or in a loop": `
        function see(x: any) { console.log("" + x); return x }
        let a: any; let b: any; let c: any; const d = 4
        if (see(0)) a = 1
        for (let i = 0; i < see(0); ++i) b = 2
        try { see(undefined).field; c = 3 } catch { console.log("thrown") }
        function all() { return [a, b, c, d].join(" ") }
        console.log(all()); console.log(all())`,
    "numbers that stand in the code, and comparisons with zero": `
        const flags = 4 | 8 | (1 << 18) | (1 << 30); const big = 65536 * 65536; const low = -2147483648 - 1; const nought = 0 * -5
        function f(a: any) { return [(a & 4) === 0, (a & 4) !== 0, a === 0, a !== 0, (a | 0) !== 0 ? 1 : 2, (a & 1) === 0 ? 1 : 2].join(" ") }
        console.log([flags, big, low, 1 / nought, 2 * 392 + 1, 200 + 100, -17 - 3, 1 << 31, -8 >> 1, 3 - 3].join(" "))
        for (const a of [0, 4, 5, -1, 0.5, undefined, null, true, "x", NaN]) console.log(f(a))`,
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

/** Statements and expressions of a function, by opcode, after optimising. */
async function opsOf(text: string, name: string): Promise<number[]> {
    const { bytecode, debug } = await compile(main, { files: { [main]: text } })
    const fun = takeApart(bytecode, debug).functions.find(each => each.debug.name === name)!
    const ops = fun.body.map(stmt => stmt.op)
    visitBody(fun.body, each => {
        ops.push(each.op)
    })
    return ops
}

/** `body` in a function that is used in many places, and so stays one. */
function kept(body: string): string {
    return `function other(x: any) { console.log("" + x); return x }\nfunction f(a: any, b: any): any { ${body} }\nfor (const g of [f, other]) g(1, 2)\nf(3, 4)`
}

test("a value that is chosen is kept where answers of calls are, unless a call is made meanwhile", async () => {
    expect(await opsOf(kept("const v = a ? b + 1 : 7; return v + v"), "f")).not.toContain(Op.storeLocal)
    expect(await opsOf(kept("const v = a ? b + 1 : 7; other(a); return v + v"), "f")).toContain(Op.storeLocal)
    expect(await opsOf(kept('let v: any; try { v = b; return v } catch { return "" + v }'), "f")).toContain(
        Op.storeLocal,
    )
})

test("of two plain values one is stored before the question, without a jump", async () => {
    expect(await opsOf(kept("let v = 1; if (other(a)) v = 2; else v = 3; return [v, other(v), v]"), "f")).not.toContain(
        Op.jmp,
    )
    expect(
        await opsOf(kept("let v = 1; if (a) v = other(2); else v = other(3); return [v, other(v), v]"), "f"),
    ).toContain(Op.jmp)
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

test("a value for a return at the end is returned where it is made", async () => {
    const ops = await opsOf(kept("let v: any; if (a) v = other(a) + 1; else v = other(b) + 2; return v"), "f")
    expect(ops.filter(op => op === Op.return)).toHaveLength(2)
    expect(ops).not.toContain(Op.storeLocal)
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
