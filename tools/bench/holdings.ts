import { Held, type HeldItem, HeldState } from "../../firmware/core/inventory.ts"
import { type Cell, expected, type Matrix, unexpected } from "./report.ts"

/** One thing that a device must hold after initialisation. */
export interface Holding {
    kind: Held
    /** As the paper calls it. */
    what: string
    /** SHA-256 of the DER in hex, of certificates and lists; the address in hex, of keys (most have none). */
    id: string
}

/** A row of the inventory: what is expected and what the device says, compared to the last octet. */
export interface InventoryRow {
    holder: string
    what: string
    expected: string
    found: string
    fits: boolean
}

/**
 * What a device says it holds against what it must hold: a row for each thing expected, and one for each that is not.
 * Twice the same thing is one too many.
 */
export function compareHoldings(
    holder: string,
    expectedHoldings: readonly Holding[],
    items: readonly HeldItem[],
): InventoryRow[] {
    const left = items.map(item => ({ item, id: idOf(item) }))
    const take = (fits: (each: (typeof left)[number]) => boolean) => {
        const place = left.findIndex(fits)
        return place < 0 ? undefined : left.splice(place, 1)[0]
    }
    const exact = expectedHoldings.map(({ kind, id }) => take(each => each.item.kind === kind && each.id === id))
    const rows = expectedHoldings.map(({ kind, what, id }, i): InventoryRow => {
        // Another of its kind stands in its row; it is an error there and not a second one below.
        const found = exact[i] ?? take(each => each.item.kind === kind)
        const revoked = found?.item.state === HeldState.Revoked
        return {
            holder,
            what,
            expected: nameOf(id),
            found: found ? `${nameOf(found.id)}${revoked ? ", revoked" : ""}` : "nothing",
            fits: exact[i] !== undefined && !revoked,
        }
    })
    const more = left.map(({ item, id }) => ({
        holder,
        what: Held[item.kind] ?? `kind ${item.kind}`,
        expected: "nothing",
        found: nameOf(id),
        fits: false,
    }))
    if (more.length > 0) return [...rows, ...more]
    return [...rows, { holder, what: "anything else", expected: "nothing", found: "nothing", fits: true }]
}

/** The rows as a table of the bench. */
export function inventoryMatrix(title: string, rows: readonly InventoryRow[]): Matrix {
    const cell = ({ holder, what, expected: wanted, found, fits }: InventoryRow): Cell =>
        fits ? expected(found) : unexpected(found, `${holder} must hold ${wanted} as ${what}, and holds ${found}`)
    return {
        title,
        head: ["holder", "what", "expected", "found"],
        rows: rows.map(row => ({ names: [row.holder, row.what, row.expected], cells: [cell(row)] })),
    }
}

function idOf(item: HeldItem): string {
    return (item.kind >= Held.MBusKey ? item.id : item.fingerprint).toString("hex")
}

/** Enough of a fingerprint for people; a key without an address has no more to tell than that it is there. */
function nameOf(id: string): string {
    return id === "" ? "one" : id.length > 16 ? `${id.slice(0, 16)}…` : id
}
