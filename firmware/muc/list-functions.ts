import { Functions, notHere } from "./functions"
import { takeBroughtList } from "./proof"

/** The functions of an image without a directory: revocation lists come over the uplink (`21`); they prove themselves. */
export class ListFunctions extends Functions {
    protected override setHere(which: number, value: Buffer, _enter: (detail: Buffer) => void): void {
        if (which !== 0x21) notHere(which)
        takeBroughtList(this.store, this.holdings, value, this.clock.nowSeconds())
    }
}
