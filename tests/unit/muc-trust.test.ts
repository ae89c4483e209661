import { beforeAll, describe, expect, test } from "vitest"
import { parseCrl } from "../../firmware/core/crl"
import { Code } from "../../firmware/core/errors"
import { HeldState, readItem } from "../../firmware/core/inventory"
import { installPlatform, platform } from "../../firmware/core/platform"
import { parseCertificate } from "../../firmware/core/x509"
import { Role } from "../../firmware/core/x509-role"
import type { MucClock } from "../../firmware/muc/clock"
import { Holdings } from "../../firmware/muc/holdings"
import { TrustSlot } from "../../firmware/muc/layout"
import { MucTrust } from "../../firmware/muc/peer-trust"
import { x509 } from "../../tools/pki/x509"
import { noon, party, type TestParty } from "../helpers/certificates"
import { codeThrown } from "../helpers/errors"
import { listOf, roleOf } from "../helpers/lists"
import { Cut, MemoryStore } from "../helpers/memory-store"

const { keyCertSign, cRLSign, digitalSignature } = x509.KeyUsageFlags
const issuing = digitalSignature | keyCertSign | cRLSign
const serverAuth = "1.3.6.1.5.5.7.3.1"
const clientAuth = "1.3.6.1.5.5.7.3.2"
const day = 86_400

let ca: TestParty
let institute: TestParty
let maker: TestParty
let management: TestParty
let otherManagement: TestParty
let muc: TestParty
let concentrator: TestParty
let operator: TestParty
let directory: TestParty

beforeAll(async () => {
    ca = await party({ name: "CA" })
    institute = await party({ name: "Institute" })
    maker = await party({ issuer: ca, ca: true, usage: issuing, more: [roleOf(Role.manufacturer)] })
    management = await managementOf(ca)
    otherManagement = await managementOf(ca)
    muc = await leaf(maker, Role.muc)
    concentrator = await leaf(maker, Role.concentrator)
    operator = await leaf(management, Role.operator)
    directory = await leaf(ca, Role.directory)
})

const managementOf = (issuer: TestParty, keys?: CryptoKeyPair) =>
    party({ issuer, keys, ca: true, usage: issuing, more: [roleOf(Role.securityManagement)] })

function leaf(issuer: TestParty, role: Role, more: x509.Extension[] = []): Promise<TestParty> {
    return party({ issuer, more: [roleOf(role), ...more] })
}

/** A MUC as it left installation, with what it fetched since. */
class Bench {
    readonly holdings: Holdings
    now = noon
    clockIsSet = true

    constructor(readonly store = new MemoryStore(0x20000)) {
        this.holdings = new Holdings(store)
    }

    static async full(): Promise<Bench> {
        const bench = new Bench()
        bench.put(TrustSlot.Muc, muc)
        bench.put(TrustSlot.Manufacturer, maker)
        bench.put(TrustSlot.CaRoot, ca)
        bench.put(TrustSlot.InstituteRoot, institute)
        bench.put(TrustSlot.SecurityManagement, management)
        for (const issuer of [ca, maker, management, otherManagement]) await bench.list(issuer, 1)
        return bench
    }

    put(slot: TrustSlot, { der }: TestParty): void {
        this.holdings.trust.writePart(slot, 0, der)
        this.holdings.trust.close(slot, der.length)
    }

    async list(issuer: TestParty, number: number, revoked: TestParty[] = [], days = 30): Promise<void> {
        const nextUpdate = new Date((noon + days * day) * 1000)
        this.holdings.takeList(parseCrl(await listOf(issuer, number, revoked, { nextUpdate })))
    }

    /** The code of the judgement over a peer's chain. */
    judge(chain: TestParty[], toDirectory = false): string {
        return codeThrown(() => this.until(chain, toDirectory))
    }

    until(chain: TestParty[], toDirectory = false): number {
        const clock = {
            nowSeconds: () => {
                if (!this.clockIsSet) throw Object.assign(new Error("clock"), { code: Code.TimeNotTrusted })
                return this.now
            },
        } as unknown as MucClock
        return new MucTrust(this.holdings, clock, toDirectory).check(chain.map(({ der }) => parseCertificate(der)))
    }
}

/** Signatures verified meanwhile. */
function signaturesOf(work: () => void): number {
    const machine = platform()
    let signatures = 0
    installPlatform({
        ...machine,
        verifyP256: (...words) => {
            ++signatures
            return machine.verifyP256(...words)
        },
    })
    try {
        work()
    } finally {
        installPlatform(machine)
    }
    return signatures
}

describe("at the other end of the uplink may be", () => {
    test("a concentrator of a manufacturer, an operator of the provider held, and that provider; with the root or without", async () => {
        const bench = await Bench.full()
        for (const chain of [[concentrator, maker], [operator, management], [management]]) {
            expect(bench.judge(chain)).toBe("none")
            expect(bench.judge([...chain, ca])).toBe("none")
        }
    })

    test("an operator of a renewed provider: the key is the same", async () => {
        const bench = await Bench.full()
        const renewed = await party({
            name: management.name,
            issuer: ca,
            keys: management.keys,
            ca: true,
            usage: issuing,
            more: [roleOf(Role.securityManagement)],
        })
        expect(bench.judge([operator, renewed])).toBe("none")
    })

    test("a data collector and an energy provider whom the provider has certified", async () => {
        const bench = await Bench.full()
        for (const role of [Role.dataCollection, Role.energyProvider])
            expect(bench.judge([await leaf(management, role), management])).toBe("none")
    })

    test("nobody of another role, without role, or of another issuer than the role's", async () => {
        const bench = await Bench.full()
        const chains: TestParty[][] = [
            [directory],
            [maker],
            [muc, maker],
            [await leaf(management, Role.localOperator), management],
            [await leaf(management, Role.customer), management],
            [await leaf(otherManagement, Role.dataCollection), otherManagement],
            [await leaf(maker, Role.operator), maker],
            [await leaf(management, Role.concentrator), management],
            [await leaf(ca, Role.concentrator)],
            [await leaf(otherManagement, Role.operator), otherManagement],
            [otherManagement],
            [await party({ issuer: maker }), maker],
        ]
        for (const chain of chains) expect(bench.judge(chain)).toBe("TlsRole")
    })

    test("no provider or operator where none is held, or the one held is revoked", async () => {
        const bench = await Bench.full()
        await bench.list(ca, 2, [management])
        expect(bench.judge([operator, management])).toBe("ChainRevoked")
        const none = new Bench()
        none.put(TrustSlot.CaRoot, ca)
        for (const issuer of [ca, management, maker]) await none.list(issuer, 1)
        expect(none.judge([operator, management])).toBe("TlsRole")
        expect(none.judge([management])).toBe("TlsRole")
        expect(none.judge([concentrator, maker])).toBe("none")
    })

    test("nobody whose chain does not hold: anchor, time, usage, length", async () => {
        const bench = await Bench.full()
        const foreign = await party({ name: "CA" })
        const foreignMaker = await party({
            issuer: foreign,
            ca: true,
            usage: issuing,
            more: [roleOf(Role.manufacturer)],
        })
        const below = await party({ issuer: maker, ca: true, usage: issuing, more: [roleOf(Role.manufacturer)] })
        const past = new Date(Date.UTC(2030, 0, 1))
        const cases: [string, TestParty[]][] = [
            ["ChainKeyId", [await leaf(foreignMaker, Role.concentrator), foreignMaker]],
            ["ChainIssuer", [concentrator]],
            ["ChainIssuer", [await party({ more: [roleOf(Role.concentrator)] })]],
            [
                "ChainExpired",
                [await party({ issuer: maker, notAfter: past, more: [roleOf(Role.concentrator)] }), maker],
            ],
            ["ChainNotYetValid", [await party({ issuer: maker, notBefore: new Date(Date.UTC(2031, 0, 1)) }), maker]],
            ["ChainKeyUsage", [await party({ issuer: maker, usage: x509.KeyUsageFlags.keyAgreement }), maker]],
            [
                "ChainExtendedKeyUsage",
                [await leaf(maker, Role.concentrator, [new x509.ExtendedKeyUsageExtension([clientAuth])]), maker],
            ],
            ["ChainTooLong", [await leaf(below, Role.concentrator), below, maker]],
        ]
        for (const [code, chain] of cases) expect(bench.judge(chain)).toBe(code)
        const both = new x509.ExtendedKeyUsageExtension([clientAuth, serverAuth])
        expect(bench.judge([await leaf(maker, Role.concentrator, [both]), maker])).toBe("none")
    })

    test("nobody while the clock is not set", async () => {
        const bench = await Bench.full()
        bench.clockIsSet = false
        expect(() => bench.until([concentrator, maker])).toThrow("clock")
        expect(() => bench.until([directory], true)).toThrow("clock")
    })
})

describe("revocation lists", () => {
    test("of every issuer in the chain are required: a missing one ends it, a stale one too", async () => {
        for (const missing of [ca, maker]) {
            const bench = new Bench()
            bench.put(TrustSlot.CaRoot, ca)
            for (const issuer of [ca, maker]) if (issuer !== missing) await bench.list(issuer, 1)
            expect(bench.judge([concentrator, maker])).toBe("CrlMissing")
            await bench.list(missing, 1, [], 1)
            expect(bench.judge([concentrator, maker])).toBe("none")
            bench.now = noon + day
            expect(bench.judge([concentrator, maker])).toBe("none")
            bench.now = noon + day + 1
            expect(bench.judge([concentrator, maker])).toBe("CrlStale")
            await bench.list(missing, 2)
            expect(bench.judge([concentrator, maker])).toBe("none")
        }
    })

    test("turn out whom they name, leaf or issuer, from the moment they are there", async () => {
        const bench = await Bench.full()
        await bench.list(maker, 2, [concentrator])
        expect(bench.judge([concentrator, maker])).toBe("ChainRevoked")
        await bench.list(maker, 3)
        expect(bench.judge([concentrator, maker])).toBe("none")
        await bench.list(ca, 2, [maker])
        expect(bench.judge([concentrator, maker])).toBe("ChainRevoked")
    })

    test("a judgement holds until the first list is stale or certificate over", async () => {
        const bench = await Bench.full()
        expect(bench.until([concentrator, maker])).toBe(noon + 30 * day)
        await bench.list(maker, 2, [], 3)
        expect(bench.until([concentrator, maker])).toBe(noon + 3 * day)
        const short = await party({
            issuer: maker,
            notAfter: new Date((noon + 60) * 1000),
            more: [roleOf(Role.concentrator)],
        })
        expect(bench.until([short, maker])).toBe(noon + 60)
    })

    test("cost no signature when a peer is judged, since each was proved when it came; the same peer costs none at all", async () => {
        const bench = await Bench.full()
        const chain = [concentrator, maker]
        expect(signaturesOf(() => bench.judge(chain))).toBe(2)
        expect(signaturesOf(() => bench.judge(chain))).toBe(0)
        // Also after power was away, and while others call at the directory.
        const after = new Bench(bench.store)
        after.judge([directory], true)
        const until = after.until(chain)
        expect(signaturesOf(() => expect(after.until(chain)).toBe(until))).toBe(0)
        await after.list(maker, 2)
        expect(signaturesOf(() => after.judge(chain))).toBe(2)
        after.holdings.setProvider(parseCertificate(otherManagement.der))
        expect(signaturesOf(() => after.judge(chain))).toBe(2)
        after.now = noon - day
        expect(signaturesOf(() => after.judge(chain))).toBe(2)
        after.now = until + 1
        expect(after.judge(chain)).toBe("CrlStale")
    })

    test("come and count up the version, by which former judgements are dropped", async () => {
        const bench = await Bench.full()
        const before = bench.holdings.version
        await bench.list(maker, 2)
        expect(bench.holdings.version).toBeGreaterThan(before)
    })
})

describe("the directory", () => {
    test("is spoken to with stale lists or without, else new ones could never come; nobody else is", async () => {
        const bench = await Bench.full()
        for (const now of [noon, noon + 400 * day]) {
            bench.now = now
            expect(bench.judge([directory], true)).toBe("none")
            for (const chain of [[concentrator, maker], [operator, management], [management]])
                expect(bench.judge(chain, true)).toBe("TlsRole")
        }
        const bare = new Bench()
        bare.put(TrustSlot.CaRoot, ca)
        expect(bare.judge([directory], true)).toBe("none")
        expect(bare.judge([directory])).toBe("CrlMissing")
    })

    test("that is revoked is not, also by a list whose time is over", async () => {
        const bench = await Bench.full()
        await bench.list(ca, 2, [directory], 1)
        expect(bench.judge([directory], true)).toBe("ChainRevoked")
        bench.now = noon + 400 * day
        expect(bench.judge([directory], true)).toBe("ChainRevoked")
    })
})

describe("holdings", () => {
    test("the newest list of each issuer, found again after a restart; an older or equal number is refused", async () => {
        const bench = await Bench.full()
        for (const issuer of [ca, institute, maker, management]) await bench.list(issuer, 5)
        for (const number of [4, 5]) {
            const crl = parseCrl(await listOf(ca, number))
            expect(codeThrown(() => bench.holdings.takeList(crl))).toBe("CrlNotNewer")
        }
        const again = new Bench(bench.store).holdings
        const numbers = again.lists.all().map(({ number }) => number[0])
        expect(numbers.sort()).toEqual([1, 5, 5, 5, 5])
    })

    test("lists of a sixth issuer take the place of the one that grows stale first", async () => {
        const bench = await Bench.full()
        await bench.list(institute, 1)
        const authority = await party({ issuer: institute, ca: true, usage: issuing })
        await bench.list(authority, 1, [], 20)
        const another = await party({ issuer: institute, ca: true, usage: issuing })
        await bench.list(another, 1)
        const held = (of: TestParty) => bench.holdings.lists.of(parseCertificate(of.der).subjectKeyId) !== undefined
        expect([ca, maker, institute, another].map(held)).toEqual([true, true, true, true])
        expect(held(authority)).toBe(false)
    })

    test("a list above 4,090 octets is refused", async () => {
        const bench = await Bench.full()
        const many = Array.from({ length: 130 }, (_, i) => {
            return { ...muc, certificate: { serialNumber: (0x5000 + i).toString(16) } } as TestParty
        })
        const crl = parseCrl(await listOf(maker, 2, many))
        expect(crl.der.length).toBeGreaterThan(4090)
        expect(codeThrown(() => bench.holdings.takeList(crl))).toBe("CrlTooLong")
    })

    test("power that goes at any written octet leaves the former list or the new one, never none, nor a judgement that is over", async () => {
        const bench = await Bench.full()
        expect(bench.judge([concentrator, maker])).toBe("none")
        const before = Buffer.from(bench.store.cells)
        const crl = parseCrl(await listOf(maker, 2, [concentrator]))
        const keyId = parseCertificate(maker.der).subjectKeyId
        const seen = new Set<number>()
        for (let cut = 0; ; ++cut) {
            const store = new MemoryStore(0x20000)
            before.copy(store.cells)
            const holdings = new Holdings(store)
            store.cutAfter = cut
            let whole = false
            try {
                holdings.takeList(crl)
                whole = true
            } catch (error) {
                if (!(error instanceof Cut)) throw error
            }
            store.cutAfter = Number.POSITIVE_INFINITY
            const after = new Bench(store)
            const number = after.holdings.lists.of(keyId)?.number[0] ?? 0
            seen.add(number)
            expect(after.judge([concentrator, maker])).toBe(number === 2 ? "ChainRevoked" : "none")
            if (whole) break
        }
        expect([...seen].sort()).toEqual([1, 2])
    })

    test("the inventory names certificates, says which are revoked, and lists by issuer and number", async () => {
        const bench = await Bench.full()
        await bench.list(ca, 2, [management])
        const items = bench.holdings.items().map(readItem)
        expect(items.slice(0, 5).map(({ kind }) => kind)).toEqual([1, 4, 6, 3, 5])
        expect(items.slice(0, 5).map(({ state }) => state)).toEqual([0, 0, 0, 0, HeldState.Revoked])
        expect(items.slice(5).map(({ kind }) => kind)).toEqual([16, 16, 16, 16])
        expect(items[5].issuerKeyId).toEqual(parseCertificate(ca.der).subjectKeyId)
        expect(items[5].number).toEqual(Buffer.from([2]))
    })

    test("a new provider takes the place of a revoked one, whose list goes", async () => {
        const bench = await Bench.full()
        await bench.list(ca, 2, [management])
        bench.holdings.setProvider(parseCertificate(otherManagement.der))
        expect(bench.holdings.inForce(TrustSlot.SecurityManagement)?.der).toEqual(otherManagement.der)
        expect(bench.holdings.lists.of(parseCertificate(management.der).subjectKeyId)).toBe(undefined)
        const theirs = await leaf(otherManagement, Role.operator)
        expect(bench.judge([theirs, otherManagement])).toBe("none")
    })
})
