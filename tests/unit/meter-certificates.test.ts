import { beforeAll, describe, expect, test } from "vitest"
import { Held, HeldState, readItem } from "../../firmware/core/inventory"
import { TrustStore } from "../../firmware/core/trust-store"
import { Role } from "../../firmware/core/x509-role"
import { Certificates } from "../../firmware/meter/certificates"
import { TrustSlot, trustAt, trustSlotSize, trustSlots } from "../../firmware/meter/layout"
import { Places } from "../../firmware/meter/places"
import type { MeterTime } from "../../firmware/meter/time"
import { x509 } from "../../tools/pki/x509"
import { noon, party, read, type TestParty } from "../helpers/certificates"
import { codeThrown } from "../helpers/errors"
import { listOf, roleOf } from "../helpers/lists"
import { Cut, MemoryStore } from "../helpers/memory-store"

const provider = 1
const list = 2
const { keyCertSign, cRLSign, digitalSignature } = x509.KeyUsageFlags
const issuing = digitalSignature | keyCertSign | cRLSign

let ca: TestParty
let manufacturer: TestParty
let management: TestParty
let other: TestParty

beforeAll(async () => {
    ca = await party({ name: "CA" })
    manufacturer = await party({
        name: "Maker",
        issuer: ca,
        ca: true,
        usage: issuing,
        more: [roleOf(Role.manufacturer)],
    })
    management = await managementOf(ca)
    other = await managementOf(ca)
})

function managementOf(issuer: TestParty, more = [roleOf(Role.securityManagement)]): Promise<TestParty> {
    return party({ issuer, ca: true, usage: issuing, more })
}

/** A meter with CERT_MFC, and the line to it. */
class Bench {
    certificates: Certificates
    trusted = true

    constructor(readonly store = new MemoryStore(0x20000)) {
        const trust = new TrustStore(store, trustAt, trustSlotSize, trustSlots)
        if (!trust.read(TrustSlot.Manufacturer)) {
            trust.writePart(TrustSlot.Manufacturer, 0, manufacturer.der)
            trust.close(TrustSlot.Manufacturer, manufacturer.der.length)
        }
        const time = { trusted: () => this.trusted, utcSeconds: () => noon } as unknown as MeterTime
        this.certificates = new Certificates(store, trust, time, new Places(store))
    }

    /** Sends `object` and its issuer's certificate in parts, then the order; the code of a refusal. */
    bring(kind: number, object: Buffer, issuer: Buffer = Buffer.alloc(0)): string {
        const whole = Buffer.concat([object, issuer])
        return codeThrown(() => {
            for (let at = 0; at < whole.length; at += 700)
                this.certificates.order(
                    Buffer.concat([Buffer.from([0, at >> 8, at & 255]), whole.subarray(at, at + 700)]),
                )
            const lengths = [object.length, issuer.length].flatMap(length => [length >> 8, length & 255])
            this.certificates.order(Buffer.from([kind, ...lengths]))
        })
    }

    items() {
        return this.certificates.inventory(Buffer.alloc(6)).map(child => readItem(child[1][1][1]))
    }

    /** State of CERT_SM, or "none". */
    provider(): string {
        const item = this.items().find(({ kind }) => kind === Held.SecurityManagement)
        return item ? HeldState[item.state] : "none"
    }

    /** Numbers of the lists held. */
    numbers(): number[] {
        return this.items()
            .filter(({ kind }) => kind === Held.RevocationList)
            .map(({ number }) => number[0])
    }
}

describe("the first CERT_SM", () => {
    test("is taken with the certificate of the CA that issued CERT_MFC, and a second one is not", () => {
        const bench = new Bench()
        expect(bench.bring(provider, management.der, ca.der)).toBe("none")
        expect(bench.certificates.held(TrustSlot.SecurityManagement)?.der).toEqual(management.der)
        expect(bench.bring(provider, other.der, ca.der)).toBe("ProviderHeld")
        expect(bench.certificates.held(TrustSlot.SecurityManagement)?.der).toEqual(management.der)
        expect(new Bench(bench.store).provider()).toBe("InForce")
    })

    test("is refused from another CA, also from one of the same name", async () => {
        for (const name of ["Other CA", "CA"]) {
            const foreign = await party({ name })
            const code = new Bench().bring(provider, (await managementOf(foreign)).der, foreign.der)
            expect(code).toBe(name === "CA" ? "ChainKeyId" : "ChainIssuer")
        }
    })

    test("is refused from an issuer that carries the CA's name and key identifier, but not its key", async () => {
        const id = ca.certificate.getExtension(x509.SubjectKeyIdentifierExtension)!
        const forger = await party({
            name: "CA",
            extensions: [
                new x509.BasicConstraintsExtension(true, undefined, true),
                new x509.KeyUsagesExtension(keyCertSign | cRLSign, true),
                id,
            ],
        })
        expect(new Bench().bring(provider, management.der, forger.der)).toBe("ChainSignature")
    })

    test("is refused without the CA's certificate, of another role, without role, not yet valid, expired, or when it may not issue", async () => {
        const wrong: [string, Promise<TestParty>][] = [
            ["RoleMismatch", managementOf(ca, [roleOf(Role.operator)])],
            ["RoleMismatch", managementOf(ca, [])],
            ["ChainKeyUsage", party({ issuer: ca, more: [roleOf(Role.securityManagement)] })],
            ["ChainExpired", party({ issuer: ca, ca: true, usage: issuing, notAfter: new Date(Date.UTC(2030, 0, 1)) })],
            ["ChainNotYetValid", party({ issuer: ca, ca: true, notBefore: new Date(Date.UTC(2031, 0, 1)) })],
        ]
        for (const [code, made] of wrong) expect(new Bench().bring(provider, (await made).der, ca.der)).toBe(code)
        expect(new Bench().bring(provider, management.der)).toBe("CertificateMissing")
    })

    test("is refused while the time is not trusted", () => {
        const bench = new Bench()
        bench.trusted = false
        expect(bench.bring(provider, management.der, ca.der)).toBe("TimeNotTrusted")
    })

    test("is refused when the CA's list at hand names it", async () => {
        const bench = new Bench()
        expect(bench.bring(list, await listOf(ca, 1, [management]), ca.der)).toBe("none")
        expect(bench.bring(provider, management.der, ca.der)).toBe("ChainRevoked")
    })

    test("parts without the first, beyond the room, or lost with the power: refused, and nothing is held", () => {
        const bench = new Bench()
        const order = (octets: number[], fill = 0) =>
            codeThrown(() => bench.certificates.order(Buffer.concat([Buffer.from(octets), Buffer.alloc(fill)])))
        expect(order([0, 1, 0], 5)).toBe("StepOutOfOrder")
        expect(order([1, 1, 0, 1, 0])).toBe("StepOutOfOrder")
        expect(order([0, 0, 0], 8)).toBe("none")
        expect(order([0, 7, 0xff], 2)).toBe("OutOfRange")
        expect(order([1, 8, 0, 8, 0])).toBe("OutOfRange")
        expect(order([])).toBe("OutOfRange")
        expect(bench.provider()).toBe("none")
    })
})

describe("revocation lists", () => {
    async function withProvider(): Promise<Bench> {
        const bench = new Bench()
        bench.bring(provider, management.der, ca.der)
        return bench
    }

    test("of the CA and of CERT_SM are kept side by side; only a higher number takes a place", async () => {
        const bench = await withProvider()
        expect(bench.bring(list, await listOf(ca, 3), ca.der)).toBe("none")
        expect(bench.bring(list, await listOf(management, 9))).toBe("none")
        expect(bench.bring(list, await listOf(ca, 2), ca.der)).toBe("CrlNotNewer")
        expect(bench.bring(list, await listOf(ca, 3), ca.der)).toBe("CrlNotNewer")
        for (const number of [4, 5, 6]) expect(bench.bring(list, await listOf(ca, number), ca.der)).toBe("none")
        expect(bench.bring(list, await listOf(management, 10))).toBe("none")
        expect(bench.numbers()).toEqual([6, 10])
    })

    test("of anybody else, or with another's signature, are refused", async () => {
        const bench = await withProvider()
        expect(bench.bring(list, await listOf(manufacturer, 1))).toBe("CertificateMissing")
        expect(bench.bring(list, await listOf(management, 1, [], { signer: manufacturer }))).toBe("CrlSignature")
        expect(bench.bring(list, await listOf(management, 1), ca.der)).toBe("ChainIssuer")
        expect(bench.bring(list, await listOf(ca, 1, [], { signer: manufacturer }), ca.der)).toBe("CrlSignature")
        const foreign = await party({ name: "CA" })
        expect(bench.bring(list, await listOf(foreign, 1), foreign.der)).toBe("ChainKeyId")
        expect(new Bench().bring(list, await listOf(management, 1))).toBe("CertificateMissing")
        expect(bench.numbers()).toEqual([])
    })

    test("larger than their place are refused, and the former one stands", async () => {
        const bench = await withProvider()
        bench.bring(list, await listOf(ca, 1), ca.der)
        const many = Array.from({ length: 60 }, (_, i) => {
            return { ...management, certificate: { serialNumber: (0x5000 + i).toString(16) } } as TestParty
        })
        const large = await listOf(ca, 2, many)
        expect(large.length).toBeGreaterThan(1018)
        expect(large.length + ca.der.length).toBeGreaterThan(2048)
        expect(bench.bring(list, large, ca.der)).toBe("OutOfRange")
        const fits = await listOf(ca, 2, many.slice(0, 30))
        expect(fits.length).toBeGreaterThan(1018)
        expect(bench.bring(list, fits, ca.der)).toBe("OutOfRange")
        expect(bench.numbers()).toEqual([1])
    })

    test("make a revoked CERT_SM absent: it says so, its own lists are not taken, and another takes its place", async () => {
        const bench = await withProvider()
        bench.bring(list, await listOf(management, 1))
        bench.bring(list, await listOf(ca, 1, [management]), ca.der)
        expect(bench.provider()).toBe("Revoked")
        expect(bench.certificates.held(TrustSlot.SecurityManagement)).toBe(undefined)
        expect(bench.bring(list, await listOf(management, 2))).toBe("CertificateMissing")
        expect(bench.bring(provider, management.der, ca.der)).toBe("ChainRevoked")
        expect(bench.bring(provider, other.der, ca.der)).toBe("none")
        expect(bench.certificates.held(TrustSlot.SecurityManagement)?.der).toEqual(other.der)
        expect(bench.numbers()).toEqual([1])
    })

    test("make a revoked CERT_MFC absent, while the CA that issued it goes on being known", async () => {
        const bench = new Bench()
        bench.bring(list, await listOf(ca, 1, [manufacturer]), ca.der)
        expect(bench.certificates.held(TrustSlot.Manufacturer)).toBe(undefined)
        expect(bench.items().find(({ kind }) => kind === Held.Manufacturer)?.state).toBe(HeldState.Revoked)
        expect(bench.bring(provider, management.der, ca.der)).toBe("none")
    })

    test("power that goes at any written octet leaves the former list or the new one", async () => {
        const former = await withProvider()
        former.bring(list, await listOf(ca, 1), ca.der)
        const next = await listOf(ca, 2, [management])
        const before = Buffer.from(former.store.cells)
        let seen = 0
        for (let cut = 0; ; ++cut) {
            const store = new MemoryStore(0x20000)
            before.copy(store.cells)
            store.cutAfter = cut
            let whole = false
            try {
                new Bench(store).bring(list, next, ca.der)
                whole = true
            } catch (error) {
                if (!(error instanceof Cut)) throw error
            }
            store.cutAfter = Number.POSITIVE_INFINITY
            const after = new Bench(store)
            const [number] = after.numbers()
            expect(after.provider()).toBe(number === 2 ? "Revoked" : "InForce")
            expect([1, 2]).toContain(number)
            if (number === 2) ++seen
            if (whole) break
        }
        expect(seen).toBe(1)
    })
})

test("the inventory names each certificate by its fingerprint, and lists by issuer and number", async () => {
    const bench = new Bench()
    bench.bring(provider, management.der, ca.der)
    bench.bring(list, await listOf(ca, 5), ca.der)
    const digest = async (der: Buffer) => Buffer.from(await crypto.subtle.digest("SHA-256", new Uint8Array(der)))
    const items = bench.items()
    expect(items.map(({ kind }) => kind)).toEqual([Held.Manufacturer, Held.SecurityManagement, Held.RevocationList])
    expect(items[0].fingerprint).toEqual(await digest(manufacturer.der))
    expect(items[1].fingerprint).toEqual(await digest(management.der))
    expect(items[2].issuerKeyId).toEqual(read(ca).subjectKeyId)
    expect(items[2].number).toEqual(Buffer.from([5]))
})
