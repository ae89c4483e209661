import { cut } from "../core/octets"
import type { Sandbox } from "./sandbox"
import { Inner, Obj, wrong } from "./values"

/** Codes of natives from here on are calls of the host. */
export const hostCode = 0x8000

/** A value that may pass between module and host; `undefined` for any other. */
export function plain(value: any): any {
    const kind = typeof value
    return kind === "number" || kind === "string" || kind === "boolean" || value instanceof Buffer ? value : undefined
}

/** Fills in `{0}` to `{9}`, and makes one brace of two, as the runtime's `ds.format` does. */
function format(box: Sandbox, pattern: string, count: number): string {
    let text = ""
    for (let i = 0; i < pattern.length; ++i) {
        const letter = pattern[i]
        const next = pattern.charCodeAt(i + 1) - 48
        if (letter === "{" && next >= 0 && next < 10) {
            text = box.textOf(text + (next + 2 <= count ? box.textOf(box.stack[next + 2]) : "?"))
            while (i < pattern.length && pattern[i] !== "}") i += 1
        } else {
            text += letter
            // "{" is 48 + 75, "}" 48 + 77
            if ((letter === "{" && next === 75) || (letter === "}" && next === 77)) i += 1
        }
    }
    return box.textOf(text)
}

/**
 * Calls a native function by its code, the arguments on the stack: Math 0, Object 1, Array 3 and its prototype 4, Buffer 5 and 6, String 7 and
 * 8, `ds` 21, the errors 27 to 31, in each the number of its name; 0 constructs.
 */
export function runNative(box: Sandbox, code: number, self: any, count: number): any {
    const stack = box.stack
    const a = count > 0 ? stack[1] : undefined
    const b = count > 1 ? stack[2] : undefined
    const c = count > 2 ? stack[3] : undefined
    const x = a | 0
    const y = b | 0
    const id = code >> 8
    const name = code & 255
    if (id === 0) {
        if (name === 58) return Math.round(a)
        if (name === 13) return Math.abs(a)
        if (name === 40) return Math.min(a, b)
        if (name === 39) return Math.max(a, b)
        if (name === 20) return Math.ceil(a)
        if (name === 31) return Math.imul(a, b)
        if (name === 50) return Math.pow(a, b)
        if (name === 35) return Math.log(a)
        if (name === 26) return Math.floor(a)
        // idiv and imod, of int32 as in C; 0 where the divisor is 0
        if (y === 0) return 0
        return name === 30 ? (x / y) | 0 : x % y
    }
    if (id === 8) {
        if (typeof self !== "string") wrong(false)
        if (name === 21) return self.charCodeAt(x)
        if (name === 81) return x < 0 ? undefined : self[x]
        if (name === 182) return typeof a === "string" ? (self as any).indexOf(a, y, c) : -1
        if (name === 63) return box.textOf(b == null ? self.slice(x) : self.slice(x, y))
        return box.textOf(name === 181 ? self.toLowerCase() : self.toUpperCase())
    }
    if (id === 4) {
        if (!(self instanceof Array)) wrong(false)
        if (name === 53) {
            box.take(12 * count)
            for (let i = 1; i <= count; ++i) self.push(stack[i])
            return self.length
        }
        box.spend(self.length >> 1)
        if (name === 63) {
            box.take(24 + 8 * self.length)
            return b == null ? self.slice(x) : self.slice(x, y)
        }
        if (name === 77) {
            if (y > 0) box.take(12 * y)
            // The runtime moves memory outside of the array when asked to take out more than there is behind `x`.
            if (x < 0 || x - y > self.length) wrong(true)
            ;(self as any).insert(x, y)
            return undefined
        }
        if (name === 111) {
            if (!(a instanceof Array)) wrong(false)
            const length = a.length
            box.take(12 * length)
            box.spend(length)
            for (let i = 0; i < length; ++i) self.push(a[i])
            return self.length
        }
        let text = ""
        for (let i = 0; i < self.length; ++i) {
            if (i > 0) text += a === undefined ? "," : box.textOf(a)
            text = box.textOf(text + box.textOf(self[i]))
        }
        return text
    }
    if (id === 6) {
        if (!(self instanceof Buffer)) wrong(false)
        if (name === 68) {
            box.take(8 * self.length)
            return box.textOf(a === "hex" ? self.toString("hex") : self.toString("utf8"))
        }
        box.writable(self)
        if (name === 25) {
            if (x < 0 || y < 0) wrong(true)
            self.fillAt(x, y, c | 0)
            return undefined
        }
        const length = count > 3 ? stack[4] | 0 : 0
        if (x < 0 || (c | 0) < 0 || length < 0) wrong(true)
        if (!(b instanceof Buffer) && typeof b !== "string") wrong(false)
        self.blitAt(x, b as Buffer, c | 0, length)
        return undefined
    }
    if (id === 1) {
        if (name === 0) return a == null ? box.object(box.builtin(2)) : a
        if (name === 85 && !(b instanceof Obj)) return a
        const from = name === 85 ? b : a
        if (!(from instanceof Obj)) {
            if (from instanceof Array) return []
            wrong(false)
        }
        if (name === 121) {
            if (!(b instanceof Obj)) wrong(false)
            from.proto = b
            return a
        }
        const names: any[] = name === 87 ? Object.values(from.own) : Object.keys(from.own)
        box.take(24 + 8 * names.length)
        box.spend(names.length)
        if (name !== 85) return names
        for (let i = 0; i < names.length; ++i) box.set(a, names[i], from.own[names[i]])
        return a
    }
    if (name === 0) {
        if (id > 26) {
            const error = self instanceof Obj ? self : box.object(box.builtin(id + 1))
            box.set(error, "message", a === undefined ? box.text(101 + (id >> 1)) : a)
            return error
        }
        if (id !== 3 || x < 0) wrong(false)
        const array: any[] = []
        box.take(24 + 12 * x)
        ;(array as any).insert(0, x)
        return array
    }
    if (name === 14) return box.buffer(a)
    if (name === 149) {
        if (typeof a === "string") {
            box.take(12 + 4 * a.length)
            return b === "hex" ? Buffer.from(a, "hex") : Buffer.from(a, "utf8")
        }
        if (a instanceof Buffer) {
            box.take(12 + a.length)
            return cut(a, 0, a.length)
        }
        if (!(a instanceof Array)) wrong(false)
        box.spend(a.length >> 1)
        const made = box.buffer(a.length)
        for (let i = 0; i < a.length; ++i) made[i] = a[i] & 0xff
        return made
    }
    if (name === 108) return a instanceof Array
    if (name === 76) return typeof a === "string" ? format(box, a, count) : undefined
    if (name === 126) {
        box.host.log(box.textOf(b))
        return undefined
    }
    if (name === 168) {
        let text = ""
        for (let i = 1; i <= count; ++i) text += String.fromCharCode(stack[i] | 0)
        return box.textOf(text)
    }
    if (a instanceof Inner) return 0 / 0
    return name === 83 ? parseInt(a) : parseFloat(a)
}
