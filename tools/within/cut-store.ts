import { Code, fail } from "../../firmware/core/errors.ts"
import type { Store } from "../../firmware/core/store.ts"

/** Power went. */
export class PowerCut extends Error {}

/** Octets of a meter's FRAM. */
export const framSize = 0x20000

/** A FRAM whose power goes in its write number `cutWrite`, after `cutOctets` octets of it; from then on it takes nothing. */
export class CutStore implements Store {
    readonly size = framSize
    readonly cells: Buffer
    /** Octets of each write since `begin`. */
    writes: number[] = []
    private cutWrite = Number.POSITIVE_INFINITY
    private cutOctets = 0

    constructor(cells: Buffer = Buffer.alloc(framSize)) {
        this.cells = Buffer.from(cells)
    }

    /** Counts writes anew, and cuts the power in the one of this number, from 0 on. */
    begin(cutWrite = Number.POSITIVE_INFINITY, cutOctets = 0): void {
        this.writes = []
        this.cutWrite = cutWrite
        this.cutOctets = cutOctets
    }

    /** Has the power gone? */
    get isCut(): boolean {
        return this.writes.length > this.cutWrite
    }

    read(address: number, length: number): Buffer {
        if (!(address >= 0 && address + length <= framSize)) fail(Code.BadArgument, address, "a place", `${length}`)
        return Buffer.from(this.cells.subarray(address, address + length))
    }

    write(address: number, data: Buffer): void {
        if (!(address >= 0 && address + data.length <= framSize)) fail(Code.BadArgument, address, "a place", "another")
        if (this.isCut) throw new PowerCut()
        const last = this.writes.length === this.cutWrite
        data.copy(this.cells, address, 0, last ? this.cutOctets : data.length)
        this.writes.push(data.length)
        if (last) throw new PowerCut()
    }
}
