import { cut } from "../core/octets"
import type { Sandbox } from "./sandbox"
import { Fn, Inner, Obj } from "./values"

/** Codes of natives from here on are calls of the host. */
export const hostCode = 0x8000

/** A value that may pass between module and host; `undefined` for any other. */
export function plain(value: any): any {
    const kind = typeof value
    return kind === "number" || kind === "string" || kind === "boolean" || value instanceof Buffer ? value : undefined
}

/** `new` of a builtin class, or its constructor called for an object of a derived one. */
export function construct(box: Sandbox, id: number, self: any, count: number): any {
    const a = count > 0 ? box.stack[1] : undefined
    if (id === 27 || id === 29 || id === 31) {
        const error = self instanceof Obj ? self : box.object(box.builtin(id + 1))
        box.set(error, "message", a === undefined ? box.builtin(id + 1).own.name : a)
        return error
    }
    if (id === 1) return a == null ? box.object(box.builtin(2)) : a
    if (id !== 3) throw new TypeError("no function")
    const length = count === 1 && typeof a === "number" ? a | 0 : count
    if (length < 0) throw new RangeError("array of " + length)
    box.take(24 + 12 * length)
    box.spend(length)
    const array: any[] = []
    for (let i = 0; i < length; ++i)
        array.push(length === count && !(count === 1 && length === a) ? box.stack[i + 1] : undefined)
    return array
}

function math(name: number, a: any, b: any): number {
    if (name === 26) return Math.floor(a)
    if (name === 58) return Math.round(a)
    if (name === 13) return Math.abs(a)
    if (name === 40) return Math.min(a, b)
    if (name === 39) return Math.max(a, b)
    if (name === 20) return Math.ceil(a)
    if (name === 31) return Math.imul(a, b)
    if (name === 50) return Math.pow(a, b)
    if (name === 35) return Math.log(a)
    // idiv and imod, of int32 as in C; 0 where the divisor is 0
    const x = a | 0
    const y = b | 0
    if (y === 0) return 0
    return name === 30 ? (x / y) | 0 : x % y
}

function ofString(box: Sandbox, name: number, self: any, a: any, b: any, c: any): any {
    if (typeof self !== "string") throw new TypeError("no string")
    if (name === 21) return self.charCodeAt(a | 0)
    if (name === 81) return (a | 0) < 0 ? undefined : self[a | 0]
    if (name === 182) return typeof a === "string" ? (self as any).indexOf(a, b | 0, c) : -1
    if (name === 63) return box.textOf(b == null ? self.slice(a | 0) : self.slice(a | 0, b | 0))
    return box.textOf(name === 181 ? self.toLowerCase() : self.toUpperCase())
}

function ofArray(box: Sandbox, name: number, self: any, count: number, a: any, b: any): any {
    if (!(self instanceof Array)) throw new TypeError("no array")
    if (name === 53) {
        box.take(12 * count)
        for (let i = 1; i <= count; ++i) self.push(box.stack[i])
        return self.length
    }
    box.spend(self.length >> 1)
    if (name === 63) {
        box.take(24 + 8 * self.length)
        return b == null ? self.slice(a | 0) : self.slice(a | 0, b | 0)
    }
    if (name === 77) {
        if ((b | 0) > 0) box.take(12 * b)
        ;(self as any).insert(a | 0, b | 0)
        return undefined
    }
    if (name === 111) {
        if (!(a instanceof Array)) throw new TypeError("no array")
        const length = a.length
        box.take(12 * length)
        box.spend(length)
        for (let i = 0; i < length; ++i) self.push(a[i])
        return self.length
    }
    let text = ""
    for (let i = 0; i < self.length; ++i) {
        if (i > 0) text = box.textOf(text + (a === undefined ? "," : a))
        text = box.textOf(text + box.textOf(self[i]))
    }
    return text
}

function ofBuffer(box: Sandbox, name: number, self: any, count: number, a: any, b: any, c: any): any {
    if (!(self instanceof Buffer)) throw new TypeError("no buffer")
    if (name === 68) {
        box.take(8 * self.length)
        return box.textOf(a === "hex" ? self.toString("hex") : self.toString("utf8"))
    }
    box.writable(self)
    const at = a | 0
    if (name === 25) {
        if (at < 0 || (b | 0) < 0) throw new RangeError("offset")
        self.fillAt(at, b | 0, c | 0)
        return undefined
    }
    const length = count > 3 ? box.stack[4] | 0 : 0
    if (at < 0 || (c | 0) < 0 || length < 0) throw new RangeError("offset")
    if (!(b instanceof Buffer) && typeof b !== "string") throw new TypeError("no buffer")
    self.blitAt(at, b as Buffer, c | 0, length)
    return undefined
}

/** Fills in `{0}` to `{9}`, and makes one brace of two, as the runtime's `ds.format` does. */
function format(box: Sandbox, count: number): string {
    const pattern = box.stack[1]
    if (typeof pattern !== "string") return undefined as any
    let text = ""
    let from = 0
    for (let i = 0; i < pattern.length; ++i) {
        const letter = pattern[i]
        if (letter !== "{" && letter !== "}") continue
        const next = i + 1 < pattern.length ? pattern.charCodeAt(i + 1) - 48 : -1
        if (next < 0 || (letter === "}" && next !== 77)) continue
        text += pattern.slice(from, i)
        if (next > 9) text += letter
        else {
            text = box.textOf(text + (next + 2 <= count ? box.textOf(box.stack[next + 2]) : "?"))
            i = pattern.indexOf("}", i)
            if (i < 0) return text
            from = i + 1
            continue
        }
        i += 1
        from = i + 1
    }
    return box.textOf(text + pattern.slice(from))
}

function bufferFrom(box: Sandbox, a: any, b: any): Buffer {
    if (typeof a === "string") {
        box.take(12 + 4 * a.length)
        return b === "hex" ? Buffer.from(a, "hex") : Buffer.from(a, "utf8")
    }
    if (a instanceof Buffer) {
        box.take(12 + a.length)
        return cut(a, 0, a.length)
    }
    if (!(a instanceof Array)) throw new TypeError("no octets")
    box.spend(a.length >> 1)
    const made = box.buffer(a.length)
    for (let i = 0; i < a.length; ++i) made[i] = a[i] & 0xff
    return made
}

function ofObject(box: Sandbox, name: number, a: any, b: any): any {
    if (name === 121) {
        if (!(a instanceof Obj) || !(b instanceof Obj)) throw new TypeError("no object")
        a.proto = b
        return a
    }
    if (name === 85) {
        if (!(b instanceof Obj)) return a
        const names = Object.keys(b.own)
        box.spend(names.length)
        for (let i = 0; i < names.length; ++i) box.set(a, names[i], b.own[names[i]])
        return a
    }
    if (!(a instanceof Obj)) {
        if (a instanceof Array || a instanceof Buffer || a instanceof Fn) return []
        throw new TypeError("no object")
    }
    const found: any[] = name === 86 ? Object.keys(a.own) : Object.values(a.own)
    box.take(24 + 8 * found.length)
    return found
}

/** Calls a native function by its code, the arguments on the stack; what it does not have is an error of the module. */
export function runNative(box: Sandbox, code: number, self: any, count: number): any {
    const stack = box.stack
    const a = count > 0 ? stack[1] : undefined
    const b = count > 1 ? stack[2] : undefined
    const c = count > 2 ? stack[3] : undefined
    const id = code >> 8
    const name = code & 255
    if (id === 0) return math(name, a, b)
    if (id === 4) return ofArray(box, name, self, count, a, b)
    if (id === 8) return ofString(box, name, self, a, b, c)
    if (id === 6) return ofBuffer(box, name, self, count, a, b, c)
    if (id === 1) return ofObject(box, name, a, b)
    if (name === 14) return box.buffer(a)
    if (name === 149) return bufferFrom(box, a, b)
    if (name === 108) return a instanceof Array
    if (name === 76) return format(box, count)
    if (name === 126) {
        box.host.log(box.textOf(b))
        return undefined
    }
    if (name === 83) return a instanceof Inner ? 0 / 0 : parseInt(a)
    if (name === 84) return a instanceof Inner ? 0 / 0 : parseFloat(a)
    let text = ""
    for (let i = 1; i <= count; ++i) text = box.textOf(text + String.fromCharCode(stack[i] | 0))
    return text
}
