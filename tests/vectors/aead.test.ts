import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { aead } from "../../tools/vectors/aead.ts"
import { kdf } from "../../tools/vectors/kdf.ts"
import { runFormat } from "../../tools/vectors/run.ts"
import { hasVectors, vectorPath } from "../extras.ts"

const present = hasVectors("wycheproof", "nist-acvp", "tls13-botan")

/** File, and how many questions its cases come to (a valid AEAD case is sealed and opened). */
const files: [string, number][] = [
    ["wycheproof/chacha20_poly1305_test.json", 270],
    ["wycheproof/aes_gcm_test.json", 84],
    ["nist-acvp/AES-GCM.json", 59],
    ["nist-acvp/AES-CBC.json", 82],
    ["wycheproof/hmac_sha256_test.json", 87],
    ["nist-acvp/HMAC-SHA2-256.json", 30],
    ["wycheproof/hkdf_sha256_test.json", 40],
    ["nist-acvp/TLS-v1.3-KDF.json", 30],
    ["tls13-botan/derived.json", 6],
]

async function run(file: string, where: "node" | "vm") {
    const path = vectorPath(file)
    const json = JSON.parse(readFileSync(path, "utf8"))
    const format = [aead, kdf].find(each => each.recognises(json, path))
    if (!format) throw new Error(`${file}: in neither format`)
    const results = await runFormat(format, format.cases(json, path), where)
    return { cases: results.length, rest: results.filter(({ verdict }) => verdict !== "pass") }
}

describe.skipIf(!present)("public vectors of AEAD and key derivation", () => {
    for (const [file, cases] of files) {
        it(`${file}: every case holds in Node`, async () => {
            expect(await run(file, "node")).toEqual({ cases, rest: [] })
        })

        it(`${file}: every case holds in the VM`, async () => {
            expect(await run(file, "vm")).toEqual({ cases, rest: [] })
        }, 600_000)
    }
})
