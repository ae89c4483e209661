import type { Settings } from "../../hal/ports"
import { floorOf, type Indicator, noAge } from "../core/indicator"
import { cut } from "../core/octets"
import type { PlcLink } from "../core/plc-link"
import { TIME_STAMP } from "../core/sml-values"
import { drawnAt, idAt, idSize, type KeptReadings, kindAt, paginationAt, powerAt, soundAt, timeAt } from "./kept"
import type { MeterList } from "./meters"
import type { PlcService } from "./plc-server"

/**
 * What the consumption display is told: of the meter that stands first in setting `own_meters`, else of the only one of the line. A meter
 * gives readings only to who may read it, so they are those that a head-end fetches through the MUC, and as old as these.
 */
export class IndicatorSide implements PlcService {
    private asked = true
    /** The meter and the list that the values are of. */
    private shown: Buffer = hex``
    private pagination = -1

    constructor(
        private readonly indicator: Indicator,
        private readonly kept: KeptReadings,
        private readonly meters: MeterList,
        private readonly settings: Settings,
    ) {}

    /** After a start: what was kept last, where its age is known. `utcSeconds`: 0 = not known. */
    recall(utcSeconds: number): void {
        const places = utcSeconds > 0 ? this.kept.newestFirst() : []
        for (let i = 0; i < places.length && this.pagination < 0; ++i) {
            const head = this.kept.head(places[i])
            if (head && head[kindAt] === TIME_STAMP) this.see(head, utcSeconds)
        }
    }

    /** A reading (its head as `KeptReadings` has it) that came at `utcSeconds`. One that is older than what is shown changes nothing. */
    see(head: Buffer, utcSeconds: number): void {
        const id = cut(head, idAt, idSize)
        if (!this.isShown(id)) return
        const pagination = head.getAt(paginationAt, "u32")
        const meter = id.toString("hex")
        if (meter === this.shown.toString("hex") && pagination <= this.pagination) return
        this.shown = id
        this.pagination = pagination
        const trusted = head[kindAt] === TIME_STAMP
        const time = head.getAt(timeAt, "u32")
        // A list that the meter had stored may come late. Clocks that differ by some seconds make no reading of the future.
        const age = trusted && utcSeconds > time ? Math.min(utcSeconds - time, noAge) : 0
        this.indicator.take(
            time,
            trusted,
            head.getAt(powerAt, "i32"),
            head.getAt(drawnAt, "u64"),
            head[soundAt] > 0,
            age,
        )
    }

    due(): Buffer | undefined {
        const asked = this.asked
        this.asked = false
        return this.indicator.due(asked)
    }

    /** A display asks, and says from which counter on it takes frames. */
    hear(message: Buffer, link: PlcLink): void {
        link.raise(floorOf(message))
        this.asked = true
    }

    /** It is told its values whether it asks or not. */
    low(_link: PlcLink): void {}

    private isShown(id: Buffer): boolean {
        const own = this.settings.get("own_meters")
        if (own.length > 0) return own.toLowerCase().indexOf(id.toString("hex")) === 0
        return this.meters.count() === 1 && this.meters.idAt(0).toString("hex") === id.toString("hex")
    }
}
