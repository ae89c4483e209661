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

function widthOf(format: string): number {
    return Number(format.slice(1)) / 8
}

function getAt(this: Buffer, offset: number, format: string): number | undefined {
    const width = widthOf(format)
    // The VM does not refuse a negative offset, it reads outside the buffer: in Node that is a test failure.
    if (offset < 0) throw new RangeError(`getAt(${offset}): memory corruption in the VM`)
    if (offset + width > this.length) return undefined
    switch (format) {
        case "f32":
            return this.readFloatLE(offset)
        case "f64":
            return this.readDoubleLE(offset)
        case "u64":
            return Number(this.readBigUInt64LE(offset))
        case "i64":
            return Number(this.readBigInt64LE(offset))
        default:
            return format[0] === "u" ? this.readUIntLE(offset, width) : this.readIntLE(offset, width)
    }
}

function setAt(this: Buffer, offset: number, format: string, value: number): void {
    const width = widthOf(format)
    if (offset < 0) throw new RangeError(`setAt(${offset}): memory corruption in the VM`)
    if (offset + width > this.length) throw new RangeError(`setAt(${offset}): out of range`)
    if (format === "f32") this.writeFloatLE(value, offset)
    else if (format === "f64") this.writeDoubleLE(value, offset)
    else {
        const [low, high] = ranges[format]
        const whole = Math.min(high, Math.max(low, Math.trunc(value)))
        if (width === 8) this.writeBigInt64LE(BigInt(whole), offset)
        else if (format[0] === "u") this.writeUIntLE(whole, offset, width)
        else this.writeIntLE(whole, offset, width)
    }
}

function blitAt(this: Buffer, offset: number, source: Uint8Array | string, from: number, length: number): number {
    if (offset < 0 || from < 0) throw new RangeError(`blitAt(${offset}, ${from}): negative offset`)
    const octets = typeof source === "string" ? Buffer.from(source, "utf8") : source
    const count = Math.max(0, Math.min(length, octets.length - from, this.length - offset))
    this.set(octets.subarray(from, from + count), offset)
    return count
}

function fillAt(this: Buffer, offset: number, length: number, value: number): void {
    if (offset < 0) throw new RangeError(`fillAt(${offset}): negative offset`)
    this.fill(value & 0xff, offset, Math.min(this.length, offset + length))
}

for (const [name, method] of Object.entries({ getAt, setAt, blitAt, fillAt }))
    Object.defineProperty(Buffer.prototype, name, { value: method, configurable: true })

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
