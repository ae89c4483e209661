import { describe, expect, it } from "vitest"
import { Held, HeldState, readItem } from "../../firmware/core/inventory.ts"
import { compareHoldings, type Holding, inventoryMatrix } from "../../tools/bench/holdings.ts"
import { passed } from "../../tools/bench/report.ts"

const digest = (octet: number) => Buffer.alloc(32, octet)
const own: Holding = { kind: Held.Own, what: "CERT_EM", id: digest(1).toString("hex") }
const root: Holding = { kind: Held.InstituteRoot, what: "institute root", id: digest(2).toString("hex") }
const link: Holding = { kind: Held.DisplayKey, what: "KEY1PLC", id: "" }
const certificate = (kind: Held, octet: number, state = HeldState.InForce) =>
    readItem(Buffer.concat([Buffer.from([kind, state]), digest(octet)]))
const listHeld = (octet: number) =>
    readItem(Buffer.concat([Buffer.from([Held.RevocationList, 0]), digest(octet), Buffer.from([1, 9, 1])]))
const key = readItem(Buffer.from([Held.DisplayKey, 0]))

/** Does the scenario pass, and what does it say was found? */
function judged(items: ReturnType<typeof readItem>[]): [boolean, string[]] {
    const rows = compareHoldings("meter", [own, root, link], items)
    const matrix = inventoryMatrix("", rows)
    return [passed({ matrices: [matrix], notes: [] }, true), rows.filter(({ fits }) => !fits).map(({ what }) => what)]
}

describe("A device's inventory", () => {
    it("fits where it holds what it must, in any order, and nothing else", () => {
        const items = [key, certificate(Held.InstituteRoot, 2), certificate(Held.Own, 1)]
        expect(judged(items)).toEqual([true, []])
        const rows = compareHoldings("meter", [own, root, link], items)
        expect(rows.map(({ what, found }) => [what, found])).toEqual([
            ["CERT_EM", "0101010101010101…"],
            ["institute root", "0202020202020202…"],
            ["KEY1PLC", "one"],
            ["anything else", "nothing"],
        ])
    })

    it("fails by the row of what is missing, revoked, another, once more, or not expected at all", () => {
        const [a, b] = [certificate(Held.Own, 1), certificate(Held.InstituteRoot, 2)]
        expect(judged([])).toEqual([false, ["CERT_EM", "institute root", "KEY1PLC"]])
        expect(judged([a, key])).toEqual([false, ["institute root"]])
        expect(judged([certificate(Held.Own, 1, HeldState.Revoked), b, key])).toEqual([false, ["CERT_EM"]])
        expect(judged([certificate(Held.Own, 9), b, key])).toEqual([false, ["CERT_EM"]])
        expect(judged([a, b, key, certificate(Held.Own, 1)])).toEqual([false, ["Own"]])
        expect(judged([a, b, key, key])).toEqual([false, ["DisplayKey"]])
        const lists = [5, 6].map(octet => ({ ...root, kind: Held.RevocationList, id: digest(octet).toString("hex") }))
        const rows = compareHoldings("meter", lists, [certificate(Held.InstituteRoot, 2), listHeld(6)])
        expect(rows.map(({ found, fits }) => [found.slice(0, 4), fits])).toEqual([
            ["noth", false],
            ["0606", true],
            ["0202", false],
        ])
        expect(judged([a, b, key, certificate(Held.CaRoot, 3)])).toEqual([false, ["CaRoot"]])
    })
})
