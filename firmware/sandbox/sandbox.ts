import { Code, fail, PlombError } from "../core/errors"
import { cut } from "../core/octets"
import { platform } from "../core/platform"
import { checkImage, opcodes } from "./image"
import { builtinName, natives } from "./names"
import { construct, hostCode, plain, runNative } from "./natives"
import { Builtin, Fn, Inner, Leap, Native, Obj, Token } from "./values"

/** What a module can reach beside its own values. */
export interface SandboxHost {
    /**
     * The calls of `ds.host`, in the order of their numbers: name, colon, kinds of the arguments (at most three): `n` a number that is
     * finite, `s` a string, `b` a buffer, `f` a function of the module, which is kept under the call's name as an entry and
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

/**
 * Runs a DeviceScript 2.16 image inside the program: an interpreter of its bytecode with budgets for work and memory, in which `ds.host` is
 * the only way out. Yields while it works; one call at a time. After an error it may be called again, but the module's own
 * state is what the error left.
 */
export class Sandbox {
    /** Values of the module: globals, operands, frames in use and the function of each. */
    globals: any[]
    stack: any[] = []
    private readonly frames: any[][] = []
    private readonly fns: Fn[] = []
    private readonly called: Buffer
    private readonly returns: number[] = []
    private readonly handlers: number[] = []
    private readonly handlerDepths: number[] = []
    private readonly statics: Fn[] = []
    /** Strings that were used: of the ASCII table by number; pairs of number and text of the others. */
    private readonly strings: string[] = []
    private readonly texts: any[] = []
    private readonly literals: Buffer[] = []
    /** By number of an ASCII string: code of the host's call of this name. */
    private readonly hostCodes: number[] = []
    private readonly builtins: Builtin[] = []
    private readonly prototypes: any[] = []
    private readonly entries: Fn[] = []
    private readonly blank: any[] = []
    private readonly token = new Token()
    /** For the call whose arguments come next: code of a native or -1, and the object it is called on. */
    private native = -1
    private self: any
    /** Code of the native that `find` met, or -1. */
    private met = -1
    private budget = 0
    private left = 0
    private walks = 0
    private busy = false

    /** Checks the image and throws what `checkImage` does. The image must stay as it is. */
    constructor(
        readonly image: Buffer,
        readonly host: SandboxHost,
        readonly limits: SandboxLimits,
    ) {
        this.called = checkImage(image)
        for (let i = 0; i < 248; ++i) this.blank.push(undefined)
        this.globals = this.blank.slice(0, image.getAt(12, "u16"))
        this.stack = this.blank.slice(0, 17)
    }

    /** Runs the module's own start, which registers its entries. Throws what `call` does. */
    start(): void {
        this.left = this.limits.memory
        this.enter(this.staticFn(0))
    }

    /** Whether the module has registered this entry. */
    has(entry: string): boolean {
        return this.entryOf(entry) !== undefined
    }

    /**
     * Calls an entry with up to three arguments (numbers, strings, booleans, buffers) and answers a value of these kinds, else `undefined`.
     * Throws `ModuleEntry`; `ModuleSteps`, `ModuleMemory`, `ModuleDepth`, `ModuleName`, `ModuleThrew`, `ModuleUnsupported`
     * when the module does what it must not; `Busy` while another call is under way; and what the host's calls throw.
     */
    call(entry: string, a?: any, b?: any, c?: any): any {
        const fn = this.entryOf(entry)
        if (fn === undefined) fail(Code.ModuleEntry, -1, "entry " + entry, "none")
        if (this.busy) fail(Code.Busy, -1, "one call at a time", "")
        this.stack[1] = a
        this.stack[2] = b
        this.stack[3] = c
        return plain(this.enter(fn as Fn))
    }

    /** Octets of heap that the module's values hold. Throws `ModuleMemory` above the limit. */
    holds(): number {
        return this.limits.memory - this.walk()
    }

    private entryOf(entry: string): Fn | undefined {
        for (let i = 0; i < this.host.calls.length; ++i) if (this.host.calls[i] === entry + ":f") return this.entries[i]
        return undefined
    }

    private enter(fn: Fn): any {
        if (this.busy) fail(Code.Busy, -1, "one call at a time", "")
        this.busy = true
        const before = this.left
        this.budget = this.limits.work
        try {
            const value = this.run(fn)
            // What is held after a call that made something counts, not what it made on the way.
            if (this.left !== before) this.left = this.walk()
            this.busy = false
            return value
        } catch (e: any) {
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
        // Also refuses what is no number.
        if (!(octets <= this.limits.memory)) fail(Code.ModuleMemory, -1, "at most " + this.limits.memory, "" + octets)
        this.left -= octets
        if (this.left < 0) {
            this.left = this.walk() - octets
            if (this.left < 0) fail(Code.ModuleMemory, -1, "at most " + this.limits.memory, "more")
        }
    }

    /** What is left of the memory when all that the module's values hold is counted. */
    private walk(): number {
        this.walks += 1
        let left = this.limits.memory - 8 * this.globals.length
        const todo: any[] = [this.globals, this.stack, this.prototypes, this.entries, this.builtins, this.frames]
        todo.push(this.fns)
        todo.push(this.strings)
        todo.push(this.texts)
        todo.push(this.literals)
        let count = todo.length
        let seen = 0
        while (count > 0) {
            count -= 1
            let values: any = todo[count]
            todo[count] = undefined
            if (values instanceof Obj || values instanceof Fn) {
                if (values.walk === this.walks) continue
                values.walk = this.walks
                left -= 100
                if (values instanceof Fn) values = [values.frame, values.outer, values.self]
                else {
                    todo[count] = values.proto
                    count += 1
                    values = Object.values(values.own)
                    left -= values.length * 20
                }
            } else if (values instanceof Native) {
                left -= 84
                values = [values.self]
            } else if (!(values instanceof Array)) continue
            left -= 16 + 10 * values.length
            for (let i = 0; i < values.length; ++i) {
                const value = values[i]
                const kind = typeof value
                if (kind === "string") left -= 10 + 2 * value.length
                else if (kind === "object" && value) {
                    if (value instanceof Buffer) left -= 12 + value.length
                    else {
                        todo[count] = value
                        count += 1
                    }
                }
            }
            seen += values.length + 8
            if (seen > 800) {
                seen = 0
                platform().yieldNow()
            }
            if (left < 0) fail(Code.ModuleMemory, -1, "at most " + this.limits.memory, "more")
        }
        return left
    }

    /** An object of the module's. */
    object(proto: Obj | undefined): Obj {
        this.take(100)
        return new Obj({}, proto)
    }

    /** A builtin object; prototypes have the one before them in the chain as their own prototype. */
    builtin(id: number): Builtin {
        let found = this.builtins[id]
        if (found === undefined) {
            found = new Builtin(id, id === 2 ? undefined : this.builtin(id === 30 || id === 32 ? 28 : 2))
            while (this.builtins.length < id) this.builtins.push(undefined as any)
            this.builtins[id] = found
            if (id === 28 || id === 30 || id === 32)
                found.own.name = id === 28 ? "Error" : id === 30 ? "TypeError" : "RangeError"
        }
        return found
    }

    private staticFn(index: number): Fn {
        let found = this.statics[index]
        if (found === undefined) {
            found = new Fn(this.image.getAt(32, "u32") + index * 16, undefined, undefined, undefined)
            while (this.statics.length < index) this.statics.push(undefined as any)
            this.statics[index] = found
        }
        return found
    }

    /** The object `prototype` of a class. */
    private prototypeOf(fn: Fn): Obj {
        for (let i = 0; i < this.prototypes.length; i += 2)
            if (this.prototypes[i] === fn.at) return this.prototypes[i + 1]
        if ((this.image[fn.at + 11] & 2) === 0) throw new TypeError("no class")
        const made = this.object(this.builtin(2))
        this.prototypes.push(fn.at)
        this.prototypes.push(made)
        return made
    }

    /** The ASCII string `index` of the image. Throws `ModuleName` for one that may not be a name. */
    private ascii(index: number): string {
        let found = this.strings[index]
        if (found === undefined) {
            const image = this.image
            const at = image.getAt(88, "u32") + image.getAt(image.getAt(64, "u32") + index * 2, "u16")
            let length = 0
            while (image[at + length] !== 0 && length < 200) length += 1
            found = this.allowed(this.textOf(cut(image, at, length).toString("utf8")))
            while (this.strings.length < index) this.strings.push(undefined as any)
            this.strings[index] = found
        }
        return found
    }

    /** Another string: a builtin one by its number, or 256 + the number of one in UTF-8. */
    private text(number: number): string {
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
            const at = this.image.getAt(80, "u32") + index * 8
            const length = this.image.getAt(at + 4, "u32")
            this.take(12 + length)
            found = cut(this.image, this.image.getAt(88, "u32") + this.image.getAt(at, "u32"), length)
            while (this.literals.length < index) this.literals.push(undefined as any)
            this.literals[index] = found
        }
        return found
    }

    /** Refuses to write to a buffer of the image. */
    writable(buffer: any): void {
        if (!(buffer instanceof Buffer)) throw new TypeError("no buffer")
        for (let i = 0; i < this.literals.length; ++i) if (this.literals[i] === buffer) throw new TypeError("read only")
    }

    /** A string that was just made: counts it. What is no string, it makes one. */
    textOf(value: any): string {
        let text: any = value
        if (typeof value !== "string") text = value instanceof Inner ? "[object]" : `${value}`
        if (text.length > stringLimit) fail(Code.ModuleMemory, -1, "strings up to 1000", "" + text.length)
        this.take(10 + 2 * text.length)
        return text
    }

    /** A buffer of `length` octets for the module. */
    buffer(length: any): Buffer {
        this.take(12 + (length | 0))
        if (!(length >= 0)) throw new RangeError("buffer of " + length)
        return Buffer.alloc(length | 0)
    }

    /** Number of the builtin prototype of a value, -1 of an object, -2 of undefined and null. */
    private kindOf(value: any): number {
        if (value instanceof Inner) return value instanceof Obj ? (value instanceof Builtin ? value.id : -1) : 16
        if (value instanceof Array) return 4
        if (value instanceof Buffer) return 6
        const kind = typeof value
        return kind === "string" ? 8 : kind === "number" ? 10 : kind === "boolean" ? 18 : -2
    }

    private allowed(name: any): string {
        const key = typeof name === "string" ? name : "" + name
        if (key === "constructor" || key === "__proto__") fail(Code.ModuleName, -1, "another name", key)
        return key
    }

    /**
     * The field of a value called `name`, or like the builtin string `index` when that is not -1. `at` is the place of the opcode: where it is
     * to be called, the object (and the code of a native) is left for the call, else it is bound to the function.
     */
    private field(value: any, id: number, name: any, index: number, at: number): any {
        const called = (this.called[at >> 3] & (1 << (at & 7))) !== 0
        const found = this.find(value, id, name, index)
        const code = this.met
        if (code >= 0) {
            if (called) {
                this.native = code
                this.self = value
                return undefined
            }
            this.take(84)
            return new Native(code, value)
        }
        if (found instanceof Fn && (this.image[found.at + 11] & 1) !== 0) {
            if (called) {
                this.self = value
                return found
            }
            return this.bound(found, value)
        }
        return found
    }

    private bound(fn: Fn, self: any): Fn {
        this.take(100)
        return new Fn(fn.at, fn.frame, fn.outer, self)
    }

    /** What stands in a field of a value of kind `id`; sets `met` instead when that is a native. */
    private find(value: any, id: number, name: any, index: number): any {
        this.met = -1
        if (index >= 0 && id >= 0) {
            const group =
                id === 4
                    ? 1
                    : id === 6
                      ? 2
                      : id === 8
                        ? 4
                        : id === 0
                          ? 8
                          : id === 1
                            ? 16
                            : id === 21
                              ? 32
                              : id < 8
                                ? 64
                                : 0
            if ((natives[index] & group) !== 0) {
                this.met = id * 256 + index
                return undefined
            }
        }
        const key = index >= 0 ? this.text(index) : this.allowed(name)
        if (id < -1) throw new TypeError("no field " + key)
        if (value instanceof Token) {
            this.met = this.hostCall(key)
            return undefined
        }
        if (index === 52) {
            if (value instanceof Fn) return this.prototypeOf(value)
            if (value instanceof Builtin && value.own.prototype === undefined) return this.builtin(value.id + 1)
        }
        if (key === "length" && (id === 8 || id === 4 || id === 6)) return value.length
        if (index === 183 && id === 8) return Buffer.from(value).length
        if (key === "host" && id === 21) return this.token
        let from = id < 0 ? value : this.builtins[id]
        if (from === undefined) from = this.builtins[2]
        for (let i = 0; i < 9; ++i) {
            if (from === undefined) return undefined
            const found = from.own[key]
            if (found !== undefined && typeof found !== "function") return found
            from = from.proto
        }
        return fail(Code.ModuleUnsupported, -1, "at most 8 prototypes", "")
    }

    /** Code of a call of the host, -1 when there is none of this name. */
    private hostCall(name: string): number {
        for (let i = 0; i < this.host.calls.length; ++i) {
            const call = this.host.calls[i]
            if (call.length > name.length && call[name.length] === ":" && call.slice(0, name.length) === name)
                return hostCode + i
        }
        return -1
    }

    /** `value[name] = item`, also what makes an array longer. */
    set(value: any, name: any, item: any): void {
        if (value instanceof Array && typeof name === "number") {
            const index = name | 0
            if (index < 0 || index > value.length + 32) throw new RangeError("array index " + name)
            if (index >= value.length) {
                this.take(12 * (index + 1 - value.length))
                while (value.length < index) value.push(undefined)
                value.push(item)
            } else value[index] = item
        } else if (value instanceof Buffer && typeof name === "number") {
            this.writable(value)
            const index = name | 0
            if (index < 0 || index >= value.length) throw new RangeError("buffer index " + name)
            value[index] = item & 0xff
        } else if (value instanceof Obj) {
            const key = this.allowed(name)
            if (value.own[key] === undefined) this.take(40)
            value.own[key] = item
        } else throw new TypeError("no object")
    }

    private instanceOf(value: any, cls: any): boolean {
        const proto = this.find(cls, this.kindOf(cls), "", 52)
        if (!(proto instanceof Obj)) throw new TypeError("no class")
        const id = this.kindOf(value)
        if (id < -1) return false
        let from: Obj | undefined = value instanceof Obj ? value.proto : this.builtin(id)
        for (let i = 0; i < 10 && from !== undefined; ++i) {
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
        const frame = this.blank.slice(0, slots)
        if (flags !== 0) {
            if ((flags & 1) !== 0) {
                frame[0] = self === undefined ? fn.self : self
                if ((flags & 2) !== 0 && frame[0] === undefined) frame[0] = this.object(this.prototypeOf(fn))
                next = 1
            }
            if ((flags & 4) !== 0) {
                formals -= 1
                const rest = count > formals - next ? this.stack.slice(1 + formals - next, 1 + count) : []
                this.take(24 + 8 * rest.length)
                frame[formals] = rest
            }
        }
        for (let i = 1; i <= count && next < formals; ++i) {
            frame[next] = this.stack[i]
            next += 1
        }
        return frame
    }

    /** An error of the machine as an error of the module. */
    private wrap(e: any): Obj {
        const error = this.object(this.builtin(e instanceof TypeError ? 30 : e instanceof RangeError ? 32 : 28))
        error.own.message = this.textOf(e.message)
        return error
    }

    /** A call of something that is no function of the image. */
    private invoke(callee: any, code: number, self: any, count: number): any {
        if (callee instanceof Builtin) return construct(this, callee.id, self, count)
        if (callee instanceof Native) return this.invoke(undefined, callee.code, callee.self, count)
        if (code < 0) throw new TypeError("no function")
        if (code < hostCode) return runNative(this, code, self, count)
        const index = code - hostCode
        const call = this.host.calls[index]
        const colon = call.indexOf(":")
        if (call.length - colon - 1 !== count) throw new TypeError(call)
        const stack = this.stack
        for (let i = 1; i <= count; ++i) {
            const kind = call[colon + i]
            const value = stack[i]
            if (kind === "f" && value instanceof Fn) {
                while (this.entries.length < index) this.entries.push(undefined as any)
                this.entries[index] = value
                return undefined
            }
            const fits =
                kind === "n"
                    ? typeof value === "number" && value - value === 0
                    : kind === "s"
                      ? typeof value === "string"
                      : kind === "b" && value instanceof Buffer
            if (!fits) throw new TypeError(call)
        }
        const answer = plain(
            this.host.call(
                index,
                count > 0 ? stack[1] : undefined,
                count > 1 ? stack[2] : undefined,
                count > 2 ? stack[3] : undefined,
            ),
        )
        if (typeof answer === "string") return this.textOf(answer)
        if (answer instanceof Buffer) this.take(12 + answer.length)
        return answer
    }

    /** Puts the elements of an array where the arguments of a call lie. */
    private spread(args: any): number {
        if (!(args instanceof Array)) throw new TypeError("no array")
        if (args.length > 15) throw new RangeError("more than 15 arguments")
        for (let i = 0; i < args.length; ++i) this.stack[i + 1] = args[i]
        return args.length
    }

    /** The opcodes that are seldom met: an expression's value, from its operands. */
    private expression(op: number, literal: number, x: any, y: any): any {
        if (op === 37) return this.ascii(literal)
        if (op === 91) return x === y || (x == null && y == null)
        if (op === 92) return !(x === y || (x == null && y == null))
        if (op === 76) return x instanceof Fn || x instanceof Native ? "function" : typeof x
        if (op === 72) return x == null
        if (op === 47) return x === undefined
        if (op === 90) return null
        if (op === 89) return this.instanceOf(x, y)
        if (op === 57) return x | 0
        if (op === 54) return isNaN(x)
        if (op === 53) return ~x
        if (op === 52) return Math.abs(x)
        if (op === 51) return 0 / 0
        if (op === 20) return 1 / 0
        if (op === 23) return +x
        if (op === 35) return this.literal(literal)
        if (op === 36) return this.text(literal)
        if (op === 38) return this.text(256 + literal)
        if (op === 1) return this.builtin(literal)
        if (op === 15) {
            if (x instanceof Fn) return this.bound(x, y)
            this.self = y
            return x
        }
        if (op === 88) {
            if (x instanceof Fn && (this.image[x.at + 11] & 2) !== 0) return x
            if (x instanceof Builtin && (x.id === 1 || x.id === 3 || x.id === 27 || x.id === 29 || x.id === 31))
                return x
            throw new TypeError("no class")
        }
        return fail(Code.ModuleUnsupported, -1, "a known opcode", "" + op)
    }

    /** Two values of which one is a string, put together. */
    private join(x: any, y: any): string {
        return this.textOf((x instanceof Inner ? "[object]" : x) + (y instanceof Inner ? "[object]" : y))
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
        const floats = image.getAt(48, "u32")
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
                        if (op > 20) {
                            if (op === 21) stack[top] = frame[image[pc]]
                            else if (op === 22) stack[top] = globals[image[pc]]
                            else {
                                stack[top - 1] = +stack[top - 1]
                                continue
                            }
                            top += 1
                            pc += 1
                            continue
                        }
                        if (op > 16 && op !== 20) {
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
                            if (n < 0) throw new RangeError("offset")
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
                            else throw new RangeError("format")
                            continue
                        }
                        if (op > 11 && op < 15) {
                            top = 0
                            fuel -= pc - from
                            if (op === 12) {
                                value = stack[0]
                                if (depth === 0) {
                                    this.refuel(fuel)
                                    return value
                                }
                                if (value === undefined && (image[current.at + 11] & 2) !== 0) value = frame[0]
                                while (handled > 0 && this.handlerDepths[handled - 1] === depth) handled -= 1
                                depth -= 1
                                pc = this.returns[depth]
                                frame = frames[depth]
                                current = fns[depth]
                            } else {
                                n = image[pc]
                                if (n < 0xf8) {
                                    if (op === 14 && stack[0]) pc += 1
                                    else pc += n - 1
                                } else {
                                    // Up to four octets, the highest first; 4 in the form: backwards.
                                    y = 0
                                    for (let i = 1; i <= (n & 3) + 1; ++i) y = y * 256 + image[pc + i]
                                    if (op === 14 && stack[0]) pc += 2 + (n & 3)
                                    else pc += ((n & 4) !== 0 ? -y : y) - 1
                                }
                            }
                            from = pc
                            if (fuel < 0) fuel = this.refuel(fuel)
                            continue
                        }
                    }
                    if (op < 11 && op !== 1) n = op - 2
                    else if (op > 57 && op < 72) {
                        top -= 1
                        y = stack[top]
                        x = stack[top - 1]
                        if (op < 62) {
                            if (op === 58) {
                                n = x + y
                                if (typeof n === "string") x = this.join(x, y)
                                else x = n
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
                    } else if (op === 43) {
                        // load_buffer: buffer, format, offset
                        top -= 2
                        n = stack[top + 1] | 0
                        if (n < 0) throw new RangeError("offset")
                        octets = stack[top - 1]
                        op = stack[top]
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
                        else throw new RangeError("format")
                        stack[top - 1] = x
                        continue
                    } else if (op === 44) {
                        stack[top] = value
                        top += 1
                        continue
                    } else if (op === 24) {
                        top -= 1
                        y = stack[top]
                        x = stack[top - 1]
                        if (typeof y === "number" && !(x instanceof Inner)) stack[top - 1] = x[y]
                        else stack[top - 1] = this.field(x, this.kindOf(x), y, -1, pc - 1)
                        continue
                    } else if (op === 25) {
                        top = 0
                        this.set(stack[0], stack[1], stack[2])
                        continue
                    } else if (op > 45 && op < 57) {
                        if (op === 46) {
                            stack[top] = undefined
                            top += 1
                            continue
                        }
                        if (op === 48 || op === 49) {
                            stack[top] = op === 48
                            top += 1
                            continue
                        }
                        if (op === 56) {
                            stack[top - 1] = !stack[top - 1]
                            continue
                        }
                        if (op === 50) {
                            stack[top - 1] = !!stack[top - 1]
                            continue
                        }
                        if (op === 55) {
                            stack[top - 1] = -stack[top - 1]
                            continue
                        }
                        if (op === 51) {
                            stack[top] = 0 / 0
                            top += 1
                        } else stack[top - 1] = this.expression(op, 0, stack[top - 1], undefined)
                        continue
                    } else {
                        at = pc - 1
                        y = opcodes[op]
                        if ((y & 32) !== 0) {
                            n = image[pc]
                            pc += 1
                            if (n >= 0xf8) {
                                x = n
                                n = 0
                                for (let i = x & 3; i >= 0; --i) {
                                    n = (n << 8) | image[pc]
                                    pc += 1
                                }
                                if ((x & 4) !== 0) n = -n
                            }
                            if (op === 40) {
                                stack[top] = n
                                top += 1
                                continue
                            }
                            if (op === 41) {
                                x = image.getAt(floats + n * 8, "f64")
                                // An integer is tagged with all ones, which is not a number.
                                if (isNaN(x)) x = image.getAt(floats + n * 8, "i32")
                                stack[top] = x
                                top += 1
                                continue
                            }
                            if (op === 39) {
                                stack[top] = this.staticFn(n)
                                top += 1
                                continue
                            }
                            if (op < 29 && op > 25) {
                                x = stack[top - 1]
                                if (op === 27) {
                                    if (x === token) {
                                        y = this.hostCodes[n]
                                        if (y !== undefined && (this.called[at >> 3] & (1 << (at & 7))) !== 0) {
                                            this.native = y
                                            stack[top - 1] = undefined
                                            continue
                                        }
                                    }
                                    stack[top - 1] = this.field(x, this.kindOf(x), this.ascii(n), -1, at)
                                    if (x === token && this.met >= 0) {
                                        while (this.hostCodes.length < n) this.hostCodes.push(undefined as any)
                                        this.hostCodes[n] = this.met
                                    }
                                } else if (op === 26) {
                                    if (n === 34 && !(x instanceof Inner)) stack[top - 1] = x.length
                                    else stack[top - 1] = this.field(x, this.kindOf(x), "", n, at)
                                } else stack[top - 1] = this.field(x, this.kindOf(x), this.text(256 + n), -1, at)
                                continue
                            }
                            if (op === 29 && (natives[n] & 8) !== 0 && (this.called[at >> 3] & (1 << (at & 7))) !== 0) {
                                this.native = n
                                stack[top] = undefined
                                top += 1
                                continue
                            }
                            if (op === 29 || op === 30 || op === 16) {
                                stack[top] = this.field(undefined, op === 29 ? 0 : op === 16 ? 1 : 21, "", n, at)
                                top += 1
                                continue
                            }
                            if (op === 75) {
                                this.take(100)
                                stack[top] = new Fn(image.getAt(32, "u32") + n * 16, frame, current, undefined)
                                top += 1
                                continue
                            }
                            if (op === 73 || op === 74) {
                                // load_closure has the levels above other operands, store_closure levels and value alone.
                                if (op === 73) top = 1
                                x = current
                                for (let i = stack[top - 1]; i > 1; --i) x = x.outer
                                x = x.frame
                                if (!(n < x.length)) fail(Code.ModuleCode, at, "a variable of the frame", "" + n)
                                if (op === 74) stack[top - 1] = x[n]
                                else {
                                    x[n] = stack[1]
                                    top = 0
                                }
                                continue
                            }
                            if (op === 80) {
                                if (handled > 31) fail(Code.ModuleDepth, at, "at most 32 try", "more")
                                this.handlers[handled] = at + n
                                this.handlerDepths[handled] = depth
                                handled += 1
                                continue
                            }
                            if (op === 86) {
                                x = stack[0] | 0
                                if (x < 0 || x > 15) fail(Code.ModuleCode, at, "up to 15 levels", "" + x)
                                thrown = new Leap(at + n, x)
                                break
                            }
                            if (op === 78 || op === 81) {
                                if (op === 81) {
                                    if (handled === 0) fail(Code.ModuleCode, at, "a try", "none")
                                    handled -= 1
                                } else if (value != null) continue
                                else value = undefined
                                fuel -= pc - from
                                pc = at + n
                                from = pc
                                if (fuel < 0) fuel = this.refuel(fuel)
                                continue
                            }
                            stack[top] = this.expression(op, n, undefined, undefined)
                            top += 1
                            continue
                        }
                        if ((y & 16) === 0) {
                            // An expression of none to two operands.
                            y &= 3
                            top -= y
                            x = stack[top]
                            stack[top] = this.expression(
                                op,
                                0,
                                y > 0 ? x : undefined,
                                y > 1 ? stack[top + 1] : undefined,
                            )
                            top += 1
                            continue
                        }
                        top = 0
                        x = stack[0]
                        if (op === 79) n = this.spread(stack[1])
                        else {
                            if (op === 93) value = x
                            else if (op === 31) value = this.object(this.builtin(2))
                            else if (op === 32) {
                                this.take(24)
                                value = []
                            } else if (op === 33) value = this.buffer(x)
                            else if (op === 11) {
                                if (!(x instanceof Obj)) throw new TypeError("no object")
                                value = delete x.own[this.allowed(stack[1])]
                            } else if (op === 83) {
                                if (handled === 0 || this.handlers[handled - 1] !== at)
                                    fail(Code.ModuleCode, at, "its try", "")
                                handled -= 1
                                value = undefined
                            } else if (op === 84) {
                                if (x == null) throw new TypeError("throwing null/undefined")
                                thrown = x
                                break
                            } else if (op === 85) {
                                if (x !== undefined) {
                                    thrown = x
                                    break
                                }
                            } else fail(Code.ModuleUnsupported, at, "a known opcode", "" + op)
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
                        if (y === 26) value = Math.floor(stack[1])
                        else value = this.invoke(x, y, this.self, n)
                        this.self = undefined
                        this.native = -1
                    }
                    if (fuel < 0) fuel = this.refuel(fuel)
                }
            } catch (e: any) {
                if (e instanceof PlombError) throw e
                thrown = this.wrap(e)
            }
            // Something was thrown: to the handler that is next.
            fuel -= pc - from
            top = 0
            this.native = -1
            this.self = undefined
            frame = frames[depth]
            for (;;) {
                if (thrown instanceof Leap && thrown.levels === 0) {
                    pc = thrown.to
                    break
                }
                if (handled > 0 && this.handlerDepths[handled - 1] === depth) {
                    handled -= 1
                    pc = this.handlers[handled] + 1
                    if (!(thrown instanceof Leap)) break
                    thrown = new Leap(thrown.to, thrown.levels - 1)
                    if (image[pc - 1] === 83) break
                } else {
                    if (depth === 0 || thrown instanceof Leap) {
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
