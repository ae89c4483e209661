import { createECDH, randomBytes } from "node:crypto"
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Held } from "../../firmware/core/inventory.ts"
import { readConcentrator } from "../../tools/bench/concentrator-files.ts"
import { concentratorHoldings, listHoldings } from "../../tools/bench/expected.ts"
import { compareHoldings } from "../../tools/bench/holdings.ts"
import { type Kept, memoryMatrix, type Searched } from "../../tools/bench/memories.ts"
import { fingerprintOf, privateOctets } from "../../tools/bench/scan.ts"
import { initPki } from "../../tools/pki/init.ts"
import { issueWithKey } from "../../tools/pki/issue.ts"
import { readPem } from "../../tools/pki/pem.ts"

const folder = mkdtempSync(join(tmpdir(), "plomb-memories-"))
const pki = join(folder, "pki")
const id = "05010203040501"

function der(...path: string[]): Buffer {
    return readPem(readFileSync(join(pki, ...path), "utf8"))[0].der
}

beforeAll(async () => {
    await initPki(pki)
    await issueWithKey(pki, "concentrator", id)
    // The key of a device's certificate is in no folder: it is taken out of this one into an element.
    await issueWithKey(pki, "muc", id)
})
afterAll(() => rmSync(folder, { recursive: true }))

describe("The memories of a device", () => {
    let slot: Buffer
    let device: Searched
    let fram: Buffer
    const secret: Kept = { name: "KEY1PLC", octets: randomBytes(32), holder: "MUC", from: 0x8000, to: 0x9000 }

    /** What is said of the FRAM, of slot 0 and of the slots. */
    function said(changes: Partial<Searched> = {}, secrets: Kept[] = []): string[] {
        const { rows } = memoryMatrix([{ ...device, ...changes }], pki, secrets)
        return rows.map(({ cells: [{ state, why }] }) => (state === "expected" ? "so" : why!))
    }

    beforeAll(() => {
        const path = join(pki, "mucs", id, "key.pem")
        slot = Buffer.concat([Buffer.alloc(4), privateOctets(readFileSync(path, "utf8"))])
        rmSync(path)
        fram = Buffer.alloc(0x20000)
        der("mucs", id, "cert.pem").copy(fram, 0x2006)
        der("ca-root", "crl.pem").copy(fram, 0x9006)
        device = {
            holder: "MUC",
            holdings: [{ kind: Held.Own, what: "CERT_MUC", id: fingerprintOf(der("mucs", id, "cert.pem")) }],
            own: der("mucs", id, "cert.pem"),
            listsOf: ["Plomb CA Root"],
            memories: [{ name: "FRAM, 128 KB", octets: fram }],
            keySlots: [slot],
        }
    })

    const withMore = (at: number, octets: Buffer) => {
        const full = Buffer.from(fram)
        octets.copy(full, at)
        return { memories: [{ name: "FRAM, 128 KB", octets: full }] }
    }

    it("are as they must be with its certificate, lists it asks about, and its key in slot 0", () => {
        expect(said()).toEqual(["so", "so", "so"])
        expect(said(withMore(0x8010, secret.octets), [secret])).toEqual(["so", "so", "so"])
    })

    it("are not with another certificate, another's list, or one of its own missing", () => {
        const [other] = said(withMore(0x12345, der("operator", "cert.pem")))
        expect(other).toBe("certificate (Plomb Operator) at 0x12345")
        expect(said(withMore(1, der("manufacturer", "crl.pem")))[0]).toContain("revocation list (Plomb Manufacturer)")
        expect(said(withMore(0x2006, Buffer.alloc(2000)))[0]).toContain("not found: ")
        expect(said(withMore(0x12345, der("operator", "cert.pem").subarray(0, 400)))[0]).toContain("remnant (")
    })

    it("are not with a key of the PKI, its own key outside the element, or a secret out of its place", () => {
        const operator = privateOctets(readFileSync(join(pki, "operator/key.pem"), "utf8"))
        expect(said(withMore(0x15000, operator))[0]).toContain("secret (private key of operator) at 0x15000")
        expect(said(withMore(0x15000, slot.subarray(4)))[0]).toContain("secret (key in slot 0 of MUC) at 0x15000")
        expect(said({}, [secret])[0]).toBe("not found: KEY1PLC")
        expect(said(withMore(0x7ff0, secret.octets), [secret])[0]).toContain("secret (KEY1PLC) at 0x7ff0")
        const foreign = withMore(0x8010, secret.octets)
        expect(said({ ...foreign, holder: "meter" }, [secret])[0]).toContain("secret (KEY1PLC) at 0x8010")
        expect(said({ keySlots: [slot, Buffer.concat([Buffer.alloc(4), operator])] })[2]).toContain("operator")
    })

    it("are not with another key in slot 0, or none", () => {
        const pair = createECDH("prime256v1")
        pair.generateKeys()
        const other = Buffer.concat([Buffer.alloc(36 - pair.getPrivateKey().length), pair.getPrivateKey()])
        for (const wrong of [other, Buffer.alloc(36, 0xff)])
            expect(said({ keySlots: [wrong] })[1]).toContain("slot 0 must hold the key")
    })
})

describe("The folder of a concentrator", () => {
    const own = join(folder, "concentrator")

    /** Which rows do not fit, and what is wrong with the key. */
    function judged(): string[] {
        const { items, key } = readConcentrator(own)
        const holdings = [...concentratorHoldings(pki, id), ...listHoldings(pki, ["ca-root"])]
        const rows = compareHoldings("concentrator", holdings, items).filter(({ fits }) => !fits)
        return [...rows.map(({ what }) => what), key].filter(text => text !== "")
    }

    beforeAll(() => {
        mkdirSync(join(own, "store"), { recursive: true })
        for (const name of ["key.pem", "chain.pem"]) copyFileSync(join(pki, "concentrators", id, name), join(own, name))
        copyFileSync(join(pki, "ca-root/cert.pem"), join(own, "ca.pem"))
        copyFileSync(join(pki, "ca-root/crl.pem"), join(own, "crl.pem"))
        chmodSync(join(own, "key.pem"), 0o600)
        writeFileSync(join(own, "store/journal"), "readings")
    })

    it("holds its chain, the CA root, the lists and its key, each however often it is written down", () => {
        expect(judged()).toEqual([])
        expect(readConcentrator(own).rest.toString()).toBe("readings")
    })

    it("shows what is too much, wherever it lies, and a key that is open or another's", () => {
        const more = join(own, "store", "more.pem")
        copyFileSync(join(pki, "security-management/cert.pem"), more)
        expect(judged()).toEqual(["SecurityManagement"])
        copyFileSync(join(pki, "operator/cert.pem"), more)
        expect(judged()).toEqual(["Own", "the private key of another certificate"])
        copyFileSync(join(pki, "operator/key.pem"), more)
        expect(judged()).toEqual(["2 private keys"])
        rmSync(more)
        chmodSync(join(own, "key.pem"), 0o644)
        expect(judged()).toEqual(["a private key that others may read"])
        copyFileSync(join(pki, "operator/key.pem"), join(own, "key.pem"))
        chmodSync(join(own, "key.pem"), 0o600)
        expect(judged()).toEqual(["the private key of another certificate"])
    })
})
