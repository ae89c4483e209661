import { p256 } from "@noble/curves/nist.js"
import { expect, it } from "vitest"
import { combTable, curveConstants } from "../../firmware/core/p256-tables"

const { p, n, b } = p256.Point.CURVE()
const bigR = 1n << 264n

const little = (a: bigint) => Buffer.from(a.toString(16).padStart(64, "0"), "hex").reverse()

it("the curve's constants are those of the standard", () => {
    const constants = [p, n, (bigR * bigR) % p, (bigR * bigR) % n, bigR % p, (b * bigR) % p]
    expect(curveConstants.toString("hex")).toBe(
        Buffer.concat([...constants.map(little), Buffer.alloc(2)]).toString("hex"),
    )
})

it("the comb holds the multiples of the base point that its comment says", () => {
    const points: Buffer[] = []
    for (let block = 0; block < 2; ++block)
        for (let i = 0; i < 32; ++i) {
            let k = 1n << 215n
            for (let t = 0; t < 5; ++t) k += ((i >> t) & 1 ? 1n : -1n) << BigInt(43 * t)
            const { x, y } = p256.Point.BASE.multiplyUnsafe((k << BigInt(22 * block)) % n).toAffine()
            points.push(little((x * bigR) % p), little((y * bigR) % p))
        }
    expect(combTable.toString("hex")).toBe(Buffer.concat([...points, Buffer.alloc(2)]).toString("hex"))
})
