import type { Wasm } from "./wasm.ts"

/** The VM's garbage-collected heap, in octets. */
export interface HeapFigure {
    /** Heap of the VM: 65,524 octets, block headers included. */
    total: number
    /** Free after a full collection, over all free blocks. */
    free: number
    /** The largest single free block. */
    largest: number
    /** Blocks in use. */
    objects: number
}

// Layout of `devs_gc_t` and its one chunk in gc_alloc.c: first_free, first_chunk, num_alloc, gc_threshold,
// curr_alloc, ctx; then chunk: next, end, blocks. A block's first word is tag << 24 | length in words.
const heapOctets = 64 * 1024
const chunkOffset = 24
const blocksOffset = chunkOffset + 8
const freeTag = 0x01
const finalTag = 0x4f

/** Address of the heap of the program that runs, or -1. */
function findHeap(words: Uint32Array): number {
    for (let i = 0; i + 8 < words.length; i++) {
        const at = i * 4
        if (words[i + 1] !== at + chunkOffset || words[i + 6] !== 0) continue
        if (words[i + 7] === at + chunkOffset + heapOctets - 4 && words[i + 5] !== 0) return at
    }
    return -1
}

/**
 * Collects garbage and counts what is left, or `undefined` where no program runs. Exact for this moment; the VM
 * must not be executing.
 */
export function heapOf(wasm: Wasm): HeapFigure | undefined {
    const octets = wasm.memory()
    const words = new Uint32Array(octets.buffer, octets.byteOffset, octets.length >> 2)
    const heap = findHeap(words)
    if (heap < 0) return undefined
    wasm.collect(heap)
    const figure: HeapFigure = { total: 0, free: 0, largest: 0, objects: 0 }
    for (let at = (heap + blocksOffset) >> 2; ; ) {
        const tag = words[at] >>> 24
        if (tag === finalTag) return figure
        const length = words[at] & 0xffffff
        if (length === 0) throw new Error("the heap is damaged: a block of length 0")
        figure.total += length * 4
        if (tag === freeTag) {
            figure.free += length * 4
            figure.largest = Math.max(figure.largest, length * 4)
        } else figure.objects++
        at += length
    }
}
