import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it } from "vitest"
import { PlombError } from "../../firmware/core/errors"
import { questions, x509 } from "../../tools/vectors/x509.ts"
import { runCases } from "../../tools/vm/harness.ts"

const vectors = process.env.PLOMB_VECTORS ?? "../shared/vectors"
const files = [
    "x509-limbo/limbo-current.json",
    "x509-limbo/limbo-published-2023-12.json",
    "x509-mbedtls-parse/parse.json",
]
/** What the program takes in one request; one case of 79 KB does not fit a board's heap. */
const capacity = 8192

/** The answer as the VM's program frames it. */
function inNode(request: Uint8Array): string {
    try {
        return `00${x509.answer(Buffer.from(request)).toString("hex")}`
    } catch (error) {
        if (!(error instanceof PlombError)) throw error
        const reply = Buffer.alloc(9, 1)
        reply.writeUInt32LE(error.code, 1)
        reply.writeInt32LE(error.at, 5)
        return reply.toString("hex")
    }
}

for (const file of files) {
    const path = join(vectors, file)
    const present = existsSync(path)
    if (!present) console.log(`left out: ${path} is not there (set PLOMB_VECTORS)`)

    describe.skipIf(!present)(`${file} in the VM`, () => {
        it("every case gives the same answer, code and offset as in Node", async () => {
            const all = questions(JSON.parse(readFileSync(path, "utf8")))
            const cases = all.filter(each => each.request.length <= capacity)
            expect(all.length - cases.length).toBeLessThanOrEqual(1)
            const outcomes = await runCases(
                x509.program,
                cases.map(each => each.request),
            )
            const answers = outcomes.map((outcome, i) => [
                cases[i].id,
                "failure" in outcome ? outcome.failure : Buffer.from(outcome.octets).toString("hex"),
            ])
            expect(answers).toEqual(cases.map(each => [each.id, inNode(each.request)]))
        }, 300_000)
    })
}
