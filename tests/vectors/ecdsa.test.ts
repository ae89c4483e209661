import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { ecdsa } from "../../tools/vectors/ecdsa.ts"
import { runFormat } from "../../tools/vectors/run.ts"
import { hasVectors, vectorPath } from "../extras.ts"

const present = hasVectors("wycheproof", "nist-acvp")

/** File, its cases, and how many of them are not supported (ACVP: randomised hashing of SP 800-106). */
const files: [string, number, number][] = [
    ["wycheproof/ecdsa_secp256r1_sha256_test.json", 194, 0],
    ["wycheproof/ecdh_secp256r1_ecpoint_test.json", 144, 0],
    ["wycheproof/ecdh_secp256r1_test.json", 120, 0],
    ["nist-acvp/ECDSA-SigVer-FIPS186-5.json", 7, 0],
    ["nist-acvp/DetECDSA-SigGen-FIPS186-5.json", 12, 6],
]

async function run(file: string, where: "node" | "vm") {
    const path = vectorPath(file)
    const json = JSON.parse(readFileSync(path, "utf8"))
    expect(ecdsa.recognises(json, path)).toBe(true)
    const results = await runFormat(ecdsa, ecdsa.cases(json, path), where)
    return {
        cases: results.length,
        unsupported: results.filter(({ verdict }) => verdict !== "pass" && "unsupported" in verdict).length,
        failed: results.filter(({ verdict }) => verdict !== "pass" && "fail" in verdict),
    }
}

describe.skipIf(!present)("public vectors of ECDSA and ECDH on P-256", () => {
    for (const [file, cases, unsupported] of files) {
        it(`${file}: every case holds in Node`, async () => {
            expect(await run(file, "node")).toEqual({ cases, unsupported, failed: [] })
        })

        it(`${file}: every case holds in the VM`, async () => {
            expect(await run(file, "vm")).toEqual({ cases, unsupported, failed: [] })
        }, 600_000)
    }
})
