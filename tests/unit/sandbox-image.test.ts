import { beforeAll, describe, expect, test } from "vitest"
import { Code, PlombError } from "../../firmware/core/errors"
import { checkImage } from "../../firmware/sandbox/image"
import { builtinCount, builtinName } from "../../firmware/sandbox/names"
import { Sandbox } from "../../firmware/sandbox/sandbox"
import { compile } from "../../tools/vm/compile.ts"

/** The typed error that `action` throws; any other passes. */
function plombError(action: () => unknown): PlombError {
    try {
        action()
    } catch (error) {
        if (error instanceof PlombError) return error
        throw error
    }
    throw new Error("nothing was thrown")
}

/** Positions in the header of start and length: functions 32, code 40, floats 48, strings' octets 88. */
let image: Buffer
let codeAt: number

beforeAll(async () => {
    const source = "let a = 1\nfunction f(x: number) { return x > a ? 1.5 : a }\nconsole.log(f(2), f(0))\n"
    image = Buffer.from((await compile("gen/x.ts", { files: { "gen/x.ts": source } })).bytecode)
    codeAt = image.readUInt32LE(40)
})

/** The image with octets put in at a place. */
function changed(at: number, ...octets: number[]): Buffer {
    const copy = Buffer.from(image)
    copy.set(octets, at)
    return copy
}

describe("check of an image", () => {
    test("a function may end with a call that never returns", async () => {
        const source = `
            class No extends Error { constructor(readonly why: number) { super("no " + why) } }
            function no(why: number): never { throw new No(why) }
            function find(list: number[], wanted: number): number {
                for (let i = 0; i < list.length; ++i) { if (list[i] === wanted) return i; if (list[i] < 0) no(i) }
                return no(wanted)
            }
            const list = [3, 4, 5]
            list[find(list, 4)] = 6
            try { console.log("" + find(list, 6) + find(list, 4)) } catch (e: any) { console.log(e.message) }
        `
        const made = Buffer.from((await compile("gen/no.ts", { files: { "gen/no.ts": source } })).bytecode)
        const said: string[] = []
        const host = { calls: [], call: () => undefined, log: (line: string) => void said.push(line) }
        new Sandbox(made, host, { work: 10_000, memory: 4096 }, checkImage(made)).start()
        expect(said).toEqual(["no 4"])
    })

    test("an image of the compiler is taken", () => {
        expect(checkImage(image).length).toBeGreaterThan(codeAt >> 3)
    })

    test("another magic, no image at all, or one cut short is refused", () => {
        expect(plombError(() => checkImage(changed(0, 0))).code).toBe(Code.ModuleImage)
        expect(plombError(() => checkImage(Buffer.alloc(0))).code).toBe(Code.ModuleImage)
        for (const length of [111, 112, codeAt, image.readUInt32LE(104) + image.readUInt32LE(108) - 1])
            expect(plombError(() => checkImage(image.subarray(0, length))).code).toBe(Code.ModuleImage)
    })

    test("another version than 2.16 is refused, whatever the patch is taken", () => {
        expect(plombError(() => checkImage(changed(10, 17))).code).toBe(Code.ModuleUnsupported)
        expect(plombError(() => checkImage(changed(11, 3))).code).toBe(Code.ModuleUnsupported)
        expect(checkImage(changed(8, 9)).length).toBeGreaterThan(0)
    })

    test("specifications of services are refused", () => {
        expect(plombError(() => checkImage(changed(14, 1))).code).toBe(Code.ModuleUnsupported)
    })

    test("an opcode that modules do not have is named with its place", () => {
        for (const opcode of [34, 42, 45, 77, 87, 94, 95, 127]) {
            const error = plombError(() => checkImage(changed(codeAt, opcode)))
            expect([error.code, error.at, error.came]).toEqual([Code.ModuleUnsupported, codeAt, `${opcode}`])
        }
    })

    test("operands that are missing or left over are refused", () => {
        // return with nothing on the stack; a constant that nobody takes before a statement without operands
        expect(plombError(() => checkImage(changed(codeAt, 12))).code).toBe(Code.ModuleCode)
        expect(plombError(() => checkImage(changed(codeAt, 0x90, 31))).code).toBe(Code.ModuleCode)
    })

    test("indices of variables, functions and strings that do not exist are refused", () => {
        for (const opcode of [21, 22, 39, 41, 37, 38, 35, 36, 75, 27]) {
            const error = plombError(() => checkImage(changed(codeAt, opcode, 240)))
            expect([opcode, error.code]).toEqual([opcode, Code.ModuleCode])
        }
    })

    test("jumps out of the function, or into the middle of a statement, are refused", () => {
        expect(plombError(() => checkImage(changed(codeAt, 13, 247))).code).toBe(Code.ModuleCode)
        expect(plombError(() => checkImage(changed(codeAt, 13, 0xfc, 9))).code).toBe(Code.ModuleCode)
        expect(plombError(() => checkImage(changed(codeAt, 13, 1))).code).toBe(Code.ModuleCode)
    })

    test("functions that overlap, reach outside of the code or have more arguments than variables are refused", () => {
        expect(plombError(() => checkImage(changed(112, 1))).code).toBe(Code.ModuleImage)
        expect(plombError(() => checkImage(changed(116, 0xff, 0xff))).code).toBe(Code.ModuleImage)
        expect(plombError(() => checkImage(changed(122, 200))).code).toBe(Code.ModuleImage)
        expect(plombError(() => checkImage(changed(123, 8))).code).toBe(Code.ModuleImage)
    })

    test("each octet of the image at each of a few values gives an answer or a typed error", () => {
        for (let at = 0; at < image.length; ++at)
            for (const value of [0, 1, 12, 0x7f, 0x80, 0xf8, 0xff]) {
                const run = () => {
                    const host = { calls: [], call: () => undefined, log: () => {} }
                    const image = changed(at, value)
                    new Sandbox(image, host, { work: 2000, memory: 4096 }, checkImage(image)).start()
                }
                try {
                    run()
                } catch {
                    expect(plombError(run).code).toBeGreaterThan(2000)
                }
            }
    })
})

test("builtin strings are those of the runtime, in order", () => {
    const known = { 0: "", 1: "-Infinity", 53: "push", 118: "message", 152: "utf-8", 178: "error", 225: "byCode" }
    for (const [index, name] of Object.entries(known)) expect(builtinName(Number(index))).toBe(name)
    const all = Array.from({ length: builtinCount }, (_, i) => builtinName(i))
    expect(new Set(all).size).toBe(builtinCount)
    expect(all.every((name, i) => i === 0 || /^[-\w]+$/.test(name))).toBe(true)
})
