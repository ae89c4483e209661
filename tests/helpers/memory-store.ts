import { Code, fail } from "../../firmware/core/errors"
import type { Store } from "../../firmware/core/store"

/** Power went. */
export class Cut extends Error {}

/** A store in memory whose power goes after `cutAfter` more written octets. */
export class MemoryStore implements Store {
    readonly cells: Buffer
    cutAfter = Number.POSITIVE_INFINITY
    written = 0

    constructor(
        readonly size: number,
        fill = 0,
    ) {
        this.cells = Buffer.alloc(size, fill)
    }

    read(address: number, length: number): Buffer {
        if (!(address >= 0 && address + length <= this.size)) fail(Code.BadArgument)
        return Buffer.from(this.cells.subarray(address, address + length))
    }

    write(address: number, data: Buffer): void {
        if (!(address >= 0 && address + data.length <= this.size)) fail(Code.BadArgument)
        for (let i = 0; i < data.length; ++i) {
            if (this.cutAfter-- <= 0) throw new Cut()
            this.cells[address + i] = data[i]
            ++this.written
        }
    }
}
