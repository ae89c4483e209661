import { resolve } from "node:path"
import { describe, expect, test } from "vitest"
import { compileEverything, valueExports } from "../../tools/lint/compile-all"
import { deviceProgram } from "../../tools/lint/program"
import { checkSemantics } from "../../tools/lint/semantics"

const root = resolve(__dirname, "../..")

/** What differs in the VM, and how the lint says so. */
const bad: [string, string, RegExp][] = [
    ["order of strings", 'export const f = (a: string) => a < "b"', /^1:33 strings have no order/],
    ["order with one string", "export const f = (a: string, b: any) => b >= a", /strings have no order/],
    ["% of a quotient", "export const f = (a: number) => (a / 3) % 2", /% takes both sides to int32.*a \/ 3/],
    ["% of a fraction", "export const f = (a: number) => a % 2.5", /% takes both sides/],
    ["% of a constant above int32", "const big = 5000000000\nexport const f = (a: number) => a % big", /"big"/],
    ["% of an unsigned word", "export const f = (a: number) => (a >>> 0) % 10", /% takes both sides/],
    ["% of a u32 in a buffer", 'export const f = (b: Buffer) => b.getAt(0, "u32") % 10', /% takes both sides/],
    ["%= of a quotient", "export function f(a: number) { a %= a / 2; return a }", /% takes both sides/],
    ["Buffer.slice", "export const f = (b: Buffer) => b.slice(1)", /Buffer\.slice is not the same/],
    ["Buffer.concat", "export const f = (b: Buffer) => Buffer.concat(b, b)", /Buffer\.concat is not the same/],
    ["Buffer.set", "export const f = (b: Buffer) => b.set(b, 1)", /Buffer\.set is not the same/],
    ["Buffer.toString without encoding", "export const f = (b: Buffer) => b.toString()", /takes the literal/],
    [
        "toString of a number",
        "export const f = (n: number) => (n as any as number).toString()",
        /numbers have no toString/,
    ],
    ["splice", "export const f = (a: number[]) => (a as any[]).splice(1)", /arrays have no splice/],
    ["substring", "export const f = (s: string) => s.substring(1)", /strings have no substring/],
    [
        "Array.from",
        "export const f = () => (Array as any).from([1])\nexport const g = () => Array.from([1])",
        /^2:.*Array\.from/,
    ],
    ["Math.trunc", "export const f = (n: number) => Math.trunc(n)", /Math\.trunc does not exist/],
    ["Math.max of three", "export const f = (n: number) => Math.max(n, 1, 2)", /Math\.max looks at exactly two/],
    ["getAt at a negative offset", 'export const f = (b: Buffer) => b.getAt(-1, "u8")', /outside the buffer/],
    ["setAt at a negative offset", 'export const f = (b: Buffer) => b.setAt(-4, "u32", 0)', /outside the buffer/],
    ["a format that is no literal", "export const f = (b: Buffer, t: any) => b.getAt(0, t)", /format of getAt/],
    ["sort of strings", "export const f = (a: string[]) => a.sort()", /sort without a comparison/],
    ["writing length", "export const f = (a: number[]) => { a.length = 0 }", /writing length/],
    ["two optional links", "interface T { n: T }\nexport const f = (t: T) => t?.n?.n", /^2:28 a second \?\./],
    [
        "for..in over an array",
        "export function f(a: number[]) { for (const i in a) a.push(1) }",
        /for\.\.in over an array/,
    ],
    ["enum from a constant", "const k = 1\nexport enum E { A = k }", /enum member made from the constant "k"/],
    ["enum backwards", "enum E { A }\nexport const f = (n: number) => E[n]", /no way back/],
    ["JSON.stringify", "export const f = (x: any) => JSON.stringify(x)", /JSON\.stringify mangles/],
    [
        "parseInt with a radix",
        "export const f = (s: string) => (parseInt as any)(s, 16)\nexport const g = (s: string) => parseInt(s, 16)",
        /^2:.*no radix/,
    ],
]

/** What the core writes every day. */
const good = [
    "export function f(b: Buffer, n: number, a: number[]): string {",
    "    const c = Buffer.alloc(4)",
    '    c.setAt(0, "u32", n)',
    "    c.blitAt(0, b, 0, Math.min(b.length, 4))",
    "    for (const each of a) n += (((each / 2) | 0) % 10) + ((each >>> 1) % 3) + ((n & 0xff) % 7)",
    '    return c.toString("hex") + n + (b[0] < 3 ? "x" : "y")',
    "}",
].join("\n")

describe("lint of what runs differently in the VM", () => {
    const snippets = [...bad.map(([, text]) => text), good]
    const files = snippets.map((_, i) => `firmware/core/snippet${i}.ts`)
    const found = checkSemantics(
        deviceProgram(root, files, Object.fromEntries(files.map((file, i) => [file, snippets[i]]))),
        root,
        files,
    )
    const complaints = (file: string) =>
        found.filter(each => each.file === file).map(each => `${each.line}:${each.column} ${each.message}`)

    test.each(bad.map(([name, , expected], i) => [name, files[i], expected] as const))(
        "%s",
        (_name, file, expected) => {
            expect(complaints(file)).toEqual([expect.stringMatching(expected)])
        },
    )

    test("what the core writes every day passes", () => {
        expect(complaints(files[files.length - 1])).toEqual([])
    })
})

describe("lint by the stock compiler", () => {
    const compileSnippet = (text: string) =>
        compileEverything(root, ["firmware/core/snippet.ts"], { "firmware/core/snippet.ts": text })

    test("finds what it refuses in a function that nothing uses, with its place", async () => {
        const found = await compileSnippet(
            "export function f(n: number): void {\n    do {\n        n--\n    } while (n > 0)\n}\n",
        )
        expect(found).toEqual([expect.objectContaining({ file: "firmware/core/snippet.ts", line: 2, column: 5 })])
    })

    test("finds what it refuses only while it generates code, in a method of a class that nothing uses", async () => {
        const found = await compileSnippet(
            "export class A {\n    n = 1\n    f(): () => number {\n        return () => this.n\n    }\n}\n",
        )
        expect(found).toEqual([expect.objectContaining({ line: 4, message: expect.stringMatching(/this/) })])
    })

    test("finds it in an arrow function that nothing uses", async () => {
        const found = await compileSnippet("export const f = (s: string): boolean => /x/.test(s)\n")
        expect(found.length).toBeGreaterThan(0)
    })

    test("finds errors of type", async () => {
        const found = await compileSnippet("export const f = (n: number): string => n\n")
        expect(found).toEqual([expect.objectContaining({ line: 1, message: expect.stringMatching(/not assignable/) })])
    })

    test("has nothing to say of code that is well", async () => {
        expect(await compileSnippet("export function f(n: number): number {\n    return n + 1\n}\n")).toEqual([])
    })

    test("takes the exports of a module that exist at run time", () => {
        const text =
            "export interface I {}\nexport type T = I\nexport const a = 1\nexport function f() {}\nexport class C {}\nfunction g() {}\nexport enum E { A }"
        expect(valueExports(text)).toEqual(["a", "f", "C"])
    })
})
