import type { Company } from "./company.ts"

/** Where software is delivered and tried: a meter, whoever commands it, time and power. */
export interface Ground {
    company: Company
    /** "in the VM, over the MUC", for titles. */
    where: string
    /** Hardware model of the meter. */
    hardware: string
    /** SHA-256 of its fixed part, hex, as the build has it. */
    fixedPart: string
    /** Time passes, in which the meter measures. */
    pass(seconds: number): Promise<void>
    /** Power goes and comes. */
    powerCut(): Promise<void>
    /** An octet of its FRAM changes by itself. */
    damage(address: number): void
    close(): Promise<void>
}

/** Parameter set of the HSS keys of a play: each signs 32 times. */
export const hss = "H5/W4"

/** Keeps the counts of HSS keys in this folder instead of the person's own, until what it answers is called. */
export function keepCounts(folder: string): () => void {
    const before = process.env.PLOMB_STATE
    process.env.PLOMB_STATE = folder
    return () => {
        if (before === undefined) delete process.env.PLOMB_STATE
        else process.env.PLOMB_STATE = before
    }
}
