import { createPrivateKey, createPublicKey } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { initPki } from "../../tools/pki/init.ts"
import { issueWithKey } from "../../tools/pki/issue.ts"
import { splitPem } from "../../tools/verify/certificate.ts"
import { judgeEvidence } from "../../tools/verify/evidence.ts"
import { reading, serverId, type World } from "../helpers/readings.ts"

let folder: string

beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "plomb-pki-"))
    await initPki(join(folder, "pki"))
    await issueWithKey(join(folder, "pki"), "meter", serverId)
})

afterAll(() => rmSync(folder, { recursive: true }))

function text(...path: string[]): string {
    return readFileSync(join(folder, "pki", ...path), "latin1")
}

describe("a reading under the certificates of plomb pki", () => {
    it("is proof: both sides read the same certificate profile", () => {
        const privateKey = createPrivateKey(text("meters", serverId, "key.pem"))
        const meter = { commonName: serverId, privateKey, publicKey: createPublicKey(privateKey), pem: "", serial: "" }
        const chain = splitPem(text("meters", serverId, "chain.pem"), "CERTIFICATE")
        const crls = ["institute-root", "calibration-authority"].map(party => text(party, "crl.pem"))
        const world = { root: meter, authority: meter, meter, crls } as World
        const now = new Date()
        const evidence = reading(
            world,
            { at: Math.floor(now.getTime() / 1000) },
            { chain, receivedAt: now.toISOString() },
        )
        const [verdict] = judgeEvidence("r", evidence, { anchors: [text("institute-root", "cert.pem")] })
        expect(verdict.findings.filter(({ needed, result }) => needed && result !== "proved")).toEqual([])
        expect(verdict.name).toBe("proof")
    })
})
