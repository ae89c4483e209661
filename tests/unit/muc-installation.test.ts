import { createPublicKey, pbkdf2Sync, X509Certificate } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { parseCsr } from "../../firmware/core/csr"
import { Floor } from "../../firmware/core/floor"
import { Held } from "../../firmware/core/inventory"
import { SoftwareArea } from "../../firmware/core/software"
import { MucClock } from "../../firmware/muc/clock"
import { Holdings } from "../../firmware/muc/holdings"
import { Identity, Step } from "../../firmware/muc/identity"
import { Installation } from "../../firmware/muc/installation"
import { KeyRing, mostKeys } from "../../firmware/muc/keys"
import { moreKeysAt, softwareAt, symmetricKeysAt, TrustSlot, trustAt } from "../../firmware/muc/layout"
import { SoftwareCustody } from "../../hal/keys-software"
import { passwordVerifier } from "../../tools/commission/secrets"
import { initPki } from "../../tools/pki/init"
import { issueDevice, issueWithKey } from "../../tools/pki/issue"
import { readPem } from "../../tools/pki/pem"
import { codeThrown } from "../helpers/errors"
import { Cut, MemoryStore } from "../helpers/memory-store"

const deviceId = Buffer.from("504c4d4300000007", "hex")
const serverId = "054d4300000007"
const hardware = Buffer.from("plomb-muc-1")
const now = Math.floor(Date.now() / 1000)
const issue = { now: new Date(now * 1000) }
const none = Buffer.alloc(0)
const address = Buffer.from("2423785634121b07", "hex")
const key = (octet: number, length = 32) => Buffer.alloc(length, octet)
const verifier = passwordVerifier("correct horse", Buffer.alloc(16, 1))

let folder: string
let pki: string
let foreign: string

beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "plomb-installation-"))
    pki = join(folder, "pki")
    foreign = join(folder, "foreign")
    await initPki(pki, issue)
    await initPki(foreign, issue)
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** DER of a party's certificate. */
function cert(party: string, from = pki): Buffer {
    return new X509Certificate(readFileSync(join(from, party, "cert.pem"))).raw
}

let store: MemoryStore
let rtc: { seconds: number; running: boolean; read(): any; set(at: number): void; temperatureQuarters(): number }

/** The MUC as it is after power comes. */
function started() {
    const custody = new SoftwareCustody(store)
    const identity = new Identity(store, deviceId)
    const clock = new MucClock(rtc, identity)
    const holdings = new Holdings(store)
    const keys = new KeyRing(store)
    const floor = new Floor(store, softwareAt + SoftwareArea.Floor, custody, () => custody)
    return {
        custody,
        floor,
        identity,
        clock,
        holdings,
        trust: holdings.trust,
        keys,
        installation: new Installation(identity, keys, holdings, custody, clock, floor),
    }
}

type Started = ReturnType<typeof started>

beforeEach(() => {
    store = new MemoryStore(0x20000)
    rtc = {
        seconds: 0,
        running: false,
        read: () => ({ utcSeconds: rtc.seconds, running: rtc.running }),
        set: at => {
            rtc.seconds = at
            rtc.running = true
        },
        temperatureQuarters: () => 80,
    }
})

function put({ installation }: Started, slot: number, der: Buffer): void {
    for (let at = 0; at < der.length; at += 192) installation.put(slot, at, der.subarray(at, at + 192))
    installation.close(slot, der.length)
}

function produce(muc: Started, from = pki): void {
    put(muc, TrustSlot.Manufacturer, cert("manufacturer", from))
    put(muc, TrustSlot.CaRoot, cert("ca-root", from))
    put(muc, TrustSlot.InstituteRoot, cert("institute-root", from))
    muc.installation.produce(hardware)
}

/** The MUC's certificate of this PKI; the request's key gets one certificate only. */
async function issued(request: Buffer, from = pki): Promise<Buffer> {
    rmSync(join(from, "mucs"), { recursive: true, force: true })
    return (await issueDevice(from, "muc", request, serverId, issue)).certificate
}

async function certify(muc: Started): Promise<void> {
    put(muc, TrustSlot.Muc, await issued(muc.installation.makeKey()))
    muc.installation.certify(now)
}

async function delivered(): Promise<Started> {
    const muc = started()
    produce(muc)
    await certify(muc)
    muc.installation.deliver()
    return muc
}

function bring({ installation }: Started): void {
    installation.putKey(Held.DisplayKey, none, key(1))
    installation.putKey(Held.UserKey, none, key(2))
    installation.putKey(Held.UserPassword, none, verifier)
}

const kinds = ({ keys }: Started) => keys.items().map(item => `${item[0]} ${item.toString("hex", 2)}`.trim())

describe("Production of a MUC", () => {
    it("goes from bare to delivered, each step remembered over a power cut", async () => {
        const steps: Step[] = []
        const note = () => steps.push(started().identity.step())
        note()
        produce(started())
        note()
        const request = started().installation.makeKey()
        note()
        const leaf = await issued(request)
        put(started(), TrustSlot.Muc, leaf)
        started().installation.certify(now)
        note()
        started().installation.deliver()
        note()
        expect(steps).toEqual([Step.Bare, Step.Produced, Step.KeyMade, Step.Certified, Step.Delivered])
        expect(started().identity.hardware().toString()).toBe("plomb-muc-1")
        expect(started().custody.state()).toEqual({ configured: true, keyPresent: true, sealed: true })
        expect(started().clock.nowSeconds()).toBe(now)
    })

    it("asks for a certificate of its server id, signed with the key it made inside", () => {
        const muc = started()
        produce(muc)
        const csr = parseCsr(muc.installation.makeKey())
        expect([csr.commonName, muc.identity.serverId.toString("hex")]).toEqual([serverId, serverId])
        expect(csr.publicKey).toEqual(muc.custody.publicKey())
        expect(parseCsr(started().installation.makeKey()).publicKey).toEqual(csr.publicKey)
    })

    it("needs its anchors and the manufacturer's certificate first, and that it is a manufacturer's", () => {
        const muc = started()
        put(muc, TrustSlot.CaRoot, cert("ca-root"))
        put(muc, TrustSlot.InstituteRoot, cert("institute-root"))
        expect(codeThrown(() => muc.installation.produce(hardware))).toBe("CertificateMissing")
        put(muc, TrustSlot.Manufacturer, cert("security-management"))
        expect(codeThrown(() => muc.installation.produce(hardware))).toBe("RoleMismatch")
        put(muc, TrustSlot.Manufacturer, cert("manufacturer"))
        expect(codeThrown(() => muc.installation.produce(Buffer.alloc(32, 65)))).toBe("BadArgument")
        expect(muc.identity.step()).toBe(Step.Bare)
        muc.installation.produce(hardware)
    })

    it.each<[string, string, (muc: Started) => void | Promise<void>]>([
        ["an earlier step is skipped", "StepOutOfOrder", muc => void muc.installation.makeKey()],
        ["it is to be delivered without a certificate", "StepOutOfOrder", muc => muc.installation.deliver()],
        ["it is to be certified without a key", "StepOutOfOrder", muc => muc.installation.certify(now)],
        ["a key comes before delivery", "StepOutOfOrder", muc => muc.installation.putKey(33, none, key(1))],
        ["it is to be closed before delivery", "StepOutOfOrder", muc => muc.installation.install(now)],
        ["the provider comes before delivery", "StepOutOfOrder", muc => muc.installation.put(4, 0, key(1))],
        ["a slot is none of installation's", "BadArgument", muc => muc.installation.put(5, 0, key(1))],
        ["a slot is negative", "BadArgument", muc => muc.installation.put(-1, 0, key(1))],
        ["a certificate is none", "DerTag", muc => put(muc, 1, key(7))],
        ["a certificate is too long for its slot", "OutOfRange", muc => muc.installation.put(1, 900, key(7, 192))],
    ])("refuses with nothing changed when %s", async (_what, code, attempt) => {
        const muc = started()
        const before = Buffer.from(store.cells.subarray(0, trustAt))
        expect(codeThrown(() => attempt(muc))).toBe(code)
        expect(store.cells.subarray(0, trustAt)).toEqual(before)
    })

    it("keeps its anchors from production on", () => {
        const muc = started()
        produce(muc)
        for (const slot of [TrustSlot.Manufacturer, TrustSlot.CaRoot, TrustSlot.InstituteRoot])
            expect(codeThrown(() => muc.installation.put(slot, 0, key(1)))).toBe("StepOutOfOrder")
    })

    it("has no floor of software, whatever its key's holder counted before", () => {
        const muc = started()
        produce(muc)
        for (let i = 0; i < 4; ++i) muc.custody.incrementCounter()
        expect(codeThrown(() => muc.floor.value())).toBe("FloorDamaged")
        muc.installation.makeKey()
        expect(started().floor.value()).toBe(0)
    })

    it("leaves a slot empty whose certificate was refused", () => {
        const muc = started()
        expect(codeThrown(() => put(muc, TrustSlot.CaRoot, key(7)))).toBe("DerTag")
        expect(muc.trust.read(TrustSlot.CaRoot)).toBeUndefined()
    })

    it.each<[string, string, (muc: Started) => Promise<Buffer>]>([
        ["is for another key", "CertificateForOtherKey", async () => cert(`mucs/${serverId}`)],
        [
            "names another device",
            "CertificateForOtherName",
            async muc => {
                const other = new Identity(new MemoryStore(0x2000), Buffer.from("504c4d4300000008", "hex"))
                const elsewhere = new Installation(other, muc.keys, muc.holdings, muc.custody, muc.clock, muc.floor)
                other.reach(Step.KeyMade)
                return (await issueDevice(pki, "muc", elsewhere.makeKey(), "054d4300000008", issue)).certificate
            },
        ],
        ["comes from another PKI", "ChainIssuer", async muc => issued(muc.installation.makeKey(), foreign)],
    ])("refuses a certificate that %s", async (_what, code, make) => {
        rmSync(join(pki, "mucs"), { recursive: true, force: true })
        await issueWithKey(pki, "muc", serverId, issue)
        const muc = started()
        produce(muc)
        muc.installation.makeKey()
        put(muc, TrustSlot.Muc, await make(muc))
        expect(codeThrown(() => muc.installation.certify(now))).toMatch(
            code === "ChainIssuer" ? /^Chain(Issuer|KeyId|Signature)$/ : new RegExp(`^${code}$`),
        )
        expect([muc.identity.step(), rtc.running]).toEqual([Step.KeyMade, false])
    })

    it("refuses a certificate before and after its time, and the clock stays unset", async () => {
        const muc = started()
        produce(muc)
        put(muc, TrustSlot.Muc, await issued(muc.installation.makeKey()))
        expect(codeThrown(() => muc.installation.certify(now - 86_400))).toBe("ChainNotYetValid")
        expect(codeThrown(() => muc.installation.certify(now + 40 * 365 * 86_400))).toBe("ChainExpired")
        expect(rtc.running).toBe(false)
        muc.installation.certify(now)
    })

    it("believes no clock that was not set at certification, nor one that stopped since", async () => {
        rtc.set(now)
        const muc = started()
        expect(codeThrown(() => muc.clock.nowSeconds())).toBe("TimeNotTrusted")
        produce(muc)
        await certify(muc)
        expect(muc.clock.nowSeconds()).toBe(now)
        rtc.running = false
        expect(codeThrown(() => muc.clock.nowSeconds())).toBe("TimeNotTrusted")
    })
})

describe("Installation of a MUC", () => {
    it("takes keys, password and provider, and closes for good", async () => {
        const muc = await delivered()
        bring(muc)
        muc.installation.putKey(Held.MBusKey, address, key(3, 16))
        put(muc, TrustSlot.SecurityManagement, cert("security-management"))
        muc.installation.install(now + 60)
        expect(muc.identity.step()).toBe(Step.Installed)
        expect(muc.clock.nowSeconds()).toBe(now + 60)
        const again = started()
        const attempts: (() => void)[] = [
            () => again.installation.putKey(Held.UserKey, none, key(9)),
            () => again.installation.put(TrustSlot.SecurityManagement, 0, none),
            () => again.installation.close(TrustSlot.Muc, 10),
            () => again.installation.produce(hardware),
            () => again.installation.makeKey(),
            () => again.installation.certify(now),
            () => again.installation.deliver(),
            () => again.installation.install(now),
        ]
        for (const attempt of attempts) expect(codeThrown(attempt)).toBe("AlreadyInstalled")
        expect(kinds(again)).toEqual(["33", "34", "35", "32 2423785634121b07"])
    })

    it.each([Held.DisplayKey, Held.UserKey, Held.UserPassword])("does not close without kind %i", async missing => {
        const muc = await delivered()
        bring(muc)
        muc.installation.putKey(missing, none, none)
        expect(codeThrown(() => muc.installation.install(now))).toBe("InstallationIncomplete")
        expect(muc.identity.step()).toBe(Step.Delivered)
    })

    it("does not close at a time at which its certificate is not valid", async () => {
        const muc = await delivered()
        bring(muc)
        expect(codeThrown(() => muc.installation.install(now - 86_400))).toBe("ChainNotYetValid")
        expect(muc.identity.step()).toBe(Step.Delivered)
        expect(muc.clock.nowSeconds()).toBe(now)
    })

    it.each<[string, string, () => Buffer]>([
        ["of another CA", "Chain", () => cert("security-management", foreign)],
        ["that is a manufacturer", "RoleMismatch", () => cert("manufacturer")],
    ])("refuses a provider %s and keeps none", async (_what, code, der) => {
        const muc = await delivered()
        put(muc, TrustSlot.SecurityManagement, cert("security-management"))
        expect(codeThrown(() => put(muc, TrustSlot.SecurityManagement, der()))).toContain(code)
        expect(muc.trust.read(TrustSlot.SecurityManagement)).toBeUndefined()
        put(muc, TrustSlot.SecurityManagement, cert("security-management"))
    })
})

describe("Revocation lists that are installed by hand", () => {
    const listOf = (party: string, from = pki) => readPem(readFileSync(join(from, party, "crl.pem"), "utf8"))[0].der

    it("are taken from the issuers that the MUC holds, also twice", async () => {
        const muc = await delivered()
        put(muc, TrustSlot.SecurityManagement, cert("security-management"))
        for (const party of ["ca-root", "manufacturer", "security-management", "institute-root", "ca-root"])
            put(muc, 16, listOf(party))
        expect(started().holdings.lists.all()).toHaveLength(4)
    })

    it.each<[string, string, () => Buffer, number]>([
        ["of another PKI", "CertificateMissing", () => listOf("ca-root", foreign), now],
        ["of an issuer that is not held", "CertificateMissing", () => listOf("security-management"), now],
        ["that is past its time", "CrlStale", () => listOf("ca-root"), now + 300 * 86_400],
        ["that is not valid yet", "CrlNotYetValid", () => listOf("ca-root"), now - 86_400],
        ["that is none", "DerTag", () => key(7), now],
    ])("are refused %s", async (_what, code, der, at) => {
        const muc = await delivered()
        rtc.seconds = at
        expect(codeThrown(() => put(muc, 16, der()))).toBe(code)
        expect(started().holdings.lists.all()).toEqual([])
    })

    it("are refused where a part is missing or too much, and before delivery", async () => {
        expect(codeThrown(() => started().installation.put(16, 0, key(1)))).toBe("StepOutOfOrder")
        const { installation } = await delivered()
        expect(codeThrown(() => installation.put(16, 192, key(1)))).toBe("StepOutOfOrder")
        expect(codeThrown(() => installation.close(16, 10))).toBe("StepOutOfOrder")
        installation.put(16, 0, key(1))
        expect(codeThrown(() => installation.put(16, 4080, key(1)))).toBe("OutOfRange")
        expect(codeThrown(() => installation.close(16, 5000))).toBe("OutOfRange")
    })
})

describe("Secrets of a MUC", () => {
    const ring = () => new KeyRing(store)

    it("are one of a kind, radio meters' one an address; a new value replaces the former everywhere", () => {
        ring().put(Held.MBusKey, address, key(3, 16))
        ring().put(Held.MBusKey, address, key(4))
        ring().put(Held.MBusKey, Buffer.alloc(8, 9), key(5, 16))
        expect(
            ring()
                .items()
                .map(item => item.toString("hex")),
        ).toEqual(["20002423785634121b07", "20000909090909090909"])
        expect(store.cells.includes(key(3, 16))).toBe(false)
        // Both copies of its record.
        const first = store.cells.indexOf(key(4))
        expect(store.cells.indexOf(key(4), first + 1)).toBeGreaterThan(first)
    })

    it("are overwritten when removed, and removing what is not there is no error", () => {
        ring().put(Held.UserKey, none, key(6))
        ring().put(Held.UserKey, none, none)
        ring().put(Held.UserKey, none, none)
        expect(ring().items()).toEqual([])
        expect(store.cells.includes(key(6).subarray(0, 8))).toBe(false)
    })

    it.each<[string, number, Buffer, Buffer]>([
        ["an unknown kind", 31, none, key(1)],
        ["a kind after the last", 36, none, key(1)],
        ["a radio meter without address", Held.MBusKey, none, key(1)],
        ["a PLC key with address", Held.UserKey, address, key(1)],
        ["a PLC key of 16 octets", Held.DisplayKey, none, key(1, 16)],
        ["a radio meter's key of 24 octets", Held.MBusKey, address, key(1, 24)],
        ["a verifier that is none", Held.UserPassword, none, key(1, 51)],
        ["a key of zeros", Held.DisplayKey, none, key(0)],
    ])("do not take %s", (_what, kind, where, value) => {
        expect(codeThrown(() => ring().put(kind, where, value))).toBe("BadArgument")
        expect(ring().items()).toEqual([])
    })

    it(`are at most ${mostKeys}, inside their regions, and the full ring still replaces and removes`, () => {
        const meter = (n: number) => Buffer.alloc(8, n)
        for (let n = 1; n <= mostKeys; ++n) ring().put(Held.MBusKey, meter(n), key(n))
        expect(codeThrown(() => ring().put(Held.UserKey, none, key(99)))).toBe("TooManyKeys")
        ring().put(Held.MBusKey, meter(mostKeys), key(98))
        ring().put(Held.MBusKey, meter(3), none)
        ring().put(Held.UserKey, none, key(99))
        expect(ring().items()).toHaveLength(mostKeys)
        const outside = [
            store.cells.subarray(0, moreKeysAt),
            store.cells.subarray(moreKeysAt + 70 * 133, symmetricKeysAt),
            store.cells.subarray(symmetricKeysAt + 0x1000),
        ]
        for (const cells of outside) expect(cells.every(cell => cell === 0)).toBe(true)
    })

    it("survive a power cut at every octet: the former value or the new one, and after the next put no rest", () => {
        ring().put(Held.UserKey, none, key(0xaa))
        ring().put(Held.DisplayKey, none, key(0xbb))
        const before = Buffer.from(store.cells)
        for (let cutAfter = 0; ; ++cutAfter) {
            before.copy(store.cells)
            store.cutAfter = cutAfter
            let whole = true
            try {
                ring().put(Held.UserKey, none, key(0xcc))
            } catch (error) {
                expect(error).toBeInstanceOf(Cut)
                whole = false
            }
            store.cutAfter = Number.POSITIVE_INFINITY
            expect(
                ring()
                    .items()
                    .map(item => item[0]),
            ).toEqual([Held.UserKey, Held.DisplayKey])
            if (whole) break
            ring().put(Held.UserKey, none, key(0xcc))
            expect(store.cells.includes(key(0xaa, 8))).toBe(false)
        }
    })

    it("that a power cut left of a replaced key are gone when installation closes", () => {
        ring().put(Held.UserKey, none, key(0xaa))
        const record = (cells: Buffer) => cells.indexOf(key(0xaa))
        store.cutAfter = 0
        // One octet short of the second copy's end: switched over, not yet overwritten.
        let cutAfter = 0
        const before = Buffer.from(store.cells)
        do {
            before.copy(store.cells)
            store.cutAfter = ++cutAfter
            try {
                ring().put(Held.UserKey, none, key(0xcc))
            } catch {
                // Power went.
            }
        } while (store.cells.indexOf(key(0xcc)) < 0 || store.cells[symmetricKeysAt] === before[symmetricKeysAt])
        store.cutAfter = Number.POSITIVE_INFINITY
        expect(record(store.cells)).toBeGreaterThan(0)
        ring().settle()
        expect(record(store.cells)).toBe(-1)
    })

    it("hold a verifier that the password, and no other, fulfils", () => {
        const made = passwordVerifier("Grüße 12345")
        expect(made).toHaveLength(52)
        const [iterations, salt, proof] = [made.readUInt32BE(0), made.subarray(4, 20), made.subarray(20)]
        const proved = (password: string) => pbkdf2Sync(password, salt, iterations, 32, "sha256").equals(proof)
        // Whatever way the keyboard composes it (NFC).
        expect(proved("Grüße 12345".normalize("NFC"))).toBe(true)
        expect(passwordVerifier("Grüße 12345".normalize("NFD"), salt)).toEqual(made)
        expect(proved("Grusse 12345")).toBe(false)
        expect(passwordVerifier("Grüße 12345")).not.toEqual(made)
    })
})

it("the key that a MUC is certified for is the one in its certificate", async () => {
    const muc = await delivered()
    const leaf = new X509Certificate(muc.trust.read(TrustSlot.Muc)!)
    const spki = createPublicKey(leaf.publicKey.export({ type: "spki", format: "pem" })).export({
        type: "spki",
        format: "der",
    })
    expect(Buffer.from(spki).subarray(-64)).toEqual(muc.custody.publicKey())
})
