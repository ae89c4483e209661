import { Code, fail } from "../core/errors"
import { Held } from "../core/inventory"
import { Functions, notHere } from "./functions"
import type { KeyExchange } from "./key-exchange"
import { takeBroughtList } from "./proof"

/**
 * The functions of the image with PLC links: revocation lists come over the uplink (`21`), and so do the keys of these links, sealed (`49`): whoever may
 * set keys changes them without a way to the house. Other keys are brought to the MUC itself.
 */
export class PlcFunctions extends Functions {
    /** Set before anything is answered, where the board has an uplink. */
    exchange: KeyExchange | undefined
    /** Called when the ring holds another key of a link, or none any more. */
    onKey: (kind: Held) => void = () => {}

    protected override setHere(which: number, value: Buffer, enter: (detail: Buffer) => void): void {
        if (which === 0x21) {
            takeBroughtList(this.store, this.holdings, value, this.clock.nowSeconds())
            return
        }
        if (which !== 0x49) notHere(which)
        const sealed = this.keyExchange().open(value)
        const kind = sealed.kind
        if (kind !== Held.DisplayKey && kind !== Held.UserKey) notHere(kind)
        this.keys.mustFit(kind, sealed.address, sealed.value)
        enter(Buffer.from([kind, 0]))
        this.keys.put(kind, sealed.address, sealed.value)
        this.onKey(kind)
    }

    protected override readHere(which: number): Buffer {
        if (which !== 0x49) notHere(which)
        return this.keyExchange().offer()
    }

    private keyExchange(): KeyExchange {
        const exchange = this.exchange
        if (!exchange) fail(Code.KeyAbsent, -1, "key agreement", "none on this board")
        return exchange
    }
}
