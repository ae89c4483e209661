import { expect, test } from "vitest"
import { compile } from "../../tools/vm/compile.ts"
import { logOf } from "../helpers/log-of.ts"

const main = "probe/main.ts"

/** Names of the functions of an image that are methods still, and of all. */
async function methodsOf(text: string): Promise<{ methods: string[]; all: string[] }> {
    const { bytecode, debug } = await compile(main, { files: { [main]: `// @ts-nocheck\n${text}` } })
    const all: string[] = debug.functions.map((fun: { name: string }) => fun.name)
    return { methods: all.filter((_, i) => (bytecode[112 + 16 * i + 11] & 3) === 1), all }
}

const use = "for (let i = 0; i < 3; ++i) "

test("a method whose name means nothing else is a function, and gone where it is called once", async () => {
    const text = `class A { n = 1; add(x: any) { this.n = this.n + x; return this.n } once() { return this.add(5) } }
        function run(a: any) { ${use} console.log(a.add(i)); console.log(a.add(7)); return a.once() }
        console.log(run(new A())); console.log(run(new A()))`
    const { methods, all } = await methodsOf(text)
    expect(methods).toEqual([])
    expect(all).toContain("add")
    expect(all).not.toContain("once")
})

const untouched: Record<string, string> = {
    "two classes have it": `class A { n = 1; both() { return this.n } } class B { n = 2; both() { return this.n + 5 } }
        for (const x of [new A(), new B()] as any[]) console.log(x.both())`,
    "a class that extends another has its own": `class A { n = 1; both() { return this.n } }
        class B extends A { both() { return 8 } }
        for (const x of [new A(), new B()] as any[]) console.log(x.both())`,
    "it is a field of something else": `class A { n = 1; both() { return this.n } }
        for (const x of [new A(), { both: () => 9 }] as any[]) console.log(x.both())`,
    "it is assigned to an object": `class A { n = 1; both() { return this.n } }
        const a: any = new A(); console.log(a.both()); a.both = () => 6; console.log(a.both())`,
    "it is used as a value": `class A { n = 1; both() { return this.n } }
        const a: any = new A(); const f = a.both; console.log(f()); console.log(a.both())`,
    "it is held in a variable that a closure calls": `class A { n = 1; both() { return this.n } }
        function f(a: any) { const g = a.both; const later = () => g(); return [g(), later()].join(" ") }
        console.log(f(new A())); console.log(new A().both())`,
    "it is asked for before it is called": `class A { n = 1; both() { return this.n } }
        for (const x of [new A(), { }] as any[]) console.log(x.both ? x.both() : "none")`,
    "it is found by a string": `class A { n = 1; both() { return this.n } }
        const names = ["both"]; const a: any = new A(); console.log(a[names[0]]()); console.log(a.both())`,
    "it is started as a fiber": `import * as ds from "@devicescript/core"
        class A { n = 1; async both() { console.log(this.n) } }
        const a: any = new A(); a.both.start(); await ds.sleep(5); await a.both()`,
    "it is called with arguments from an array": `class A { n = 1; both(x: any, y: any) { return this.n + x + y } }
        const a: any = new A(); const two: any[] = [1, 2]; console.log(a.both(...two)); console.log(a.both(3, 4))`,
    "it takes the rest of the arguments": `class A { n = 1; both(...x: any[]) { return this.n + x.length } }
        const a: any = new A(); console.log(a.both(1, 2)); console.log(a.both())`,
    "it is called with eight arguments": `class A { n = 1
        both(a: any, b: any, c: any, d: any, e: any, f: any, g: any, h: any) { return this.n + a + h } }
        const x: any = new A(); ${use} console.log(x.both(1, 2, 3, 4, 5, 6, 7, i))`,
    "it would do something without an object": `let count = 0
        class A { both() { count = count + 1; return count } }
        for (const x of [new A(), undefined, null] as any[]) try { console.log(x.both()) } catch (e: any) { console.log("no " + count) }`,
    "it only may read its object": `let count = 0
        class A { n = 1; both(x: any) { if (x) return this.n; count = count + 1; return count } }
        for (const x of [new A(), undefined, null] as any[]) try { console.log(x.both(0)) } catch (e: any) { console.log("no " + count) }`,
}

test.each(Object.entries(untouched))("a method stays one where %s", async (_, text) => {
    expect((await methodsOf(text)).methods).toContain("both")
    const whole = `// @ts-nocheck\n${text}\nconsole.log("end")`
    const plain = await logOf(whole, false)
    expect(plain).toContain("end")
    expect(await logOf(whole, true)).toEqual(plain)
})

const changed: Record<string, string> = {
    "on what is not there throws": `class A { n = 1; get1() { return this.n } get2() { return this.get1() } put(x: any) { this.n = x } }
        for (const x of [new A(), undefined, null] as any[]) {
            try { console.log(x.get1()) } catch (e: any) { console.log("no") }
            try { console.log(x.get2()) } catch (e: any) { console.log("no") }
            try { x.put(5); console.log(x.n) } catch (e: any) { console.log("no") } }`,
    "is asked for only where there is something": `class A { n = 1; get1(x: any) { return this.n + x } }
        for (const x of [new A(), undefined, null] as any[]) console.log(x?.get1(3) ?? "none")
        console.log(new A()?.get1(2))`,
    "gets too few arguments, or too many": `class A { n = 1; get1(x?: any, y?: any) { return this.n + ":" + x + y } }
        const a: any = new A(); console.log(a.get1()); console.log(a.get1(1)); console.log(a.get1(1, 2, console.log("seen")))`,
    "is called by its own class, a class it extends, and itself": `class A { n = 1; down(x: any): any { return x > 0 ? this.down(x - 1) : this.n } }
        class B extends A { constructor() { super(); this.n = this.down(2) + 1 } up() { return this.down(3) } }
        console.log(new B().up()); console.log(new A().down(4))`,
    "evaluates its object before its arguments": `class A { constructor(readonly n: any) {} get1(x: any) { return this.n + x } }
        function make(n: any): A { console.log("make " + n); return new A(n) }
        ${use} console.log(make(i).get1(make(i + 10).n)); console.log(make(1).get1(make(2).get1(3)))`,
}

test.each(Object.entries(changed))("a method that became a function %s", async (_, text) => {
    expect((await methodsOf(text)).methods).toEqual([])
    const whole = `// @ts-nocheck\n${text}\nconsole.log("end")`
    const plain = await logOf(whole, false)
    expect(plain).toContain("end")
    expect(await logOf(whole, true)).toEqual(plain)
})

test("a method with the name of a call of the sandbox's host stays one", async () => {
    const text = `import * as ds from "@devicescript/core"
        const host: any = (ds as any).host
        class Registers { n = 1; add(x: any, y: any) { this.n = this.n + x + y; return host.add(x, y) } }
        const own = new Registers()
        host.onTick(() => own.add(1, 2))
        host.onSelfTest(() => own.n)`
    expect((await methodsOf(text)).methods).toEqual(["add"])
})
