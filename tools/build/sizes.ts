import type { Image } from "../vm/compile.ts"
import { rooms } from "./budgets.ts"

/** What an image takes, in octets. */
export interface Sizes {
    /** The whole image, as it lies in flash. */
    image: number
    /** Where the last function ends: what the limit of the program counter applies to. */
    code: number
    /** Function code by room, descriptors included; only rooms that have any. */
    rooms: Record<string, number>
}

/** Measures an image: sections from its header, functions by the source file in the debug information. */
export function measure(image: Image): Sizes {
    const view = new DataView(image.bytecode.buffer, image.bytecode.byteOffset, image.bytecode.length)
    // 32 octets of fixed header, then a descriptor (offset, length) a section; the second holds the functions' code.
    const code = view.getUint32(40, true) + view.getUint32(44, true)
    const byRoom: Record<string, number> = {}
    for (const room of rooms) byRoom[room.name] = 0
    for (const fun of image.debug.functions) {
        const room = rooms.find(each => each.files.test(sourceAt(image, fun.location?.[0] ?? 0)))!
        byRoom[room.name] += fun.size
    }
    for (const room of rooms) if (byRoom[room.name] === 0) delete byRoom[room.name]
    return { image: image.bytecode.length, code, rooms: byRoom }
}

/** The source file at a position of the debug information, which counts through all files in order. */
function sourceAt(image: Image, position: number): string {
    let at = 0
    for (const source of image.debug.sources) {
        at += source.length
        if (position < at) return source.path
    }
    return ""
}
