import { X509Certificate } from "node:crypto"
import fc from "fast-check"
import { beforeAll, describe, expect, it } from "vitest"
import { verifyChain } from "../../firmware/core/chain"
import { PlombError } from "../../firmware/core/errors"
import { cRLSign, keyCertSign, parseCertificate } from "../../firmware/core/x509"
import { nameText, sameName } from "../../firmware/core/x509-name"
import { x509 } from "../../tools/pki/x509.ts"
import { noon, party, read, type TestParty } from "../helpers/certificates.ts"
import { codeThrown } from "../helpers/errors"

let root: TestParty
let authority: TestParty

beforeAll(async () => {
    root = await party({ name: "Root" })
    authority = await party({ name: "Authority", issuer: root, ca: true, pathLength: 3, serial: "00ab12" })
})

/** All headers of the elements inside `der`, down to what is not constructed. */
function headers(der: Buffer): { at: number; lengthAt: number; lengthEnd: number }[] {
    const found: { at: number; lengthAt: number; lengthEnd: number }[] = []
    const walk = (from: number, to: number) => {
        for (let at = from; at < to; ) {
            const count = der[at + 1] < 0x80 ? 0 : der[at + 1] & 0x7f
            const length = count === 0 ? der[at + 1] : der.readUIntBE(at + 2, count)
            const start = at + 2 + count
            found.push({ at, lengthAt: at + 1 + (count > 0 ? 1 : 0), lengthEnd: start })
            if (der[at] & 0x20) walk(start, start + length)
            at = start + length
        }
    }
    walk(0, der.length)
    return found
}

describe("Certificates", () => {
    it("are read field by field, in the octets as sent", () => {
        const certificate = read(authority)
        const peer = new X509Certificate(authority.der)
        expect(nameText(certificate.der, certificate.subjectAt, 3)).toBe("Authority")
        expect(nameText(certificate.der, certificate.issuerAt, 3)).toBe("Root")
        expect(nameText(certificate.der, certificate.subjectAt, 5)).toBe("")
        expect(certificate.notBefore).toBe(Date.parse(peer.validFrom) / 1000)
        expect(certificate.notAfter).toBe(Date.parse(peer.validTo) / 1000)
        expect(certificate.serial.toString("hex")).toBe("00ab12")
        expect(certificate.publicKey).toEqual(peer.publicKey.export({ type: "spki", format: "der" }).subarray(-64))
        expect([certificate.isCa, certificate.pathLength]).toEqual([true, 3])
        expect(certificate.keyUsage).toBe(keyCertSign | cRLSign)
        expect(certificate.authorityKeyId).toEqual(read(root).subjectKeyId)
        expect(certificate.der).toBe(authority.der)
    })

    it("with a role carry it as a span for those who know it", async () => {
        const role = new x509.Extension("1.3.6.1.3.20556.1", true, Buffer.from("0c026f70", "hex"))
        const { der } = await party({ issuer: root, more: [role] })
        const { roleAt } = parseCertificate(der)
        expect(der.subarray(roleAt, roleAt + 4).toString("hex")).toBe("0c026f70")
    })

    it("with an unknown extension are refused where it is critical", async () => {
        const more = (critical: boolean) => [
            new x509.Extension("1.3.6.1.4.1.1.1", critical, Buffer.from("0500", "hex")),
        ]
        const plain = await party({ issuer: root, more: more(false) })
        const critical = await party({ issuer: root, more: more(true) })
        expect(codeThrown(() => read(plain))).toBe("none")
        expect(codeThrown(() => read(critical))).toBe("X509Critical")
    })

    it("of other algorithms and versions are well formed but not ours", async () => {
        const keys = (await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-384" }, true, [
            "sign",
            "verify",
        ])) as CryptoKeyPair
        const other = await party({ issuer: root, keys })
        expect(codeThrown(() => read(other))).toBe("X509Algorithm")
    })

    it("are refused when cut anywhere or continued", () => {
        for (let length = 0; length < authority.der.length; ++length)
            expect(codeThrown(() => parseCertificate(authority.der.subarray(0, length)))).toBe("DerTruncated")
        const longer = Buffer.concat([authority.der, Buffer.alloc(1)])
        expect(codeThrown(() => parseCertificate(longer))).toBe("DerTrailing")
    })

    it("are refused when any length in them is one off, or any tag another", () => {
        for (const { at, lengthAt, lengthEnd } of headers(authority.der))
            for (const [where, change] of [
                [lengthEnd - 1, 1],
                [lengthEnd - 1, -1],
                [at, 1],
                [at, 0x20],
                [lengthAt, 0x80],
            ]) {
                const bent = Buffer.from(authority.der)
                bent[where] = (bent[where] + change) & 0xff
                // A name's text may change its type within DirectoryString; nothing else may
                const text = where === at && authority.der[at] < 0x1f && authority.der[at] > 0x0b
                if (!text) expect([where, codeThrown(() => parseCertificate(bent))]).not.toEqual([where, "none"])
            }
    })

    it("changed in any octet are a typed error with an offset inside, or no chain", () => {
        const anchor = read(root)
        fc.assert(
            fc.property(fc.nat({ max: authority.der.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, change) => {
                const bent = Buffer.from(authority.der)
                bent[at] ^= change
                try {
                    verifyChain({ chain: [parseCertificate(bent)], anchors: [anchor], atSeconds: noon })
                } catch (error) {
                    expect(error).toBeInstanceOf(PlombError)
                    expect((error as PlombError).at).toBeLessThanOrEqual(bent.length)
                    return
                }
                throw new Error(`octet ${at} ^ ${change} was accepted`)
            }),
            { numRuns: 1500 },
        )
    })
})

describe("Names", () => {
    const name = (json: x509.JsonName) => Buffer.from(new x509.Name(json).toArrayBuffer())
    const same = (a: x509.JsonName, b: x509.JsonName) => sameName(name(a), 0, name(b), 0)

    it("are the same without regard to case and blanks of printable and UTF-8 text (RFC 5280 7.1)", () => {
        expect(same([{ CN: ["Plomb  Root "] }], [{ CN: ["plomb ROOT"] }])).toBe(true)
        expect(same([{ CN: [{ utf8String: "Plomb" }] }] as any, [{ CN: [{ printableString: "PLOMB" }] }] as any)).toBe(
            true,
        )
        expect(same([{ CN: ["Plomb Root"] }], [{ CN: ["PlombRoot"] }])).toBe(false)
    })

    it("differ by attribute, order, number and content", () => {
        expect(same([{ CN: ["a"] }], [{ O: ["a"] }])).toBe(false)
        expect(same([{ CN: ["a"] }, { O: ["b"] }], [{ O: ["b"] }, { CN: ["a"] }])).toBe(false)
        expect(same([{ CN: ["a"] }, { O: ["b"] }], [{ CN: ["a"] }])).toBe(false)
        expect(same([{ CN: ["a"] }], [{ CN: ["a"] }, { O: ["b"] }])).toBe(false)
        expect(same([{ CN: ["a"], O: ["b"] }], [{ CN: ["a"], O: ["c"] }])).toBe(false)
    })

    it("in other text types are compared octet by octet", () => {
        expect(same([{ E: ["a@b"] }], [{ E: ["A@b"] }])).toBe(false)
        expect(same([{ E: ["a@b"] }], [{ E: ["a@b"] }])).toBe(true)
    })
})
