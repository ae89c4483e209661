/**
 * Gives Node's Buffer the DeviceScript methods the core uses, with the VM's meaning (little endian, `setAt`
 * saturates, `blitAt` clamps), and defines the global `hex`. A module of its own because the core's tables
 * need `hex` when they are loaded.
 */

const ranges: Record<string, [number, number]> = {
    u8: [0, 0xff],
    u16: [0, 0xffff],
    u32: [0, 0xffffffff],
    u64: [0, Number.MAX_SAFE_INTEGER],
    i8: [-0x80, 0x7f],
    i16: [-0x8000, 0x7fff],
    i32: [-0x80000000, 0x7fffffff],
    i64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
}

const widths: Record<string, number> = { u8: 1, u16: 2, u32: 4, u64: 8, i8: 1, i16: 2, i32: 4, i64: 8, f32: 4, f64: 8 }

function getAt(this: Buffer, offset: number, format: string): number | undefined {
    // The VM does not refuse a negative offset, it reads outside the buffer: in Node that is a test failure.
    if (offset < 0) throw new RangeError(`getAt(${offset}): memory corruption in the VM`)
    const left = this.length - offset
    switch (format) {
        case "u8":
            return left < 1 ? undefined : this[offset]
        case "i8":
            return left < 1 ? undefined : (this[offset] << 24) >> 24
        case "u16":
            return left < 2 ? undefined : this[offset] | (this[offset + 1] << 8)
        case "i16":
            return left < 2 ? undefined : this.readInt16LE(offset)
        case "i32":
            if (left < 4) return undefined
            return this[offset] | (this[offset + 1] << 8) | (this[offset + 2] << 16) | (this[offset + 3] << 24)
        case "u32":
            return left < 4 ? undefined : this.readUInt32LE(offset)
        case "u64":
            return left < 8 ? undefined : Number(this.readBigUInt64LE(offset))
        case "i64":
            return left < 8 ? undefined : Number(this.readBigInt64LE(offset))
        case "f32":
            return left < 4 ? undefined : this.readFloatLE(offset)
        case "f64":
            return left < 8 ? undefined : this.readDoubleLE(offset)
    }
    throw new TypeError(`getAt: no format "${format}"`)
}

function setAt(this: Buffer, offset: number, format: string, value: number): void {
    const width = widths[format]
    if (width === undefined) throw new TypeError(`setAt: no format "${format}"`)
    if (offset < 0) throw new RangeError(`setAt(${offset}): memory corruption in the VM`)
    if (offset + width > this.length) throw new RangeError(`setAt(${offset}): out of range`)
    if (format === "f32") this.writeFloatLE(value, offset)
    else if (format === "f64") this.writeDoubleLE(value, offset)
    else {
        const [low, high] = ranges[format]
        const whole = Math.min(high, Math.max(low, Math.trunc(value)))
        if (width === 8) this.writeBigInt64LE(BigInt(whole), offset)
        else for (let i = 0, rest = whole >>> 0; i < width; ++i, rest >>>= 8) this[offset + i] = rest & 0xff
    }
}

function blitAt(this: Buffer, offset: number, source: Uint8Array | string, from: number, length: number): number {
    if (offset < 0 || from < 0) throw new RangeError(`blitAt(${offset}, ${from}): negative offset`)
    const octets = typeof source === "string" ? Buffer.from(source, "utf8") : source
    const count = Math.max(0, Math.min(length, octets.length - from, this.length - offset))
    // A view costs more than a short copy. Overlapping regions of one buffer go the long way.
    if (count > 64 || octets.buffer === this.buffer) this.set(octets.subarray(from, from + count), offset)
    else for (let i = 0; i < count; ++i) this[offset + i] = octets[from + i]
    return count
}

function fillAt(this: Buffer, offset: number, length: number, value: number): void {
    if (offset < 0) throw new RangeError(`fillAt(${offset}): negative offset`)
    this.fill(value & 0xff, offset, Math.min(this.length, offset + length))
}

for (const [name, method] of Object.entries({ getAt, setAt, blitAt, fillAt }))
    Object.defineProperty(Buffer.prototype, name, { value: method, configurable: true })

// `count` elements that are undefined put in before `index`, or so many taken out when negative.
Object.defineProperty(Array.prototype, "insert", {
    value(this: unknown[], index: number, count: number) {
        if (count < 0) this.splice(index, -count)
        else this.splice(index, 0, ...new Array(count).fill(undefined))
    },
    configurable: true,
})

Object.defineProperty(globalThis, "hex", {
    configurable: true,
    value: (parts: TemplateStringsArray) => {
        const digits = parts
            .join("")
            .replace(/\/\/[^\n]*/g, "")
            .replace(/\s+/g, "")
        return Buffer.from(digits, "hex")
    },
})
