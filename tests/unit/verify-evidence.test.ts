import { describe, expect, it } from "vitest"
import { judgeEvidence } from "../../tools/verify/evidence.ts"
import { makeWorld, reading } from "../helpers/readings.ts"

const world = makeWorld()
const anchors = [world.root.pem]

describe("plomb verify: evidence", () => {
    it("calls a sound reading proof", () => {
        const [verdict] = judgeEvidence("r", reading(world), { anchors })
        expect(verdict.findings.filter(each => each.result !== "proved")).toEqual([])
        expect(verdict.name).toBe("proof")
    })
})
