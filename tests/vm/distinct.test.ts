import { expect, test } from "vitest"
import { compile } from "../../tools/vm/compile.ts"
import { logOfImage } from "../helpers/log-of.ts"

const main = "probe/main.ts"

interface Made {
    /** Functions that are methods still. */
    methods: string[]
    globals: number
    log: string[]
}

async function made(text: string, distinct: boolean): Promise<Made> {
    const image = await compile(main, { files: { [main]: `${text}\nconsole.log("end")` }, distinct })
    const { bytecode, debug } = image
    const all: string[] = debug.functions.map((fun: { name: string }) => fun.name.replace(/\$+\d+$/, ""))
    const methods = all.filter((_, i) => (bytecode[112 + 16 * i + 11] & 3) === 1)
    return { methods, globals: Buffer.from(bytecode).readUInt16LE(12), log: await logOfImage(image) }
}

/** The program does the same with distinct names as without; answers what it is with them. */
async function same(text: string): Promise<Made & { before: Made }> {
    const before = await made(text, false)
    const after = await made(text, true)
    expect(before.log.length).toBeGreaterThan(0)
    expect(after.log).toEqual(before.log)
    return { ...after, before }
}

const use = "for (let i = 0; i < 2; ++i) "

test("methods of one name in classes that have nothing to do with each other become functions", async () => {
    const { methods, before } = await same(`
        class A { constructor(public n: number) {} more(x: number) { return this.n + x } }
        class B { constructor(public n: number) {} more(x: number) { return this.n * x } }
        ${use} { const a = new A(i); const b = new B(i + 7); console.log(a.more(2) + b.more(3)); console.log(a.more(4), b.more(5)) }`)
    expect(before.methods).toEqual(["more", "more"])
    expect(methods).toEqual([])
})

const together: Record<string, string> = {
    "both implement an interface": `interface Way { more(x: number): number }
        class A implements Way { more(x: number) { return 1 + x } } class B implements Way { more(x: number) { return 2 * x } }
        const ways: Way[] = [new A(), new B()]; for (const way of ways) console.log(way.more(5))`,
    "both are used as one type that neither names": `
        class A { n = 1; more(x: number) { return this.n + x } } class B { n = 2; more(x: number) { return this.n * x } }
        function run(way: { more(x: number): number }) { console.log(way.more(5)) }
        run(new A()); run(new B())`,
    "an answer, or what an array holds, is of that type": `interface Way { more(x: number): number }
        class A { n = 1; more(x: number) { return this.n + x } } class B { n = 2; more(x: number) { return this.n * x } }
        function find(first: boolean): Way { if (first) return new A(); return new B() }
        console.log(find(true).more(3), find(false).more(3))
        const all: Way[] = []; all.push(new A()); all.push(new B()); for (const way of all) console.log(way.more(4))`,
    "a field of that type is set later, or in a literal": `interface Way { more(x: number): number }
        class A { n = 1; more(x: number) { return this.n + x } } class B { n = 2; more(x: number) { return this.n * x } }
        class Holder { way: Way; hold(way: Way) { this.way = way } }
        const holder = new Holder(); holder.hold(new A()); console.log(holder.way.more(3)); holder.way = new B(); console.log(holder.way.more(3))
        const box: { way: Way } = { way: new A() }; console.log(box.way.more(9)); box.way = new B(); console.log(box.way.more(9))`,
    "an object without a class is used so too": `interface Way { more(x: number): number }
        class A { n = 1; more(x: number) { return this.n + x } }
        const ways: Way[] = [new A(), { more: (x: number) => x * 3 }]; for (const way of ways) console.log(way.more(5))`,
    "one extends the other": `class A { n = 1; more(x: number) { return this.n + x } }
        class B extends A { override more(x: number) { return this.n + x * 2 } }
        const ways: A[] = [new A(), new B()]; for (const way of ways) console.log(way.more(5))`,
    "a value is of either type": `class A { n = 1; more(x: number) { return this.n + x } } class B { n = 2; more(x: number) { return this.n * x } }
        function run(way: A | B) { console.log(way.more(5)) }
        run(new A()); run(new B())`,
    "something that is not checked calls it": `class A { n = 1; more(x: number) { return this.n + x } }
        class B { n = 2; more(x: number) { return this.n * x } }
        ${use} { const way: any = i === 0 ? new A() : new B(); console.log(way.more(5)) }`,
    "it is asked for by a string": `class A { n = 1; more(x: number) { return this.n + x } }
        class B { n = 2; more(x: number) { return this.n * x } }
        const a: any = new A(); const b = new B(); console.log(a["mo" + "re"](1), a["more"](2), b.more(3), new A().more(4))`,
    "a function's answer is handed on": `interface Way { more(x: number): number }
        class A { n = 1; more(x: number) { return this.n + x } } class B { n = 2; more(x: number) { return this.n * x } }
        function run(make: () => Way) { console.log(make().more(6)) }
        run(() => new A()); run(() => new B()); const make: (() => Way)[] = [() => new A()]; console.log(make[0]().more(1))`,
    "a fiber is started with it": `import * as ds from "@devicescript/core"
        interface Way { more(x: number): number }
        class A { n = 1; more(x: number) { return this.n + x } } class B { n = 2; more(x: number) { return this.n * x } }
        class C { n = 5; more(x: number) { return this.n - x } }
        function run(way: Way, x: number) { console.log(way.more(x)) }
        run.start(new A(), 3); await ds.sleep(5); run.start(new B(), 4); await ds.sleep(5); console.log(new C().more(1))`,
    "one of two is chosen, by a condition or because the other is none": `class A { n = 1; more(x: number) { return this.n + x } }
        class B { n = 2; m = 3; more(x: number) { return this.n * x } } class C { n = 5; more(x: number) { return this.n - x } }
        ${use} { const way = i === 0 ? new A() : new B(); console.log(way.more(5)) }
        let none: B | undefined; ${use} { const way = none || new A(); console.log(way.more(6)); none = new B() } console.log(new C().more(1))`,
    "an array or an answer without a type has both": `class A { n = 1; more(x: number) { return this.n + x } }
        class B { n = 2; m = 3; more(x: number) { return this.n * x } } class C { n = 5; more(x: number) { return this.n - x } }
        const ways = [new A(), new B()]; for (const way of ways) console.log(way.more(5))
        function find(first: boolean) { if (first) return new A(); return new B() }
        console.log(find(true).more(3), find(false).more(3), new C().more(1))`,
    "only one of them has what the type leaves open": `interface Way { n: number; more?(x: number): number }
        class A { n = 1; more(x: number) { return this.n + x } } class B { n = 2 } class C { n = 3; more() { return 1 } }
        const ways: Way[] = [new A(), new B()]; for (const way of ways) console.log(way.more ? way.more(5) : "none")
        console.log(new C().more())`,
}

for (const [what, text] of Object.entries(together))
    test(`one name stays one where ${what}`, async () => {
        await same(text)
    })

test("fields of an object that is made once become globals, in whatever way they are read and written", async () => {
    const { globals, before } = await same(`
        class Store { count = 0; constructor(readonly size: number, private name: string) {} full() { return this.count >= this.size }
            put(x: number) { this.count = this.count + x; return this.name + this.count } later() { const self = this; return () => self.count++ } }
        class Desk { last = ""; onPut: (text: string) => void = () => {}; constructor(private readonly store: Store) {}
            put(x: number) { this.last = this.store.put(x); this.onPut(this.last); return this.store.full() } }
        function start(size: number) { const store = new Store(size, "s"); const desk = new Desk(store); desk.onPut = t => console.log("put", t)
            ${use} console.log(desk.put(i + 1)); console.log(desk.last, store.count, store.size)
            const f = store.later(); f(); f(); console.log(store.count); store.count += 5; console.log(desk.put(0)) }
        start(4)`)
    expect(globals - before.globals).toBe(6)
})

const several: Record<string, string> = {
    "two are made": `class A { n = 0; more() { this.n++; return this.n } }
        const a = new A(); const b = new A(); a.more(); console.log(a.more(), b.more())`,
    "a loop makes them": `class A { n = 0; more() { this.n++; return this.n } }
        const all: A[] = []; ${use} all.push(new A()); all[0].more(); for (const a of all) console.log(a.more())`,
    "a function that makes one is called twice": `class A { n = 0; more() { this.n++; return this.n } }
        function make() { return new A() } const a = make(); const b = make(); a.more(); console.log(a.more(), b.more())`,
    "an object that is made twice makes one": `class A { n = 0; more() { this.n++; return this.n } } class B { a = new A() }
        ${use} { const b = new B(); b.a.more(); console.log(b.a.more()) }`,
    "a closure makes one": `class A { n = 0; more() { this.n++; return this.n } }
        const make = () => new A(); const a = make(); const b = make(); a.more(); console.log(a.more(), b.more())`,
    "another class extends it": `class A { n = 0; more() { this.n++; return this.n } } class B extends A { m = 3 }
        const a = new A(); const b = new B(); a.more(); console.log(a.more(), b.more(), b.m)`,
    "a literal is used as one": `class A { n = 0; constructor(readonly k: number) {} }
        const all: { n: number; k: number }[] = [new A(3), { n: 5, k: 6 }]; for (const a of all) { a.n++; console.log(a.n, a.k) }`,
}

for (const [what, text] of Object.entries(several))
    test(`fields stay with their objects where ${what}`, async () => {
        await same(text)
    })

test("names stand for variables too: in literals, in what is taken apart, as parameters of a constructor", async () => {
    await same(`
        class A { constructor(readonly store: number, size: number) { const both = { store, size }; console.log(both.store + store + size) } read() { return this.store } }
        class B { store = 4; read() { const { store } = this; return store } }
        function f(store: { store: number }) { const { store: other } = store; return other }
        console.log(new A(1, 2).read(), new B().read(), f({ store: 9 }), f(new A(5, 6)))`)
})

test("what a function does not look at is not handed over, and evaluated all the same where that may do something", async () => {
    await same(`
        class A { n = 1; none(x: any) { return 7 } passes(x: any) { return this.none(x) + 1 } }
        function loud(x: number) { console.log("loud", x); return x }
        function unused(a: number, b: number) { return b } function around(a: number, b: number): number { return b > 0 ? around(a, b - 1) : unused(a, 3) }
        const a = new A(); console.log(a.passes(loud(1)), a.none(loud(2)), unused(loud(3), loud(4)), around(loud(5), 2))
        let o: any = undefined; try { console.log(unused(o.x, 1)) } catch (e) { console.log("threw") }`)
})
