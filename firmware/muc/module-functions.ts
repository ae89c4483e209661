import type { Caller } from "../core/command"
import { Order } from "../core/software"
import { Answering } from "./answering"
import { takeBroughtList } from "./proof"
import type { MucSoftware } from "./software"

/** As of `Answering.rows`: what this image has room for. The rest is done with `muc_install` on the board, or `muc`. */
const rows = hex`
    8201 FE FF 00 // identification
    F010 FE FF 00 // its certificates
    F020 FE FF 00 // inventory
    F021 FF FE 00 // revocation lists
    F052 0A FF 00 // logbook
    F060 08 FF 00 // attestation
    F061 08 FF 00 // software in the slots
    F062 FF 0C 16 // a package is announced
    F063 FF FE 00 // a block of it
    F064 FF 0C 0E // activation
    F065 FF 0C 15 // confirmation
    F066 FF 0C 0F // back to what ran before
`

/** What F062 to F066 order. */
const orders = [Order.Announce, Order.Block, Order.Activate, Order.Confirm, Order.PutBack]

/** The functions of a MUC that runs modules: what every MUC tells, and its software. */
export class ModuleFunctions extends Answering {
    software: MucSoftware | undefined

    protected override rows(): Buffer {
        return rows
    }

    protected override slots(name: Buffer): any[] {
        const software = this.software
        return software ? software.children(name) : []
    }

    protected override set(caller: Caller | undefined, which: number, fn: number, event: number, value: Buffer): void {
        const log = this.logbook
        const enter = (detail: Buffer) => log.append(event, fn, caller, 0, detail)
        const software = this.software
        if (which === 0x21) takeBroughtList(this.store, this.holdings, value, this.clock.nowSeconds())
        else if (software) software.order(orders[which - 0x62], value, enter)
    }
}
