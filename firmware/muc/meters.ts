import { Code, fail, PlombError } from "../core/errors"
import { SwitchedRecord } from "../core/journal"
import { cut, sameOctets } from "../core/octets"
import type { Store } from "../core/store"
import { metersAt, mostMeters } from "./layout"

/** DIN 43863-5 server ids have ten octets. */
const idSize = 10

/** Server ids of the meters on the line, in the order they were found; survives power cuts. */
export class MeterList {
    private readonly record: SwitchedRecord
    private readonly data: Buffer

    constructor(store: Store) {
        this.record = new SwitchedRecord(store, metersAt, 1 + mostMeters * idSize)
        this.data = Buffer.alloc(1 + mostMeters * idSize)
        try {
            const saved = this.record.load()
            if (saved) this.data.blitAt(0, saved, 0, saved.length)
        } catch (e: any) {
            // Discovery finds anew what a damaged list held.
            if (!(e instanceof PlombError) || e.code !== Code.RecordDamaged) throw e
            console.log(e.message)
        }
    }

    count(): number {
        return this.data[0]
    }

    at(index: number): Buffer {
        return cut(this.data, 1 + index * idSize, idSize)
    }

    knows(serverId: Buffer): boolean {
        for (let i = 0; i < this.count(); ++i) if (sameOctets(this.at(i), serverId)) return true
        return false
    }

    /** Adds a meter; true where it is new. What has no server id of a meter is no meter. */
    add(serverId: Buffer): boolean {
        if (serverId.length !== idSize || this.knows(serverId)) return false
        if (this.count() === mostMeters) fail(Code.TooManyMeters, -1, "at most " + mostMeters + " meters", "one more")
        this.data.blitAt(1 + this.count() * idSize, serverId, 0, idSize)
        this.data[0] = this.count() + 1
        this.record.save(this.data)
        return true
    }
}
