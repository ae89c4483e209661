import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { askNode, askVm } from "../../tools/vectors/run.ts"
import { questions, x509 } from "../../tools/vectors/x509.ts"
import { hasVectors, vectorPath } from "../extras.ts"

const files = [
    "x509-limbo/limbo-current.json",
    "x509-limbo/limbo-published-2023-12.json",
    "x509-mbedtls-parse/parse.json",
]

/** Both suites hold the same chains under other keys; here each runs once, `plomb vectors --in vm` runs all. */
const done = new Set<string>()

for (const file of files) {
    const path = vectorPath(file)
    const present = hasVectors(file)

    describe.skipIf(!present)(`${file} in the VM`, () => {
        it("every case that fits gives the same answer, code and offset as in Node", async () => {
            const all = questions(JSON.parse(readFileSync(path, "utf8")))
            // One case of 79 KB does not fit a board's heap
            expect(all.filter(each => each.request.length > x509.capacity!).length).toBeLessThanOrEqual(1)
            const cases = all.filter(each => each.request.length <= x509.capacity! && !done.has(each.id))
            for (const each of cases) done.add(each.id)
            const replies = await askVm(
                x509,
                cases.map(each => each.request),
            )
            const named = replies.map((reply, i) => [cases[i].id, reply])
            expect(named).toEqual(cases.map(each => [each.id, askNode(x509, each.request)]))
        }, 300_000)
    })
}
