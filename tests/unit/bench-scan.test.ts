import { createHash, generateKeyPairSync } from "node:crypto"
import { beforeAll, describe, expect, it } from "vitest"
import { fingerprintOf, privateOctets, scan } from "../../tools/bench/scan.ts"
import { crlOf, party, type TestParty } from "../helpers/certificates.ts"

let root: TestParty
let leaf: TestParty
let list: Buffer
let memory: Buffer

/** 128 KB in which everything looks like something: the octets of a hash chain. */
function noise(): Buffer {
    const octets = Buffer.alloc(0x20000)
    let hash = Buffer.from("noise")
    for (let at = 0; at < octets.length; at += 32) {
        hash = createHash("sha256").update(hash).digest()
        hash.copy(octets, at)
    }
    return octets
}

beforeAll(async () => {
    root = await party({ name: "Root" })
    leaf = await party({ name: "Leaf", issuer: root })
    list = await crlOf(root, [leaf])
    memory = noise()
})

describe("The scan of a memory", () => {
    it("finds nothing in octets that mean nothing", () => {
        expect(scan(memory, [root.der, leaf.der], [])).toEqual([])
        expect(scan(Buffer.alloc(0x20000), [root.der], [])).toEqual([])
        expect(scan(Buffer.alloc(0x1000, 0x30), [root.der], [])).toEqual([])
    })

    it("finds certificates and lists, whole, wherever they stand", () => {
        const full = Buffer.from(memory)
        leaf.der.copy(full, 0x1fffe - leaf.der.length)
        list.copy(full, 77)
        expect(scan(full, [root.der, leaf.der], [])).toEqual([
            { kind: "revocation list", name: "Root", at: 77, fingerprint: fingerprintOf(list) },
            { kind: "certificate", name: "Leaf", at: 0x1fffe - leaf.der.length, fingerprint: fingerprintOf(leaf.der) },
        ])
    })

    it("finds an empty list, whose length has one octet", async () => {
        const empty = await crlOf(root)
        expect(empty[1]).toBe(0x81)
        const full = Buffer.from(memory)
        empty.copy(full, 5)
        expect(scan(full, [], []).map(({ kind }) => kind)).toEqual(["revocation list"])
    })

    it("finds what is left of a certificate: its beginning, or the key in it", () => {
        const torn = Buffer.from(memory)
        leaf.der.copy(torn, 4096, 0, 300)
        expect(scan(torn, [leaf.der], []).map(({ kind, name }) => [kind, name])).toEqual([
            ["remnant", "the beginning of a certificate"],
            ["remnant", "key of Leaf"],
        ])
        const tail = Buffer.from(memory)
        leaf.der.copy(tail, 4096, 60)
        expect(scan(tail, [leaf.der], []).map(({ name }) => name)).toEqual(["key of Leaf"])
    })

    it("finds private keys and secrets, plain, in DER and back to front", () => {
        const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
        const octets = privateOctets(privateKey.export({ format: "pem", type: "pkcs8" }) as string)
        expect(octets.length).toBe(32)
        const secrets = [{ name: "the key", octets }]
        const full = Buffer.from(memory)
        octets.copy(full, 1000)
        Buffer.from(octets).reverse().copy(full, 2000)
        privateKey.export({ format: "der", type: "sec1" }).copy(full, 3000)
        const finds = scan(full, [], secrets)
        expect(finds.map(({ kind, at }) => [kind, at])).toEqual([
            ["secret", 1000],
            ["secret", 2000],
            ["private key", 3002],
            ["secret", 3007],
        ])
    })
})
