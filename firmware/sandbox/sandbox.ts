import { Code, fail, PlombError } from "../core/errors"
import { cut } from "../core/octets"
import { platform } from "../core/platform"
import { opcodes } from "./image"
import { builtinName, natives } from "./names"
import { hostCode, plain, runNative } from "./natives"
import { Builtin, closureOf, Fn, Inner, Leap, Native, Obj, Token, wrong } from "./values"

/** What a module can reach beside its own values. */
export interface SandboxHost {
    /**
     * The calls of `ds.host`, in the order of their numbers: name, colon, kinds of the arguments (at most three): `n` a number that is
     * finite, `s` a string, `b` a buffer, `o` an array, object or null as it is, `f` a function of the module, which is kept under the call's name as an entry and
     * not handed on. Example: `["onTick:f", "register:n", "setRegister:nn"]`.
     */
    readonly calls: string[]
    /**
     * A call, by its number. Answers a number, string, boolean, `undefined`, or a Buffer made for the module; what else comes is
     * `undefined` to the module. An error thrown here ends the call of the module's entry and comes out of `Sandbox.call`.
     */
    call(index: number, a: any, b: any, c: any): any
    /** A line the module prints with `console.log`. */
    log(line: string): void
}

/** What a module may use up. */
export interface SandboxLimits {
    /** Octets of code carried out in one call; each takes about 25 steps of the machine. */
    work: number
    /** Octets of heap that its values may hold. What it makes and drops may take as much again before it is looked through. */
    memory: number
}

/** Octets of code between two yields. */
const slice = 400
const depthLimit = 40
/** What a string may hold; also bounds what the machine does in one step of the interpreter. */
const stringLimit = 1000
/** By number of a builtin object up to 8: its bit in the table of natives. */
const groups = hex`08 10 00 40 01 40 02 40 04`

/**
 * Runs a DeviceScript 2.16 image inside the program: an interpreter of its bytecode with budgets for work and memory, in which `ds.host` is
 * the only way out. Yields while it works; one call at a time. After an error it may be called again, but the module's own
 * state is what the error left.
 */
export class Sandbox {
    /** Operands; the arguments of a call lie from 1. */
    stack: any[]
    private blank: any[] = []
    private globals: any[]
    /** By depth of calls: the frame in use, its function, where its caller goes on. */
    private frames: any[] = []
    private fns: any[] = []
    private returns: number[] = []
    /** Handlers of `try`: place * 64 + depth. */
    private handlers: number[] = []
    /** Made when first used, by number: functions, ASCII strings, other strings (`text`), buffers, builtin objects. */
    private statics: any[] = []
    private strings: any[] = []
    private texts: any[] = []
    private literals: any[] = []
    private builtins: any[] = []
    /** Pairs of the place of a class's function and its prototype, or the negative place and its static fields. */
    private attached: any[] = []
    /** By number of the host's call: the module's entries. By number of an ASCII string: code of the call of this name. */
    private entries: any[] = []
    private hostCodes: number[] = []
    private token = new Token()
    /** For the call whose arguments come next: code of a native or -1, and the object it is called on. */
    private native = -1
    private self: any
    /** Code of the native that `find` met, or -1. */
    private met = -1
    private budget = 0
    private left: number
    private walks = 0
    private busy = false

    /** `called`: what `checkImage` answered of the image, which must stay as it was then. Only one that was checked may run. */
    constructor(
        readonly image: Buffer,
        readonly host: SandboxHost,
        readonly limits: SandboxLimits,
        private readonly called: Buffer,
    ) {
        this.left = limits.memory
        // The runtime fills an array up to what is written.
        this.blank[Math.max(16, image.getAt(12, "u16"))] = undefined
        this.globals = this.blank.slice(0, image.getAt(12, "u16"))
        this.stack = this.blank.slice(0, 17)
    }

    /** Runs the module's own start, which registers its entries. Throws what `call` does. */
    start(): void {
        this.enter(this.staticFn(0))
    }

    /**
     * Calls an entry with up to three arguments (numbers, strings, booleans, buffers) and answers a value of these kinds, else `undefined`.
     * Throws `ModuleEntry`; `ModuleSteps`, `ModuleMemory`, `ModuleDepth`, `ModuleName`, `ModuleThrew`, `ModuleCode`, `ModuleUnsupported`
     * or `OutOfRange` when the module does what it must not; `Busy` while another call is under way; and each PlombError of the host.
     */
    call(entry: string, a?: any, b?: any, c?: any): any {
        const fn = this.entries[this.hostCall(entry) - hostCode]
        if (fn === undefined) fail(Code.ModuleEntry, -1, "entry " + entry, "none")
        return plain(this.enter(fn, a, b, c))
    }

    private enter(fn: Fn, a?: any, b?: any, c?: any): any {
        if (this.busy) fail(Code.Busy, -1, "one call at a time", "another")
        this.busy = true
        this.stack[1] = a
        this.stack[2] = b
        this.stack[3] = c
        const before = this.left
        this.budget = this.limits.work
        try {
            const value = this.run(fn)
            // After a call that made something, what is still held counts.
            if (this.left < before - 2000) this.left = this.free()
            this.busy = false
            return value
        } catch (e: any) {
            // What was under way holds nothing any more.
            this.frames = []
            this.fns = []
            this.stack = this.blank.slice(0, 17)
            this.busy = false
            throw e
        }
    }

    /** Work beside the code's own, in octets of code; yields. Throws `ModuleSteps`. */
    spend(octets: number): void {
        this.budget -= octets
        if (this.budget < 0) fail(Code.ModuleSteps, -1, "at most " + this.limits.work, "more")
        platform().yieldNow()
    }

    /** Heap about to be taken. Throws `ModuleMemory`. */
    take(octets: number): void {
        this.left -= octets
        // Also what is no number.
        if (!(this.left >= 0)) {
            this.left = 0
            this.left = this.free() - octets
            if (!(this.left >= 0)) fail(Code.ModuleMemory, -1, "at most " + this.limits.memory, "more")
        }
    }

    /** Octets of the memory that are free when all that the module's values hold is counted. Throws `ModuleMemory`. */
    free(): number {
        this.walks += 1
        let left = this.limits.memory
        const todo: any[] = [
            [this.globals, this.stack, this.attached, this.entries, this.builtins, this.frames, this.fns],
            [this.strings, this.texts, this.literals],
        ]
        let count = 2
        let seen = 0
        while (count > 0) {
            count -= 1
            let values: any = todo[count]
            todo[count] = undefined
            left -= 16
            if (!(values instanceof Array)) {
                left -= 84
                if (values instanceof Native) values = [values.self]
                else if (values.walk === this.walks) continue
                else {
                    values.walk = this.walks
                    if (values instanceof Obj) {
                        todo[count] = values.proto
                        if (values.proto) count += 1
                        values = Object.values(values.own)
                        left -= values.length * 20
                    } else values = [values.frame, values.outer, values.self]
                }
            }
            for (let i = 0; i < values.length; ++i) {
                const value = values[i]
                const kind = typeof value
                left -= 10
                if (kind === "string") left -= 10 + 2 * value.length
                else if (value instanceof Buffer) left -= 12 + value.length
                else if (
                    value instanceof Array ||
                    value instanceof Obj ||
                    value instanceof Fn ||
                    value instanceof Native
                ) {
                    todo[count] = value
                    count += 1
                }
            }
            seen += values.length + 8
            if (seen > 500) {
                seen = 0
                platform().yieldNow()
            }
            if (left < 0) fail(Code.ModuleMemory, -1, "at most " + this.limits.memory, "more")
        }
        return left
    }

    /** An object of the module's. */
    object(proto: Obj): Obj {
        this.take(100)
        return new Obj({}, proto)
    }

    /** A builtin object; the prototypes of errors derive from that of Error, all others from that of Object. */
    builtin(id: number): Builtin {
        let found = this.builtins[id]
        if (found === undefined) {
            found = new Builtin(id, id === 2 ? undefined : this.builtin(id > 28 && id < 33 ? 28 : 2))
            this.builtins[id] = found
            // Error 114, TypeError 115, RangeError 116
            if (id > 27 && id < 33) found.own.name = this.text(100 + (id >> 1))
        }
        return found
    }

    private staticFn(index: number): Fn {
        let found = this.statics[index]
        if (found === undefined) {
            found = new Fn(112 + index * 16)
            this.statics[index] = found
        }
        return found
    }

    /** The prototype of a class (its function's place), or what holds its static fields (the negative place). */
    private attachment(key: number): Obj {
        for (let i = 0; i < this.attached.length; i += 2) if (this.attached[i] === key) return this.attached[i + 1]
        if (key > 0 && (this.image[key + 11] & 2) === 0) wrong(false)
        const made = this.object(this.builtin(key > 0 ? 2 : 16))
        this.attached.push(key)
        this.attached.push(made)
        return made
    }

    /** The ASCII string `index` of the image, which may not be a name that leads out of an object. */
    private ascii(index: number): string {
        let found = this.strings[index]
        if (found === undefined) {
            const image = this.image
            const at = image.getAt(88, "u32") + image.getAt(image.getAt(64, "u32") + index * 2, "u16")
            let length = 0
            while (length < 200 && image[at + length] !== 0) length += 1
            found = this.nameOf(this.textOf(cut(image, at, length).toString("utf8")))
            this.strings[index] = found
        }
        return found
    }

    /** Another string: a builtin one by its number, or 256 + the number of one in UTF-8. */
    text(number: number): string {
        const texts = this.texts
        for (let i = 0; i < texts.length; i += 2) if (texts[i] === number) return texts[i + 1]
        let found = ""
        if (number < 256) found = builtinName(number)
        else {
            const image = this.image
            const at = image.getAt(88, "u32") + image.getAt(image.getAt(72, "u32") + (number - 256) * 4, "u32")
            const table = (image.getAt(at + 2, "u16") >> 4) * 2
            found = cut(image, at + 4 + table, image.getAt(at, "u16")).toString("utf8")
        }
        texts.push(number)
        texts.push(this.textOf(found))
        return found
    }

    /** A buffer of the image: the same object each time, which the module may not write to. */
    private literal(index: number): Buffer {
        let found = this.literals[index]
        if (found === undefined) {
            const image = this.image
            const at = image.getAt(80, "u32") + index * 8
            const length = image.getAt(at + 4, "u32")
            this.take(12 + length)
            found = cut(image, image.getAt(88, "u32") + image.getAt(at, "u32"), length)
            this.literals[index] = found
        }
        return found
    }

    /** Refuses what is no buffer, and the buffers of the image. */
    writable(buffer: any): void {
        if (!(buffer instanceof Buffer)) wrong(false)
        for (let i = 0; i < this.literals.length; ++i) if (this.literals[i] === buffer) wrong(false)
    }

    /** A string that was just made: counts it. What is no string, it makes one. */
    textOf(value: any): string {
        const text: any = typeof value === "string" ? value : value instanceof Inner ? "[object]" : `${value}`
        if (text.length > stringLimit) fail(Code.ModuleMemory, -1, "strings up to 1000", "" + text.length)
        this.take(10 + 2 * text.length)
        return text
    }

    /** A buffer of `length` octets for the module. */
    buffer(length: any): Buffer {
        if (!(length >= 0)) wrong(true)
        this.take(12 + length)
        return Buffer.alloc(length | 0)
    }

    /** Number of the builtin prototype of a value, -1 of an object, -2 of undefined and null. */
    private kindOf(value: any): number {
        if (value instanceof Inner) return value instanceof Builtin ? value.id : value instanceof Obj ? -1 : 16
        if (value instanceof Array) return 4
        if (value instanceof Buffer) return 6
        const kind = typeof value
        return kind === "string" ? 8 : kind === "number" ? 10 : kind === "boolean" ? 18 : -2
    }

    private nameOf(name: any): string {
        const key = typeof name === "string" ? name : this.textOf(name)
        if (key === "constructor" || key === "__proto__") fail(Code.ModuleName, -1, "another name", key)
        return key
    }

    /**
     * The field of a value of kind `id` called `name`, or like the builtin string `index` when that is not -1. `at` is the place of the
     * opcode: where it is to be called, the object (and the code of a native) is left for the call, else it is bound to the function.
     */
    private field(value: any, id: number, name: any, index: number, at: number): any {
        const called = (this.called[at >> 3] & (1 << (at & 7))) !== 0
        const found = this.find(value, id, name, index)
        const code = this.met
        if (code < 0) if (!(found instanceof Fn) || (this.image[found.at + 11] & 1) === 0) return found
        if (called) {
            this.native = code
            this.self = value
            return found
        }
        this.take(100)
        return code < 0 ? closureOf(found.at, found.frame, found.outer, value) : new Native(code, value)
    }

    /** What stands in a field of a value of kind `id`; sets `met` instead when that is a native. */
    private find(value: any, id: number, name: any, index: number): any {
        this.met = -1
        if (index >= 0 && (id === 21 || id < 9))
            if ((natives[index] & (id === 21 ? 32 : groups[id])) !== 0 && id >= 0) {
                this.met = id * 256 + index
                return undefined
            }
        const key = this.nameOf(index >= 0 ? this.text(index) : name)
        if (id < -1) wrong(false)
        let from = id < 0 ? value : this.builtins[id]
        if (id === 16) {
            if (value instanceof Token) {
                this.met = this.hostCall(key)
                return undefined
            }
            if (value instanceof Fn) {
                if (index === 52) return this.attachment(value.at)
                from = this.attachment(-value.at)
            }
        }
        if (index === 52 && value instanceof Builtin) return this.builtin(id + 1)
        if (id === 4 || id === 6 || id === 8) {
            if (key === "length") return value.length
            if (index === 183) return Buffer.from(value).length
        }
        if (key === "host" && id === 21) return this.token
        if (from === undefined) from = this.builtins[2]
        for (let i = 0; i < 9; ++i) {
            if (from === undefined) return undefined
            const found = from.own[key]
            // In Node an object has functions of the machine.
            if (found !== undefined && typeof found !== "function") return found
            from = from.proto
        }
        return fail(Code.ModuleUnsupported, -1, "at most 8 prototypes", "more")
    }

    /** Code of a call of the host, -1 when there is none of this name. */
    private hostCall(name: string): number {
        for (let i = 0; i < this.host.calls.length; ++i) {
            const call = this.host.calls[i]
            if (call.indexOf(name + ":") === 0) return hostCode + i
        }
        return -1
    }

    /** `value[name] = item`, also what makes an array longer. */
    set(value: any, name: any, item: any): void {
        if (typeof name === "number" && !(value instanceof Inner)) {
            const index = name | 0
            if (value instanceof Array) {
                if (index < 0 || index > value.length + 32) wrong(true)
                if (index >= value.length) this.take(12 * (index + 1 - value.length))
                value[index] = item
                return
            }
            this.writable(value)
            if (index < 0 || index >= value.length) wrong(true)
            value[index] = item & 0xff
            return
        }
        const to = value instanceof Fn ? this.attachment(-value.at) : value
        if (!(to instanceof Obj)) wrong(false)
        const key = this.nameOf(name)
        if (to.own[key] === undefined) this.take(40)
        to.own[key] = item
    }

    private instanceOf(value: any, cls: any): boolean {
        const proto = this.find(cls, this.kindOf(cls), "", 52)
        if (!(proto instanceof Obj)) wrong(false)
        const id = this.kindOf(value)
        let from: any = value instanceof Obj ? value.proto : id < 0 ? undefined : this.builtin(id)
        for (let i = 0; i < 9 && from; ++i) {
            if (from === proto) return true
            from = from.proto
        }
        return false
    }

    /** The frame of a call with `count` arguments, which lie behind the first operand. */
    private frame(fn: Fn, count: number, self: any): any[] {
        const image = this.image
        const at = fn.at
        const slots = image.getAt(at + 8, "u16")
        const flags = image[at + 11]
        let formals = image[at + 10]
        let next = 0
        this.take(24 + 8 * slots)
        if (this.blank.length < slots) this.blank[slots] = undefined
        const frame = this.blank.slice(0, slots)
        if (flags !== 0) {
            if ((flags & 1) !== 0) {
                frame[0] = self === undefined ? fn.self : self
                if ((flags & 2) !== 0 && frame[0] === undefined) frame[0] = this.object(this.attachment(at))
                next = 1
            }
            if ((flags & 4) !== 0) {
                formals -= 1
                this.take(24 + 8 * count)
                frame[formals] = count > formals - next ? this.stack.slice(1 + formals - next, 1 + count) : []
            }
        }
        for (let i = 1; i <= count && next < formals; ++i) {
            frame[next] = this.stack[i]
            next += 1
        }
        return frame
    }

    /** A call of something that is no function of the image. */
    private invoke(callee: any, code: number, self: any, count: number): any {
        if (callee instanceof Native) return this.invoke(undefined, callee.code, callee.self, count)
        // A builtin class is the native of number 0 of what it is.
        if (callee instanceof Builtin) return runNative(this, callee.id << 8, self, count)
        if (code < 0) wrong(false)
        if (code < hostCode) return runNative(this, code, self, count)
        const index = code - hostCode
        const stack = this.stack
        const kinds = this.host.calls[index]
        const colon = kinds.length - count
        let fits = kinds[colon - 1] === ":"
        for (let i = 1; i <= count; ++i) {
            const value = stack[i]
            const kind = value instanceof Buffer ? "b" : value instanceof Fn ? "f" : (typeof value)[0]
            if (kinds[colon + i - 1] !== kind || (kind === "n" && value - value !== 0)) fits = false
        }
        if (!fits) wrong(false)
        while (count < 3) {
            count += 1
            stack[count] = undefined
        }
        if (stack[1] instanceof Fn) {
            this.entries[index] = stack[1]
            return undefined
        }
        const answer = plain(this.host.call(index, stack[1], stack[2], stack[3]))
        if (typeof answer === "string") return this.textOf(answer)
        if (answer instanceof Buffer) this.take(12 + answer.length)
        return answer
    }

    /** The opcodes that are seldom met: an expression's value, from its operands. */
    private expression(op: number, literal: number, x: any, y: any): any {
        if (op === 37) return this.ascii(literal)
        if (op === 36) return this.text(literal)
        if (op === 38) return this.text(256 + literal)
        if (op === 35) return this.literal(literal)
        if (op === 1) return this.builtin(literal)
        if (op === 57) return x | 0
        if (op === 76) return x instanceof Fn || x instanceof Native ? "function" : typeof x
        if (op === 72) return x == null
        if (op === 47) return x === undefined
        if (op === 90) return null
        if (op === 89) return this.instanceOf(x, y)
        if (op === 91) return x === y || (x == null && y == null)
        if (op === 92) return x !== y && !(x == null && y == null)
        if (op === 54) return isNaN(x)
        if (op === 53) return ~x
        if (op === 52) return Math.abs(x)
        if (op === 51) return 0 / 0
        if (op === 20) return 1 / 0
        if (op === 23) return +x
        // bind and new
        if (op === 15) {
            if (x instanceof Fn) {
                this.take(100)
                return closureOf(x.at, x.frame, x.outer, y)
            }
            this.self = y
        } else if (x instanceof Fn && (this.image[x.at + 11] & 2) === 0) wrong(false)
        return x
    }

    /** Accounts for a slice of work that is over; yields. Answers the next one. */
    private refuel(fuel: number): number {
        this.spend(slice - fuel)
        return slice
    }

    /**
     * Carries out a function whose arguments lie on the stack: the interpreter. Opcodes are told apart by a tree in the order of how often they
     * come. What it does at `pc` has been checked: operands are there, indices exist; only values can be of a wrong kind.
     */
    private run(fn: Fn): any {
        const image = this.image
        const stack = this.stack
        const globals = this.globals
        const frames = this.frames
        const fns = this.fns
        const token = this.token
        const handlers = this.handlers
        let depth = 0
        let handled = 0
        let top = 0
        let fuel = slice
        let op = 0
        let n = 0
        let at = 0
        let x: any
        let y: any
        let value: any
        let sum: any
        let octets: Buffer
        let thrown: any
        let current = fn
        let frame = this.frame(fn, 3, undefined)
        frames[0] = frame
        fns[0] = fn
        let pc = image.getAt(fn.at, "u32")
        let from = pc
        for (;;) {
            try {
                for (;;) {
                    op = image[pc]
                    pc += 1
                    if (op >= 0x80) {
                        stack[top] = op - 144
                        top += 1
                        continue
                    }
                    if (op < 24) {
                        if (op > 20 && op !== 23) {
                            stack[top] = op === 21 ? frame[image[pc]] : globals[image[pc]]
                            top += 1
                            pc += 1
                            continue
                        }
                        if (op > 16 && op < 20) {
                            top = 0
                            if (op === 17) {
                                frame[image[pc]] = stack[0]
                                pc += 1
                                continue
                            }
                            if (op === 18) {
                                globals[image[pc]] = stack[0]
                                pc += 1
                                continue
                            }
                            // store_buffer: buffer, format, offset, value
                            octets = stack[0]
                            this.writable(octets)
                            n = stack[2] | 0
                            if (n < 0) wrong(true)
                            y = stack[3]
                            op = stack[1]
                            if (op === 2) octets.setAt(n, "u32", y)
                            else if (op === 0) octets.setAt(n, "u8", y)
                            else if (op === 1) octets.setAt(n, "u16", y)
                            else if (op === 6) octets.setAt(n, "i32", y)
                            else if (op === 11) octets.setAt(n, "f64", y)
                            else if (op === 3) octets.setAt(n, "u64", y)
                            else if (op === 5) octets.setAt(n, "i16", y)
                            else if (op === 4) octets.setAt(n, "i8", y)
                            else if (op === 10) octets.setAt(n, "f32", y)
                            else if (op === 7) octets.setAt(n, "i64", y)
                            else wrong(true)
                            continue
                        }
                        if (op > 11 && op < 15) {
                            n = image[pc]
                            if (op === 12) {
                                top = 0
                                fuel -= pc - from
                                value = stack[0]
                                if (depth === 0) {
                                    this.refuel(fuel)
                                    return value
                                }
                                if (value === undefined && (image[current.at + 11] & 2) !== 0) value = frame[0]
                                while (handled > 0 && (handlers[handled - 1] & 63) === depth) handled -= 1
                                // What it held is free.
                                frames[depth] = undefined
                                depth -= 1
                                pc = this.returns[depth]
                                frame = frames[depth]
                                current = fns[depth]
                                n = 0
                            } else if (n < 0xf8) {
                                top = 0
                                fuel -= pc - from
                                pc += op === 14 && stack[0] ? 1 : n - 1
                                n = 0
                            }
                            if (n === 0) {
                                from = pc
                                if (fuel < 0) fuel = this.refuel(fuel)
                                continue
                            }
                        }
                    }
                    if (op < 11 && op !== 1) n = op - 2
                    else {
                        if (op > 57 && op < 72) {
                            top -= 1
                            y = stack[top]
                            x = stack[top - 1]
                            if (op < 62) {
                                if (op === 58) {
                                    sum = x + y
                                    if (typeof sum === "string") {
                                        // Objects of the interpreter itself have no words.
                                        if (x instanceof Inner) x = "[object]"
                                        if (y instanceof Inner) y = "[object]"
                                        sum = this.textOf(x + y)
                                    }
                                    x = sum
                                } else if (op === 59) x = x - y
                                else if (op === 60) x = x * y
                                else x = x / y
                            } else if (op > 67) {
                                if (op === 70) x = x < y
                                else if (op === 68) x = x === y
                                else if (op === 71) x = x !== y
                                else x = x <= y
                            } else if (op === 62) x = x & y
                            else if (op === 63) x = x | y
                            else if (op === 64) x = x ^ y
                            else if (op === 65) x = x << y
                            else if (op === 66) x = x >> y
                            else x = x >>> y
                            stack[top - 1] = x
                            continue
                        }
                        at = pc - 1
                        if (op === 43) {
                            // load_buffer: buffer, format, offset
                            top -= 3
                            n = stack[top + 2] | 0
                            if (n < 0) wrong(true)
                            octets = stack[top]
                            op = stack[top + 1]
                            if (op === 2) x = octets.getAt(n, "u32")
                            else if (op === 11) x = octets.getAt(n, "f64")
                            else if (op === 0) x = octets.getAt(n, "u8")
                            else if (op === 1) x = octets.getAt(n, "u16")
                            else if (op === 6) x = octets.getAt(n, "i32")
                            else if (op === 3) x = octets.getAt(n, "u64")
                            else if (op === 5) x = octets.getAt(n, "i16")
                            else if (op === 4) x = octets.getAt(n, "i8")
                            else if (op === 10) x = octets.getAt(n, "f32")
                            else if (op === 7) x = octets.getAt(n, "i64")
                            else wrong(true)
                            op = 0
                        } else if (op === 44) x = value
                        else if (op === 24) {
                            top -= 2
                            x = stack[top]
                            y = stack[top + 1]
                            if (typeof y === "number" && !(x instanceof Inner)) x = x[y]
                            else x = this.field(x, this.kindOf(x), y, -1, at)
                        } else if (op === 25) {
                            top = 0
                            this.set(stack[0], stack[1], stack[2])
                            continue
                        } else if (op === 46) x = undefined
                        else if (op === 48) x = true
                        else if (op === 49) x = false
                        else if (op === 56) {
                            top -= 1
                            x = !stack[top]
                        } else if (op === 50) {
                            top -= 1
                            x = !!stack[top]
                        } else if (op === 55) {
                            top -= 1
                            x = -stack[top]
                        } else if ((opcodes[op] & 32) !== 0) {
                            n = image[pc]
                            pc += 1
                            if (n >= 0xf8) {
                                // So many octets and one more, the highest first; 4: negative.
                                x = n
                                n = 0
                                for (let i = x & 3; i >= 0; --i) {
                                    n = (n << 8) | image[pc]
                                    pc += 1
                                }
                                if ((x & 4) !== 0) n = -n
                            }
                            if (op === 40) x = n
                            else if (op === 41) {
                                y = image.getAt(48, "u32") + n * 8
                                x = image.getAt(y, "f64")
                                // An integer is tagged with all ones, which is no number.
                                if (isNaN(x)) x = image.getAt(y, "i32")
                            } else if (op === 39) x = this.staticFn(n)
                            else if (op > 25 && op < 31) {
                                if (op < 29) {
                                    top -= 1
                                    x = stack[top]
                                    if (op === 26) {
                                        if (n === 34 && !(x instanceof Inner)) x = x.length
                                        else x = this.field(x, this.kindOf(x), "", n, at)
                                    } else {
                                        y = this.hostCodes[n]
                                        if (
                                            op === 27 &&
                                            x === token &&
                                            y !== undefined &&
                                            (this.called[at >> 3] & (1 << (at & 7))) !== 0
                                        )
                                            this.native = y
                                        else {
                                            y = x
                                            x = this.field(
                                                x,
                                                this.kindOf(x),
                                                op === 27 ? this.ascii(n) : this.text(256 + n),
                                                -1,
                                                at,
                                            )
                                            if (op === 27 && y === token && this.met >= 0) this.hostCodes[n] = this.met
                                        }
                                    }
                                } else if (
                                    op === 29 &&
                                    (natives[n] & 8) !== 0 &&
                                    (this.called[at >> 3] & (1 << (at & 7))) !== 0
                                ) {
                                    this.native = n
                                    x = undefined
                                } else x = this.field(undefined, op === 29 ? 0 : 21, "", n, at)
                            } else if (op === 16) x = this.field(undefined, 1, "", n, at)
                            else if (op === 75) {
                                this.take(100)
                                x = closureOf(112 + n * 16, frame, current, undefined)
                            } else if (op === 73 || op === 74) {
                                // load_closure has the levels above other operands, store_closure levels and value alone.
                                top = op === 73 ? 0 : top - 1
                                y = current
                                for (let i = stack[top]; i > 1; --i) y = y.outer
                                y = y.frame
                                if (!(n < y.length)) fail(Code.ModuleCode, at, "a variable of the frame", "" + n)
                                if (op === 74) x = y[n]
                                else {
                                    y[n] = stack[1]
                                    continue
                                }
                            } else if (op === 80) {
                                if (handled > 31) fail(Code.ModuleDepth, at, "at most 32 try", "more")
                                handlers[handled] = (at + n) * 64 + depth
                                handled += 1
                                continue
                            } else if (op === 86) {
                                x = stack[0] | 0
                                if (x < 0 || x > 15) fail(Code.ModuleCode, at, "up to 15 levels", "" + x)
                                thrown = new Leap(at + n, x)
                                break
                            } else if (op === 13 || op === 14 || op === 78 || op === 81) {
                                top = 0
                                fuel -= pc - from
                                y = op === 14 ? !stack[0] : op !== 78 || value == null
                                if (y) {
                                    pc = at + n
                                    if (op === 78) value = undefined
                                }
                                if (op === 81) {
                                    if (handled === 0) fail(Code.ModuleCode, at, "a try", "none")
                                    handled -= 1
                                }
                                from = pc
                                if (fuel < 0) fuel = this.refuel(fuel)
                                continue
                            } else x = this.expression(op, n, undefined, undefined)
                        } else {
                            y = opcodes[op]
                            if ((y & 16) === 0) {
                                // An expression of none to two operands.
                                top -= y
                                x = this.expression(op, 0, stack[top], stack[top + 1])
                            } else {
                                top = 0
                                x = stack[0]
                                if (op === 79) {
                                    // What was spread lies in an array.
                                    y = stack[1]
                                    if (!(y instanceof Array) || y.length > 15) wrong(true)
                                    n = y.length
                                    for (let i = 0; i < n; ++i) stack[i + 1] = y[i]
                                } else {
                                    if (op === 93) value = x
                                    else if (op === 31) value = this.object(this.builtin(2))
                                    else if (op === 32) {
                                        this.take(24)
                                        value = []
                                    } else if (op === 33) value = this.buffer(x)
                                    else if (op === 11) {
                                        if (!(x instanceof Obj)) wrong(false)
                                        value = delete x.own[this.nameOf(stack[1])]
                                    } else if (op === 84 || op === 85) {
                                        if (op === 84 && x == null) wrong(false)
                                        if (x !== undefined) {
                                            thrown = x
                                            break
                                        }
                                    } else {
                                        // finally in the ordinary course; catch has none.
                                        handled -= 1
                                        if (op !== 83 || handled < 0 || handlers[handled] >> 6 !== at)
                                            fail(Code.ModuleCode, at, "a try", "another")
                                        value = undefined
                                    }
                                    continue
                                }
                            }
                        }
                        if (op !== 79) {
                            stack[top] = x
                            top += 1
                            continue
                        }
                    }
                    // A call of what lies lowest, with n arguments above it.
                    top = 0
                    fuel -= pc - from
                    from = pc
                    x = stack[0]
                    if (x instanceof Fn) {
                        if (depth >= depthLimit) fail(Code.ModuleDepth, pc, "at most 40 calls deep", "more")
                        frame = this.frame(x, n, this.self)
                        this.self = undefined
                        this.returns[depth] = pc
                        depth += 1
                        frames[depth] = frame
                        fns[depth] = x
                        current = x
                        pc = image.getAt(x.at, "u32")
                        from = pc
                    } else {
                        y = this.native
                        this.native = -1
                        value = y === 26 ? Math.floor(stack[1]) : this.invoke(x, y, this.self, n)
                        this.self = undefined
                    }
                    if (fuel < 0) fuel = this.refuel(fuel)
                }
            } catch (e: any) {
                if (e instanceof PlombError) throw e
                // An error of the machine becomes one of the module.
                thrown = this.object(this.builtin(e instanceof TypeError ? 30 : e instanceof RangeError ? 32 : 28))
                thrown.own.message = this.textOf(e.message)
            }
            // Something was thrown: to the handler that is next.
            fuel -= pc - from
            top = 0
            this.native = -1
            this.self = undefined
            frame = frames[depth]
            for (;;) {
                x = thrown instanceof Leap
                if (x && thrown.levels === 0) {
                    pc = thrown.to
                    break
                }
                if (handled > 0 && (handlers[handled - 1] & 63) === depth) {
                    handled -= 1
                    pc = (handlers[handled] >> 6) + 1
                    if (!x) break
                    thrown = new Leap(thrown.to, thrown.levels - 1)
                    if (image[pc - 1] === 83) break
                } else {
                    if (depth === 0 || x) {
                        const words = thrown instanceof Obj ? thrown.own.message : thrown
                        fail(Code.ModuleThrew, pc, "nothing thrown", typeof words === "string" ? words : "a value")
                    }
                    depth -= 1
                    frame = frames[depth]
                    current = fns[depth]
                }
            }
            value = thrown
            from = pc
            if (fuel < 0) fuel = this.refuel(fuel)
        }
    }
}
