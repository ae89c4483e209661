import { decode, encode, type Fun, type Place } from "./code.ts"

const headerOctets = 112
const descriptorOctets = 16

/** Sections of an image, in the order in which they stand in it. */
const Section = {
    functions: 0,
    code: 1,
    floats: 2,
    ascii: 4,
    utf8: 5,
    buffers: 6,
    data: 7,
    specs: 8,
    config: 9,
} as const
const sectionCount = 10

/** An image taken apart: what optimising changes, and the rest as it was. */
export interface Parts {
    functions: Fun[]
    /** Number literals, 8 octets each as the image holds them. */
    floats: bigint[]
    /** Offsets into the string data. */
    ascii: number[]
    header: Uint8Array
    sections: Uint8Array[]
    debug: any
}

function viewOf(octets: Uint8Array): DataView {
    return new DataView(octets.buffer, octets.byteOffset, octets.length)
}

/** Takes an image apart. Throws on anything that is not known of 2.16.4. */
export function takeApart(bytecode: Uint8Array, debug: any): Parts {
    const view = viewOf(bytecode)
    if (view.getUint32(0, true) !== 0x53766544 || view.getUint32(8, true) >>> 16 !== 0x0210)
        throw new Error("this is no image of DeviceScript 2.16")
    const sections = [...Array(sectionCount)].map((_, i) => {
        const start = view.getUint32(32 + 8 * i, true)
        return bytecode.slice(start, start + view.getUint32(36 + 8 * i, true))
    })
    const placeAt = placesOf(debug)
    const functions: Fun[] = []
    for (let i = 0; i * descriptorOctets < sections[Section.functions].length; i++) {
        const at = headerOctets + i * descriptorOctets
        const start = view.getUint32(at, true)
        const end = start + view.getUint32(at + 4, true)
        functions.push({
            body: decode(bytecode, start, end, pc => placeAt(start, pc)),
            slots: view.getUint16(at + 8, true),
            args: bytecode[at + 10],
            flags: bytecode[at + 11],
            name: view.getUint16(at + 12, true),
            tryFrames: bytecode[at + 14],
            debug: debug.functions[i],
        })
    }
    const floats = viewOf(sections[Section.floats])
    const ascii = viewOf(sections[Section.ascii])
    return {
        functions,
        floats: [...Array(floats.byteLength / 8)].map((_, i) => floats.getBigUint64(8 * i, true)),
        ascii: [...Array(ascii.byteLength / 2)].map((_, i) => ascii.getUint16(2 * i, true)),
        header: bytecode.slice(0, headerOctets),
        sections,
        debug,
    }
}

/** The place of the statement at an octet of the image, by the compiler's source map; none before the function's first. */
function placesOf(debug: any): (start: number, pc: number) => Place | undefined {
    const entries: { pc: number; place: Place }[] = []
    let position = 0
    let pc = 0
    for (let i = 0; i < debug.srcmap.length; i += 3) {
        position += debug.srcmap[i]
        pc += debug.srcmap[i + 2]
        entries.push({ pc, place: [position, debug.srcmap[i + 1]] })
    }
    return (start, at) => {
        let low = 0
        let high = entries.length
        while (low < high) {
            const middle = (low + high) >> 1
            if (entries[middle].pc <= at) low = middle + 1
            else high = middle
        }
        const entry = entries[low - 1]
        return entry && entry.pc >= start ? entry.place : undefined
    }
}

/** Puts an image together again, with debug information that fits it. */
export function putTogether(parts: Parts): { bytecode: Uint8Array; debug: any } {
    const { functions } = parts
    const codes = functions.map(fun => encode(fun.body))
    const descriptors = Buffer.alloc(functions.length * descriptorOctets)
    const floats = Buffer.alloc(parts.floats.length * 8)
    for (const [i, value] of parts.floats.entries()) floats.writeBigUInt64LE(value, 8 * i)
    const ascii = Buffer.alloc((parts.ascii.length * 2 + 3) & ~3)
    for (const [i, offset] of parts.ascii.entries()) ascii.writeUInt16LE(offset, 2 * i)
    let start = headerOctets + descriptors.length
    const srcmap: number[] = []
    let [lastPosition, lastPc] = [0, 0]
    const debugs = functions.map((fun, i) => {
        const { octets, places } = codes[i]
        const at = i * descriptorOctets
        descriptors.writeUInt32LE(start, at)
        descriptors.writeUInt32LE(octets.length, at + 4)
        descriptors.writeUInt16LE(fun.slots, at + 8)
        descriptors.set([fun.args, fun.flags], at + 10)
        descriptors.writeUInt16LE(fun.name, at + 12)
        descriptors[at + 14] = fun.tryFrames
        for (const [[position, length], place] of places) {
            srcmap.push(position - lastPosition, length, start + place - lastPc)
            ;[lastPosition, lastPc] = [position, start + place]
        }
        start += octets.length
        return { ...fun.debug, startpc: start - octets.length, size: octets.length + descriptorOctets }
    })
    const sections = [...parts.sections]
    sections[Section.functions] = descriptors
    sections[Section.code] = Buffer.concat(codes.map(code => Buffer.from(code.octets)))
    sections[Section.floats] = floats
    sections[Section.ascii] = ascii
    const header = Buffer.from(parts.header)
    let at = headerOctets
    for (const [i, section] of sections.entries()) {
        header.writeUInt32LE(at, 32 + 8 * i)
        header.writeUInt32LE(section.length, 36 + 8 * i)
        at += section.length
    }
    const bytecode = new Uint8Array((at + 31) & ~31)
    bytecode.set(Buffer.concat([header, ...sections]))
    const strings = sections[Section.ascii].length + sections[Section.utf8].length + sections[Section.buffers].length
    const debug = {
        ...parts.debug,
        sizes: {
            ...parts.debug.sizes,
            floats: floats.length,
            strings: strings + sections[Section.data].length,
            align: bytecode.length - at,
        },
        functions: debugs,
        srcmap,
        binary: { hex: Buffer.from(bytecode).toString("hex") },
    }
    return { bytecode, debug }
}
