import { beforeAll, describe, expect, it } from "vitest"
import { type ChainCheck, verifyChain } from "../../firmware/core/chain"
import { parseCrl } from "../../firmware/core/crl"
import { digitalSignature, keyCertSign, nonRepudiation } from "../../firmware/core/x509"
import { x509 } from "../../tools/pki/x509.ts"
import { crlOf, noon, party, read, type TestParty } from "../helpers/certificates.ts"
import { codeThrown } from "../helpers/errors"

let root: TestParty
let authority: TestParty
let leaf: TestParty

beforeAll(async () => {
    root = await party({ name: "Root" })
    authority = await party({ name: "Authority", issuer: root, ca: true, pathLength: 0 })
    leaf = await party({ name: "Leaf", issuer: authority })
})

/** The code `verifyChain` throws for this chain, "none" where it holds. */
function result(chain: TestParty[], options: Partial<ChainCheck> = {}): string {
    return codeThrown(() => verifyChain({ chain: chain.map(read), anchors: [read(root)], atSeconds: noon, ...options }))
}

describe("A chain to an anchor", () => {
    it("holds and answers its leaf, with or without the anchor at its end", () => {
        const check = { chain: [leaf, authority].map(read), anchors: [read(root)], atSeconds: noon }
        expect(verifyChain(check).der).toEqual(leaf.der)
        expect(result([leaf, authority, root])).toBe("none")
    })

    it("of nothing is the caller's fault", () => {
        expect(result([])).toBe("BadArgument")
    })

    it("ends at the anchor whose key it names, among several of one name", async () => {
        const older = await party({ name: "Root" })
        expect(result([leaf, authority], { anchors: [read(older), read(root)] })).toBe("none")
        expect(result([leaf, authority], { anchors: [read(older)] })).toBe("ChainKeyId")
    })

    it("is refused without its anchor, without a link, or in another order", async () => {
        const stranger = await party()
        expect(result([leaf, authority], { anchors: [read(stranger)] })).toBe("ChainIssuer")
        expect(result([leaf, authority], { anchors: [] })).toBe("ChainIssuer")
        expect(result([leaf])).toBe("ChainIssuer")
        expect(result([authority, leaf])).toBe("ChainIssuer")
    })

    it("is refused if another key signed in the issuer's name", async () => {
        const forger = { ...authority, keys: (await party()).keys }
        const forged = await party({
            issuer: forger,
            extensions: [
                new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
                await x509.AuthorityKeyIdentifierExtension.create(authority.keys.publicKey),
            ],
        })
        expect(result([forged, authority])).toBe("ChainSignature")
        const honestName = await party({ issuer: forger })
        expect(result([honestName, authority])).toBe("ChainKeyId")
    })

    it("is valid in its first and in its last second and not one second more", () => {
        const { notBefore, notAfter } = leaf.certificate
        const at = (date: Date, seconds: number) => ({ atSeconds: date.getTime() / 1000 + seconds })
        expect(result([leaf, authority], at(notBefore, 0))).toBe("none")
        expect(result([leaf, authority], at(notBefore, -1))).toBe("ChainNotYetValid")
        expect(result([leaf, authority], at(notAfter, 0))).toBe("none")
        expect(result([leaf, authority], at(notAfter, 1))).toBe("ChainExpired")
    })

    it("is refused while any certificate of it is out of date, the anchor's too", async () => {
        const old = await party({ issuer: root, ca: true, notAfter: new Date(Date.UTC(2029, 0, 1)) })
        expect(result([await party({ issuer: old }), old])).toBe("ChainExpired")
        const lateRoot = await party({ notBefore: new Date(Date.UTC(2031, 0, 1)) })
        expect(result([await party({ issuer: lateRoot })], { anchors: [read(lateRoot)] })).toBe("ChainNotYetValid")
    })

    it("goes through certification authorities only", async () => {
        const end = await party({ issuer: root })
        expect(result([await party({ issuer: end }), end])).toBe("ChainNotCa")
        const mute = await party({ issuer: root, ca: true, usage: x509.KeyUsageFlags.cRLSign })
        expect(result([await party({ issuer: mute }), mute])).toBe("ChainKeyUsage")
    })

    it("respects every path length above, and self-issued certificates do not count", async () => {
        const below = await party({ issuer: authority, ca: true })
        expect(result([await party({ issuer: below }), below, authority])).toBe("ChainPathLength")
        const rollover = await party({ name: "Authority", issuer: authority, ca: true })
        expect(result([await party({ issuer: rollover }), rollover, authority])).toBe("none")
    })

    it("is no longer than the caller allows, and never longer than 10", async () => {
        const chain = [root]
        for (let i = 0; i < 11; ++i) chain.unshift(await party({ issuer: chain[0], ca: true }))
        expect(result(chain.slice(-4), { maxIntermediates: 2 })).toBe("none")
        expect(result(chain.slice(-5), { maxIntermediates: 2 })).toBe("ChainTooLong")
        expect(result(chain, { maxIntermediates: 99 })).toBe("ChainTooLong")
    })

    it("has a leaf that may be used as asked", async () => {
        expect(result([leaf, authority], { keyUsage: digitalSignature })).toBe("none")
        expect(result([leaf, authority], { keyUsage: digitalSignature | nonRepudiation })).toBe("ChainKeyUsage")
        expect(result([leaf, authority], { keyUsage: keyCertSign })).toBe("ChainKeyUsage")
        const purpose = Buffer.from("2b06010505070302", "hex")
        expect(result([leaf, authority], { extendedKeyUsage: purpose })).toBe("ChainExtendedKeyUsage")
        const more = [new x509.ExtendedKeyUsageExtension(["1.3.6.1.5.5.7.3.9", "1.3.6.1.5.5.7.3.2"])]
        const client = await party({ issuer: authority, more })
        expect(result([client, authority], { extendedKeyUsage: purpose })).toBe("none")
    })

    it("that carries name constraints is refused whole", async () => {
        const more = [new x509.Extension("2.5.29.30", true, Buffer.from("300aa1083006820474657374", "hex"))]
        const bound = await party({ issuer: root, ca: true, more })
        expect(result([await party({ issuer: bound }), bound])).toBe("ChainNameConstraints")
    })
})

describe("Revocation lists", () => {
    const crls = async (...ders: Promise<Buffer>[]) => ({ crls: (await Promise.all(ders)).map(parseCrl) })

    it("refuse a revoked certificate anywhere in the chain, and no other", async () => {
        const other = await party({ issuer: authority })
        expect(result([leaf, authority], await crls(crlOf(authority, [other]), crlOf(root)))).toBe("none")
        expect(result([leaf, authority], await crls(crlOf(authority, [other, leaf]), crlOf(root)))).toBe("ChainRevoked")
        expect(result([leaf, authority], await crls(crlOf(root, [authority])))).toBe("ChainRevoked")
    })

    it("keep a certificate revoked although the list is no longer current", async () => {
        const past = { thisUpdate: new Date(Date.UTC(2029, 0, 1)), nextUpdate: new Date(Date.UTC(2029, 1, 1)) }
        expect(result([leaf, authority], await crls(crlOf(authority, [leaf], past)))).toBe("ChainRevoked")
    })

    it("prove nothing before thisUpdate and after nextUpdate, unless a current one is there too", async () => {
        const past = { thisUpdate: new Date(Date.UTC(2029, 0, 1)), nextUpdate: new Date(Date.UTC(2029, 1, 1)) }
        const future = { thisUpdate: new Date(Date.UTC(2031, 0, 1)), nextUpdate: new Date(Date.UTC(2031, 1, 1)) }
        expect(result([leaf, authority], await crls(crlOf(authority, [], past)))).toBe("CrlStale")
        expect(result([leaf, authority], await crls(crlOf(authority, [], future)))).toBe("CrlNotYetValid")
        expect(result([leaf, authority], await crls(crlOf(authority, [], past), crlOf(authority)))).toBe("none")
    })

    it("are missed only where the caller requires them", async () => {
        expect(result([leaf, authority], { crlRequired: true })).toBe("CrlMissing")
        const half = await crls(crlOf(authority))
        expect(result([leaf, authority], { ...half, crlRequired: true })).toBe("CrlMissing")
        const both = await crls(crlOf(authority), crlOf(root))
        expect(result([leaf, authority], { ...both, crlRequired: true })).toBe("none")
    })

    it("count only from the issuer, signed by its key, which may sign lists", async () => {
        const stranger = await party()
        expect(result([leaf, authority], await crls(crlOf(stranger, [leaf])))).toBe("none")
        expect(result([leaf, authority], await crls(crlOf(authority, [], { signer: stranger })))).toBe("CrlSignature")
        const silent = await party({ issuer: root, ca: true, usage: x509.KeyUsageFlags.keyCertSign })
        expect(result([await party({ issuer: silent }), silent], await crls(crlOf(silent)))).toBe("ChainKeyUsage")
    })

    it("that are deltas, partial or unnumbered, or hold an unknown critical extension are refused", async () => {
        const number = new x509.Extension("2.5.29.20", false, new Uint8Array([2, 1, 7]))
        const refused = async (...extensions: x509.Extension[]) => {
            const der = await crlOf(authority, [], { extensions })
            return codeThrown(() => parseCrl(der))
        }
        expect(await refused(number)).toBe("none")
        expect(await refused(number, new x509.Extension("2.5.29.27", true, new Uint8Array([2, 1, 6])))).toBe("CrlKind")
        expect(await refused(number, new x509.Extension("2.5.29.28", true, new Uint8Array([0x30, 0])))).toBe("CrlKind")
        expect(await refused(number, new x509.Extension("1.2.3.4", true, new Uint8Array([5, 0])))).toBe("X509Critical")
        expect(await refused(new x509.Extension("1.2.3.4", false, new Uint8Array([5, 0])))).toBe("X509Extension")
    })
})
