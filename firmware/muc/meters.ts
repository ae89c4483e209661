import { Code, fail, PlombError } from "../core/errors"
import { SwitchedRecord } from "../core/journal"
import { cut, sameOctets } from "../core/octets"
import { platform } from "../core/platform"
import type { Store } from "../core/store"
import { metersAt, mostMeters } from "./layout"

/** DIN 43863-5 server ids have ten octets. */
const idSize = 10

/** Server ids of the meters on the line, in the order they were found; survives power cuts. */
export class MeterList {
    /** Counts up whenever a meter has left the list: those behind it have moved. */
    moved = 0
    /** When each was heard last, ms; since the start of the program at least. */
    private heardAt: number[] = []
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
        for (let i = 0; i < this.count(); ++i) this.heardAt.push(platform().millis())
    }

    count(): number {
        return this.data[0]
    }

    idAt(index: number): Buffer {
        return cut(this.data, 1 + index * idSize, idSize)
    }

    knows(serverId: Buffer): boolean {
        return this.find(serverId) >= 0
    }

    private find(serverId: Buffer): number {
        for (let i = 0; i < this.count(); ++i) if (sameOctets(this.idAt(i), serverId)) return i
        return -1
    }

    /** A meter was heard: true where it is new. What has no server id of a meter is no meter. */
    add(serverId: Buffer): boolean {
        if (serverId.length !== idSize) return false
        const known = this.find(serverId)
        if (known >= 0) {
            this.heardAt[known] = platform().millis()
            return false
        }
        if (this.count() === mostMeters) fail(Code.TooManyMeters, -1, "at most " + mostMeters + " meters", "one more")
        this.data.blitAt(1 + this.count() * idSize, serverId, 0, idSize)
        this.data[0] = this.count() + 1
        this.heardAt.push(platform().millis())
        this.record.save(this.data)
        return true
    }

    /** Takes those off the list that nobody has heard for `silentMs`: taken away, or replaced by others. Answers how many. */
    forget(silentMs: number): number {
        const data = this.data
        const before = this.count()
        const heardAt: number[] = []
        for (let i = 0; i < before; ++i) {
            if (platform().millis() - this.heardAt[i] > silentMs) continue
            const id = this.idAt(i)
            data.blitAt(1 + heardAt.length * idSize, id, 0, idSize)
            heardAt.push(this.heardAt[i])
        }
        if (heardAt.length === before) return 0
        this.heardAt = heardAt
        data[0] = heardAt.length
        data.fillAt(1 + data[0] * idSize, data.length - 1 - data[0] * idSize, 0)
        ++this.moved
        this.record.save(data)
        return before - heardAt.length
    }
}
