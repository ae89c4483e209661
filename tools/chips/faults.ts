/**
 * Bus faults as data, so that one fault plan serves the VM, the bridge to a board and a report.
 */

/** One fault. Transactions count from 1 (`I2cBusModel.transactions`). */
export interface PlannedFault {
    /** The transaction it strikes; with `address`, counted among the transactions to that address only. */
    transaction: number
    address?: number
    /**
     * nackAddress: nobody acknowledges. nackData: the write octet number `octet` (from 0) and all after it are not
     * taken. flip: bit `bit` of the octet number `octet` of the answer is inverted. stuck: SDA is held from this
     * transaction on, until nine clocks.
     */
    kind: "nackAddress" | "nackData" | "flip" | "stuck"
    octet?: number
    bit?: number
    /** How many transactions in a row; default 1. */
    times?: number
}

/** Faults that hold until changed, and a plan. */
export interface BusFaults {
    /** SDA is held low: every transaction gives `Stuck` until nine clocks. */
    stuck?: boolean
    /** Nobody acknowledges these 7-bit addresses. */
    nackAddress?: Set<number>
    plan?: PlannedFault[]
}

/** What strikes one transaction. */
export interface StruckBy {
    stuck: boolean
    nackAddress: boolean
    /** Number of write octets taken before the refusal. */
    nackData?: number
    flip(data: Uint8Array): Uint8Array
}

/** Counts transactions against a plan. */
export class FaultInjector {
    private readonly perAddress = new Map<number, number>()

    at(number: number, address: number, faults: BusFaults): StruckBy {
        const nth = (this.perAddress.get(address) ?? 0) + 1
        this.perAddress.set(address, nth)
        const struck = (faults.plan ?? []).filter(fault => {
            if (fault.address !== undefined && fault.address !== address) return false
            const counted = fault.address === undefined ? number : nth
            return counted >= fault.transaction && counted < fault.transaction + (fault.times ?? 1)
        })
        if (struck.some(f => f.kind === "stuck")) faults.stuck = true
        const nackData = struck.find(f => f.kind === "nackData")
        return {
            stuck: faults.stuck === true,
            nackAddress: faults.nackAddress?.has(address) === true || struck.some(f => f.kind === "nackAddress"),
            nackData: nackData && (nackData.octet ?? 0),
            flip: data => {
                const out = data.slice()
                for (const f of struck) if (f.kind === "flip") out[f.octet ?? 0] ^= 1 << (f.bit ?? 0)
                return out
            },
        }
    }

    release(faults: BusFaults): void {
        faults.stuck = false
    }
}
