import { Code, fail, PlombError } from "../core/errors"
import { SwitchedRecord } from "../core/journal"
import type { LogClock } from "../core/logbook"
import type { Store } from "../core/store"
import { dlmsCounterAt } from "./layout"

/** Counters that are set aside with one write. */
const ahead = 1000
/** Where nothing is held counters begin with the time: so many a second since then (UTC seconds), which lasts until 2057. */
const perSecond = 4
const since = 1700000000

/**
 * The MUC's own invocation counter of DLMS: a nonce of AES-GCM, so none is used twice under any key, wherever the power goes. Before they are used counters are set aside in the store; what is
 * left of them is skipped at the next start. A board that was erased may get the same keys again: it begins with the time, since fewer are used than
 * `perSecond`.
 */
export class InvocationCounter {
    private next = 0
    private reserved = 0
    private readonly record: SwitchedRecord

    constructor(
        store: Store,
        private readonly clock: LogClock,
    ) {
        this.record = new SwitchedRecord(store, dlmsCounterAt, 4)
        try {
            const held = this.record.load()
            if (held) this.next = held.getAt(0, "u32")
        } catch (e: any) {
            if (!(e instanceof PlombError) || e.code !== Code.RecordDamaged) throw e
        }
        this.reserved = this.next
    }

    /** The first of `count` counters that nobody else gets. `TimeNotTrusted` where neither time nor store says with which to begin. */
    take(count: number): number {
        if (this.next + count > this.reserved) {
            const utc = this.clock.utcSeconds()
            if (utc === 0 && this.next === 0) fail(Code.TimeNotTrusted, -1, "a clock that was set", "none")
            const from = Math.max(this.next, perSecond * (utc - since))
            const reserved = from + count + ahead
            const record = Buffer.alloc(4)
            record.setAt(0, "u32", reserved)
            this.record.save(record)
            this.next = from
            this.reserved = reserved
        }
        const first = this.next
        this.next = first + count
        return first
    }
}
