import type { Mark } from "./marks.ts"

/** One figure, beside its peer's and its mark where it has them. */
export interface Row {
    what: string
    ours: number
    unit: string
    /** Figure of the peer, measured in the same run unless its name says otherwise. */
    peer?: number
    /** Who the peer is; without `peer` why there is none ("not run: …"). */
    peerName?: string
    mark?: Mark
}

/** Figures in a shape of their own; the first column holds words, the others numbers. */
export interface Grid {
    title: string
    head: string[]
    lines: (string | number)[][]
}

/** What one group measured. */
export interface Section {
    group: string
    title: string
    rows: Row[]
    grid?: Grid
    /** How the figures came about and what they leave out, a sentence each. */
    notes: string[]
}

/** Is more better? Of rates it is; of time, steps and octets it is not, but of octets that are free. */
export function moreIsBetter({ unit }: Row): boolean {
    return unit.endsWith("/s") || unit.endsWith("free")
}

/** How many times better ours is than the peer's; below 1 the peer is better. */
export function ratioOf(row: Row): number | undefined {
    if (row.peer === undefined) return undefined
    return moreIsBetter(row) ? row.ours / row.peer : row.peer / row.ours
}

/** Is the mark of this row reached? `undefined` where it has none. */
export function reached(row: Row): boolean | undefined {
    if (row.mark === undefined) return undefined
    return moreIsBetter(row) ? row.ours >= row.mark.value : row.ours <= row.mark.value
}

/** The middle one of these figures, of an even number the upper of the two. */
export function median(figures: number[]): number {
    return [...figures].sort((a, b) => a - b)[figures.length >> 1]
}

/** Milliseconds of CPU time that this process has used: what other programs on the machine take does not count. */
export function cpuMs(): number {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1000
}
