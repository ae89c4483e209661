/** Numbers that look random and are the same for the same seed. */
function dice(seed: number): (sides: number) => number {
    let state = seed * 2654435761 + 12345
    return sides => {
        state = (Math.imul(state ^ (state >>> 15), 2246822519) + 0x9e3779b9) | 0
        return ((state ^ (state >>> 13)) >>> 0) % sides
    }
}

/** What is in scope where a piece of the program is made. */
interface Scope {
    /** Variables that may be assigned. */
    names: string[]
    loop: boolean
    depth: number
}

/** Makes functions out of everything the firmware's code is made of, nested at random; the same for the same seed. */
class Maker {
    private readonly roll: (sides: number) => number
    private loops = 0
    /** Functions that are called from one place only. */
    readonly helpers: string[] = []

    constructor(seed: number) {
        this.roll = dice(seed)
    }

    private pick(...options: (() => string)[]): string {
        return options[this.roll(options.length)]()
    }

    private name(scope: Scope): string {
        return scope.names[this.roll(scope.names.length)]
    }

    private constant(): string {
        const all = [
            "0",
            "1",
            "2",
            "-1",
            "7",
            "300",
            "70000",
            "-40000",
            "1.5",
            "true",
            "false",
            "undefined",
            "null",
            '""',
            '"x"',
        ]
        return all[this.roll(all.length)]
    }

    condition(scope: Scope, depth: number): string {
        const deeper = () => this.condition(scope, depth - 1)
        if (depth <= 0)
            return this.pick(
                () => this.name(scope),
                () => `${this.value(scope, 0)} === ${this.value(scope, 0)}`,
                () => `${this.value(scope, 0)} < 3`,
                () => `see(${this.name(scope)})`,
                () => `${this.name(scope)} !== undefined`,
                () => `(${this.name(scope)} & 3) ${["===", "!=="][this.roll(2)]} 0`,
            )
        return this.pick(
            () => `(${deeper()} && ${deeper()})`,
            () => `(${deeper()} || ${deeper()})`,
            () => `!(${deeper()})`,
            () => `(${deeper()} ? ${deeper()} : ${deeper()})`,
            deeper,
        )
    }

    value(scope: Scope, depth: number): string {
        const deeper = () => this.value(scope, depth - 1)
        if (depth <= 0)
            return this.pick(
                () => this.name(scope),
                () => this.constant(),
                () => "total",
                () =>
                    ["(4 | 1 << 9)", "(2 * 392 + 1)", "(65536 * 65536)", "(0 * -5)", "-200", "(7 - 300)"][this.roll(6)],
            )
        return this.pick(
            () => `(${deeper()} ${["+", "-", "*", "|", "&", ">>>", "<<"][this.roll(7)]} ${deeper()})`,
            () => `see(${deeper()})`,
            () => `pair(${deeper()}, ${deeper()})`,
            () => `(${this.condition(scope, 1)} ? ${deeper()} : ${deeper()})`,
            () => `(${deeper()} || ${deeper()})`,
            () => `(${deeper()} && ${deeper()})`,
            () => `(${deeper()} ?? ${deeper()})`,
            () => `box(${deeper()}).held`,
            () => `box(${deeper()})?.plus(${deeper()})`,
            () => `maybe(${deeper()})?.held`,
            () => `[${deeper()}, ${deeper()}][${this.roll(3)}]`,
            () => `hurt(${deeper()})`,
            () => `sum()`,
            () => `${this.helper()}(${deeper()}, ${deeper()})`,
            () => `box(${deeper()}).${this.helper("own")}(${deeper()})`,
            () => `crate(${deeper()}).${this.helper("own")}(${deeper()})`,
            () => `tin(${deeper()}, ${deeper()}).${this.helper("tin")}(${deeper()}, ${deeper()})`,
            () => `(${this.condition(scope, 0)} ? box(${deeper()}) : crate(${deeper()})).plus(${deeper()})`,
            () => `crate(${deeper()}).${["twice", "only", "open", "late"][this.roll(4)]}(${deeper()})`,
            () => `shape(${deeper()}).area(${deeper()})`,
            () => `maybe(${deeper()})?.twice(${deeper()})`,
            () => `apply(box(${deeper()}).asValue, ${deeper()})`,
            () => `tin(${deeper()}, ${deeper()})[named("loose")](${deeper()})`,
            () => `new Lid(${deeper()}).close(${deeper()})`,
            deeper,
        )
    }

    private block(scope: Scope): string {
        const inner = { ...scope, depth: scope.depth - 1 }
        const fresh = `v${this.loops++}`
        const statements = [`let ${fresh}: any = ${this.value(inner, 1)}`]
        const own = { ...inner, names: [...inner.names, fresh] }
        for (let i = this.roll(3); i >= 0; i--) statements.push(this.statement(own))
        return `{\n${statements.join("\n")}\n}`
    }

    statement(scope: Scope): string {
        const assign = () => `${this.name(scope)} = ${this.value(scope, 2)}`
        if (scope.depth <= 0) return assign()
        const counter = `i${this.loops++}`
        const body = () => this.block({ ...scope, loop: true })
        return this.pick(
            assign,
            assign,
            () => `total = total + ${this.constant()}; ${assign()}`,
            () => `if (${this.condition(scope, 2)}) ${this.block(scope)}`,
            () => `if (${this.condition(scope, 1)}) ${this.block(scope)} else ${this.block(scope)}`,
            () => `for (let ${counter} = 0; ${counter} < ${this.roll(4)}; ++${counter}) ${body()}`,
            () => `let ${counter} = 0\nwhile (${counter}++ < 3 && ${this.condition(scope, 1)}) ${body()}`,
            () => `try ${this.block(scope)} catch (e: any) { say("caught " + e.message); ${assign()} }`,
            () => `try ${this.block(scope)} finally { say("finally"); ${assign()} }`,
            () =>
                `switch (${this.name(scope)}) {\ncase 1: ${this.block(scope)}\ncase "x": ${this.block(scope)}\nbreak\ndefault: ${assign()}\n}`,
            () => (scope.loop ? `if (${this.condition(scope, 1)}) ${["break", "continue"][this.roll(2)]}` : assign()),
            () => `if (${this.condition(scope, 1)}) return ${this.value(scope, 1)}`,
            () => `try { return see(${this.value(scope, 1)}) } catch (e: any) { ${assign()} }`,
            () => `try { if (${this.condition(scope, 0)}) return see(${this.name(scope)}) } finally { ${assign()} }`,
            () => `see(${this.value(scope, 2)})`,
        )
    }

    private helper(kind = "once"): string {
        if (this.helpers.length > 60) return kind === "own" ? "plus" : kind === "tin" ? "sum" : "pair"
        const name = `${kind}${this.helpers.length}`
        this.helpers.push("")
        const at = this.helpers.length - 1
        const scope = { names: ["a", "b", "c"], loop: false, depth: this.roll(3) }
        const body = [...Array(this.roll(3))].map(() => this.statement(scope)).join("\n")
        const held = kind === "once" ? "" : ["this.held", "total", "this.plus(a)"][this.roll(kind === "own" ? 3 : 2)]
        const begin = held && `c = ${held}\n`
        const text = `(a: any, b?: any): any {\nlet c: any\n${begin}${body}\nreturn ${this.value(scope, 1)}\n}`
        this.helpers[at] = kind === "once" ? `function ${name}${text}` : name + text
        return name
    }

    fun(name: string): string {
        const scope = { names: ["a", "b", "c", "d"], loop: false, depth: 3 }
        const statements = [...Array(3 + this.roll(4))].map(() => this.statement(scope))
        const closure = this.roll(3) === 0
        if (closure) {
            statements.unshift(`const bump = (n: any) => { c = ${this.value(scope, 1)}; return c }`)
            statements.splice(2, 0, "let kept: any = c", "d = bump(a)", "say(kept)", "c = kept", "bump(b)", "say(kept)")
        }
        return [
            `function ${name}(a: any, b?: any): any {`,
            "let c: any",
            "let d: any = 5",
            ...statements,
            "say(c)",
            "return d",
            "}",
        ].join("\n")
    }
}

// Types would only be in the way: it is the code that counts.
const prelude = `// @ts-nocheck
let total: any = 0
function say(what: any) { console.log(" " + (typeof what) + " " + (typeof what === "object" ? "-" : "" + what)) }
function see(what: any): any { say(what); return what }
function pair(x: any, y: any): any { return see(x) === see(y) ? x : y }
function hurt(x: any): any { if (x === 7 || x === 300) throw new RangeError("hurt " + x); return x }
class Box {
    held: any
    constructor(held: any) { this.held = held }
    plus(more: any): any { total = total + 1; return this.held === more ? this.held : more }
    twice(more: any): any { return this.plus(this.plus(more)) }
    asValue(more: any): any { return see(this.held) === more }
    open(more: any): any { total = total + 2; return more }
    late(more: any): any { if (more) return this.held; total = total + 3; return more }
    /* own */
}
class Crate extends Box {
    lid: any = 4
    constructor(held: any) { super(held); this.lid = this.held }
    override plus(more: any): any { total = total - 1; return this.lid || more }
    only(more: any): any { return this.twice(more) ?? this.open(more) }
}
class Tin {
    constructor(public held: any, readonly other?: any) { total = total + 1 }
    sum(a: any, b: any): any { return this.other === a ? b : this.held }
    loose(more: any): any { return more ?? this.other }
    area(more: any): any { return this.lidded(more) }
    lidded(more: any): any { return this.held && more }
    /* tin */
}
class Lid {
    parts: any[] = []
    constructor(first: any) { this.parts.push(first) }
    close(more: any): any { this.add(more); for (const part of this.parts) see(part); return this.parts.length }
    add(more: any): void { if (more !== undefined) this.parts.push(more) }
}
function tin(held: any, other: any): any { return new Tin(held, other) }
function crate(held: any): any { return new Crate(held) }
function shape(x: any): any { return x ? new Tin(x) : { held: x, area: (more: any) => see(more) } }
function apply(f: any, x: any): any { return f(x) }
function named(x: any): any { return x }
function box(held: any): any { return new Box(held) }
function maybe(held: any): any { return held ? new Box(held) : undefined }
function sum() { return total }
function attempt(f: any, a: any, b: any) {
    total = 0
    try { say(f(a, b)) } catch (e: any) { console.log("! " + e.message) }
    say(total)
}
`

/** A program of `count` random functions, each called with some arguments; it logs all it does, and then "end". */
export function randomProgram(seed: number, count: number): string {
    const maker = new Maker(seed)
    const names = [...Array(count)].map((_, i) => `f${i}`)
    const calls = names.flatMap(name => [
        `console.log("${name}"); attempt(${name}, 1, "x"); attempt(${name}, 0, undefined); attempt(${name}, 7, true)`,
    ])
    const functions = names.map(name => maker.fun(name))
    const methods = (kind: string) => maker.helpers.filter(text => text.startsWith(kind)).join("\n")
    const classes = prelude.replace("/* own */", () => methods("own")).replace("/* tin */", () => methods("tin"))
    return [
        classes,
        ...maker.helpers.filter(text => text.startsWith("function")),
        ...functions,
        ...calls,
        'console.log("end")',
    ].join("\n")
}
