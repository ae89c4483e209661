import type { Settings } from "../../hal/ports"
import { type AccessTable, Fn } from "../core/access"
import { PlombError } from "../core/errors"
import { cut } from "../core/octets"
import { Role } from "../core/x509-role"
import { idAt, idSize, type KeptReadings } from "./kept"
import type { MeterList } from "./meters"

/** What the customer may see of what is kept, whichever way he asks. */
export class OwnReadings {
    constructor(
        readonly kept: KeptReadings,
        private readonly table: AccessTable,
        private readonly meters: MeterList,
        private readonly settings: Settings,
    ) {}

    /** Places of his readings, the newest first; of each meter only the newest where history may not be read. Undefined where he may see none. */
    places(): number[] | undefined {
        if (!this.allows(Fn.readCurrent)) return undefined
        const history = this.allows(Fn.readProfile)
        const kept = this.kept.newestFirst()
        const places: number[] = []
        let seen = ""
        for (let i = 0; i < kept.length; ++i) {
            const head = this.kept.head(kept[i])
            const meter = head ? cut(head, idAt, idSize).toString("hex") : ""
            if (!head || !this.own(meter)) continue
            const first = seen.indexOf(meter) < 0
            if (first) seen += meter
            if (first || history) places.push(kept[i])
        }
        return places
    }

    /** Is it the customer's meter: one of setting `own_meters`, or the only one of the line where that is not set? */
    private own(meter: string): boolean {
        const own = this.settings.get("own_meters")
        if (own.length > 0) return own.toLowerCase().indexOf(meter) >= 0
        return this.meters.count() === 1 && this.meters.idAt(0).toString("hex") === meter
    }

    private allows(fn: Fn): boolean {
        try {
            return this.table.allows(Role.customer, fn)
        } catch (e: any) {
            // A damaged table allows nothing.
            if (!(e instanceof PlombError)) throw e
            return false
        }
    }
}
