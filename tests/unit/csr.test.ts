import { spawnSync } from "node:child_process"
import { createPublicKey, generateKeyPairSync } from "node:crypto"
import { describe, expect, it } from "vitest"
import { parseCsr, writeCsr } from "../../firmware/core/csr"
import { signP256 } from "../../firmware/core/ecdsa"
import { x509 } from "../../tools/pki/x509.ts"
import { hasProgram, requireExtra } from "../extras.ts"
import { codeThrown } from "../helpers/errors"

const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
const scalar = Buffer.from(privateKey.export({ format: "jwk" }).d!, "base64url")
const publicKey = createPublicKey(privateKey).export({ type: "spki", format: "der" }).subarray(-64)
const requester = { publicKey: () => publicKey, sign: (digest: Buffer) => signP256(scalar, digest) }
const csr = writeCsr("0a01504c420100000007", "7", requester)

describe("PKCS#10 requests", () => {
    it("name the device and its key, and are signed with it", async () => {
        const request = new x509.Pkcs10CertificateRequest(new Uint8Array(csr))
        expect(request.subjectName.getField("CN")).toEqual(["0a01504c420100000007"])
        expect(request.subjectName.getField("2.5.4.5")).toEqual(["7"])
        expect(Buffer.from(request.publicKey.rawData).subarray(-64)).toEqual(publicKey)
        expect(await request.verify()).toBe(true)
    })

    it("are read back with their proof of possession", () => {
        const read = parseCsr(csr)
        expect([read.commonName, read.serialNumber, read.publicKey]).toEqual(["0a01504c420100000007", "7", publicKey])
    })

    it("signed by another key, or changed anywhere, are refused", () => {
        const other = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" }).d!
        const stranger = { ...requester, sign: (digest: Buffer) => signP256(Buffer.from(other, "base64url"), digest) }
        expect(codeThrown(() => parseCsr(writeCsr("a", "b", stranger)))).toBe("CsrSignature")
        for (let at = 0; at < csr.length; ++at) {
            const bent = Buffer.from(csr)
            bent[at] ^= 0x01
            expect([at, codeThrown(() => parseCsr(bent))]).not.toEqual([at, "none"])
        }
    })

    it("made by others are read too", async () => {
        const keys = (await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
            "sign",
            "verify",
        ])) as CryptoKeyPair
        const made = await x509.Pkcs10CertificateRequestGenerator.create({
            name: "CN=operator",
            keys,
            signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
        })
        expect(parseCsr(Buffer.from(made.rawData)).commonName).toBe("operator")
    })

    const openssl = requireExtra("openssl", hasProgram("openssl", "version"), "Debian package openssl")
    it.skipIf(!openssl)("satisfy openssl req -verify", () => {
        const { stderr, stdout } = spawnSync("openssl", ["req", "-inform", "DER", "-verify", "-noout", "-subject"], {
            input: csr,
        })
        expect(`${stderr}`).toContain("verify OK")
        expect(`${stdout}`).toContain("serialNumber = 7")
    })
})
