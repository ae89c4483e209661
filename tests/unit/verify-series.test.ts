import { beforeAll, describe, expect, it } from "vitest"
import type { Evidence } from "../../tools/evidence/format.ts"
import { judgeEvidence } from "../../tools/verify/evidence.ts"
import { judgeSeries } from "../../tools/verify/linkage.ts"
import { hashOf, makeWorld, noon, type ReadingFields, reading, type World } from "../helpers/readings.ts"

let world: World
let all: ReadingFields[]

beforeAll(() => {
    world = makeWorld()
    all = []
    for (let i = 0; i < 5; ++i)
        all.push({
            pagination: 7 + i,
            at: noon - 60 + 10 * i,
            secondsIndex: 1000 + 10 * i,
            drawn: 1000n + BigInt(i),
            previousHash: i > 0 ? hashOf(all[i - 1]) : "00".repeat(32),
        })
})

function seriesOf(evidences: Evidence[]) {
    const verdicts = evidences.flatMap((each, i) => judgeEvidence(`file ${i}`, each, { anchors: [world.root.pem] }))
    return judgeSeries(verdicts)
}

function failures(fields: ReadingFields[]) {
    const [series] = seriesOf(fields.map(each => reading(world, each)))
    return { ...series, failed: series.findings.filter(each => each.result === "failed") }
}

describe("several readings of one meter", () => {
    it("in any order are one unbroken series", () => {
        const { complete, failed, statement } = failures([all[3], all[0], all[4], all[2], all[1]])
        expect([complete, failed]).toEqual([true, []])
        expect(statement).toContain("7 to 11")
    })

    it("a removed one shows by its number", () => {
        const { complete, failed, statement } = failures([all[0], all[1], all[4]])
        expect(complete).toBe(false)
        expect(failed.map(each => each.check)).toEqual(["pagination"])
        expect(failed[0].came).toContain("9 to 10 are not among")
        expect(statement).toContain("9 to 10")
    })

    it("the same one twice is only noted", () => {
        expect(failures([all[0], all[0], all[1]]).complete).toBe(true)
    })

    it("one number used for two contents is refused", () => {
        const { failed } = failures([all[0], { ...all[1], drawn: 5000n }, all[1]])
        expect(failed.some(each => each.expected.includes("one content for number 8"))).toBe(true)
    })

    it("a reading that names another predecessor is refused", () => {
        const { failed } = failures([all[0], { ...all[1], previousHash: "ab".repeat(32) }])
        expect(failed.map(each => each.check)).toEqual(["previous hash"])
    })

    it("a register or a seconds index that goes back is refused", () => {
        expect(failures([all[0], { ...all[1], drawn: 1n }]).failed.map(each => each.check)).toEqual([
            "registers never go back",
        ])
        expect(failures([all[0], { ...all[1], secondsIndex: 1 }]).failed.map(each => each.check)).toEqual([
            "seconds index never goes back",
        ])
    })

    it("one whose signature does not hold cannot fill a gap", () => {
        const forged = reading(makeWorld(), all[1])
        const [series] = seriesOf([
            reading(world, all[0]),
            { ...forged, chain: reading(world).chain },
            reading(world, all[2]),
        ])
        expect(series.complete).toBe(false)
        expect(series.findings.some(each => each.came.includes("8 is not among"))).toBe(true)
    })

    it("of two meters are two series, and a single reading is none", () => {
        const other = makeWorld("0a01504c420100000002")
        const strangers = [1, 2].map(pagination => reading(other, { pagination, serverId: "0a01504c420100000002" }))
        expect(seriesOf([reading(world, all[0]), reading(world, all[1]), ...strangers]).length).toBe(2)
        expect(seriesOf([reading(world, all[0]), strangers[0]]).length).toBe(0)
    })
})
