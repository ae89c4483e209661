/** What is used here of the compiler's writer of one function's bytecode. */
export interface Writer {
    binary: Uint8Array
    binPtr: number
    /** Each jump: where its opcode stands, and where it goes. */
    jumps?: [at: number, label: { offset: number }][]
    /** Position and length in the source, position in the code, and so on. */
    srcmap: number[]
    /** Places in the code that hold an index of a local variable. */
    localOffsets: number[]
    /** Places in the code that make a closure, by function. */
    closureRefs: Record<string, number[]>
}

/** Octets of an integer in bytecode: one below 248, else a head and the fewest that hold its magnitude. */
function lengthOf(value: number): number {
    if (value >= 0 && value < 248) return 1
    return Math.abs(value) < 256 ? 2 : 3
}

function write(binary: Uint8Array, at: number, value: number, length: number): void {
    const magnitude = Math.abs(value)
    if (length === 1) binary[at] = value
    else binary[at] = 248 | (value < 0 ? 4 : 0) | (length - 2)
    for (let i = 1; i < length; ++i) binary[at + i] = (magnitude >> (8 * (length - 1 - i))) & 0xff
}

/**
 * Gives the jumps of a function, whose labels all have their places, the fewest octets. The compiler keeps three for
 * each jump forward, because it writes them before it knows how far they go; most need one. All else keeps its order.
 */
export function shortenJumps(writer: Writer): void {
    const { binary, binPtr } = writer
    const jumps = (writer.jumps ?? [])
        .map(([at, label]) => {
            const head = binary[at + 1]
            return { at, target: label.offset, before: head < 248 ? 1 : 2 + (head & 3), now: 1 }
        })
        .sort((a, b) => a.at - b.at)
    // How much lies before a place that is not inside a jump.
    const moved = (place: number) => {
        let saved = 0
        for (const jump of jumps) {
            if (jump.at >= place) break
            saved += jump.before - jump.now
        }
        return place - saved
    }
    for (let grown = true; grown; ) {
        grown = false
        for (const jump of jumps) {
            const needed = lengthOf(moved(jump.target) - moved(jump.at))
            if (needed > jump.now) {
                jump.now = needed
                grown = true
            }
        }
    }
    const short = new Uint8Array(binary.length)
    let from = 0
    let to = 0
    for (const jump of jumps) {
        short.set(binary.subarray(from, jump.at + 1), to)
        to += jump.at + 1 - from
        write(short, to, moved(jump.target) - moved(jump.at), jump.now)
        to += jump.now
        from = jump.at + 1 + jump.before
    }
    short.set(binary.subarray(from, binPtr), to)
    writer.binary = short
    writer.binPtr = to + binPtr - from
    for (let i = 2; i < writer.srcmap.length; i += 3) writer.srcmap[i] = moved(writer.srcmap[i])
    writer.localOffsets = writer.localOffsets.map(moved)
    for (const key of Object.keys(writer.closureRefs)) writer.closureRefs[key] = writer.closureRefs[key].map(moved)
}

/** Where something is put into the compiler's text; each place stands there twice. */
const places: [text: string, more: string][] = [
    ["const off0 = this.location();", " (this.jumps ??= []).push([off0, label]);"],
    ["patchLabels(numLocals, numargs, tryDepth) {", " shortenJumps(this);"],
]

/**
 * The compiler's text with `shortenJumps`, which must be in scope there, called at the end of each function. Throws
 * where the text is not the known one.
 */
export function withShortJumps(text: string): string {
    for (const [place, more] of places) {
        const parts = text.split(place)
        if (parts.length !== 3)
            throw new Error("this is not the DeviceScript compiler 2.16.4, whose jumps are shortened")
        text = parts.join(place + more)
    }
    return text
}
