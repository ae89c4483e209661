import { createCipheriv, createHash, hkdfSync, KeyObject, randomBytes, sign } from "node:crypto"
import { beforeAll, beforeEach, describe, expect, it } from "vitest"
import { accessTableSize } from "../../firmware/core/access"
import { parseCrl } from "../../firmware/core/crl"
import { Code } from "../../firmware/core/errors"
import { Held } from "../../firmware/core/inventory"
import { Event } from "../../firmware/core/logbook"
import { uintBE } from "../../firmware/core/octets"
import { closeReq, getProcParameterReq, openReq } from "../../firmware/core/sml-messages"
import {
    accessPath,
    activeMetersPath,
    addressesPath,
    attestationPath,
    certificatesPath,
    changeProviderPath,
    deleteProviderPath,
    erasePath,
    identificationPath,
    inventoryPath,
    keysPath,
    labelPath,
    logbookPath,
    logbookResetPath,
    timePath,
} from "../../firmware/core/sml-parameter"
import { parameterRequest } from "../../firmware/core/sml-request"
import { writeFile } from "../../firmware/core/sml-transport"
import { parseCertificate } from "../../firmware/core/x509"
import { Role } from "../../firmware/core/x509-role"
import { Addresses } from "../../firmware/muc/addresses"
import { Router } from "../../firmware/muc/answer"
import { MucClock } from "../../firmware/muc/clock"
import { eraseOrdered } from "../../firmware/muc/erase"
import { Functions } from "../../firmware/muc/functions"
import { Holdings } from "../../firmware/muc/holdings"
import { Identity, Step } from "../../firmware/muc/identity"
import { KeyExchange } from "../../firmware/muc/key-exchange"
import { KeyRing } from "../../firmware/muc/keys"
import { providerAt, signersAt, signersEnd, TrustSlot } from "../../firmware/muc/layout"
import { LocalFunctions } from "../../firmware/muc/local-functions"
import type { LineMaster } from "../../firmware/muc/master"
import type { MeterList } from "../../firmware/muc/meters"
import { PlcFunctions } from "../../firmware/muc/plc-functions"
import { verifyAnswer } from "../../tools/authority/answer.ts"
import type { Signer } from "../../tools/authority/signer.ts"
import { readResponse, treeChildren, treeValues } from "../../tools/headend/responses.ts"
import { noon, party, type TestParty } from "../helpers/certificates.ts"
import { judgeByNode, octetsOf } from "../helpers/command-desk.ts"
import {
    type CommandParties,
    commandParties,
    meterId,
    readCurrent,
    roleParty,
    setParameter,
    signerOf,
} from "../helpers/commands.ts"
import { listOf } from "../helpers/lists.ts"
import { Cut, MemoryStore } from "../helpers/memory-store.ts"

const mucId = Buffer.from("05000000000001", "hex")
const nowSeconds = () => noon
let parties: CommandParties
let own: TestParty
let second: TestParty
let secondOperator: TestParty
let lists: Buffer[]
let secondList: Buffer
/** Cells of a MUC as it left installation. */
let delivered: Buffer

beforeAll(async () => {
    judgeByNode(false)
    parties = await commandParties()
    own = await roleParty(Role.muc, { issuer: parties.manufacturer, ca: false, name: mucId.toString("hex") })
    const options = { issuer: parties.caRoot, ca: true, pathLength: 0 }
    second = await roleParty(Role.securityManagement, { ...options, name: "Second" })
    secondOperator = await roleParty(Role.operator, { issuer: second, ca: false })
    lists = await Promise.all([parties.caRoot, parties.provider].map(each => listOf(each, 1)))
    secondList = await listOf(second, 1)
    const store = new MemoryStore(0x20000)
    const holdings = new Holdings(store)
    for (const [slot, { der }] of [
        [TrustSlot.Muc, own],
        [TrustSlot.Manufacturer, parties.manufacturer],
        [TrustSlot.CaRoot, parties.caRoot],
        [TrustSlot.InstituteRoot, parties.root],
        [TrustSlot.SecurityManagement, parties.provider],
    ] as const) {
        holdings.trust.writePart(slot, 0, der)
        holdings.trust.close(slot, der.length)
    }
    for (const each of lists) holdings.takeList(parseCrl(each))
    const identity = new Identity(store, Buffer.concat([Buffer.alloc(2), mucId.subarray(1)]))
    identity.produce(Buffer.from("plomb-muc-1"))
    identity.reach(Step.Installed)
    new KeyRing(store).put(Held.DisplayKey, Buffer.alloc(0), Buffer.alloc(32, 7))
    delivered = store.cells
})

/** A MUC on a store, as after a start. */
class Muc {
    readonly identity: Identity
    readonly holdings: Holdings
    readonly keys: KeyRing
    readonly addresses: Addresses
    readonly functions: Functions
    readonly router: Router
    /** What went on to the line. */
    readonly relayed: Buffer[] = []
    erasedKeys = 0
    stopped = false

    constructor(
        readonly store: MemoryStore = fresh(),
        kind: typeof Functions = Functions,
    ) {
        this.identity = new Identity(store, Buffer.concat([Buffer.alloc(2), mucId.subarray(1)]))
        this.holdings = new Holdings(store)
        this.keys = new KeyRing(store)
        this.addresses = new Addresses(store, { get: name => (name === "uplink" ? "by-hand:1" : "") })
        const rtc = {
            read: () => ({ utcSeconds: noon, running: !this.stopped }),
            set: () => {
                this.stopped = false
            },
            temperatureQuarters: () => 0,
        }
        const machine: any = {
            softwareIdentification: "plomb-muc test",
            softwareChecksum: Buffer.alloc(32, 9),
            custody: { sign: (digest: Buffer) => signOwn(digest) },
            agreement: agreement(),
        }
        const clock = new MucClock(rtc, this.identity)
        const { identity, holdings, keys, addresses } = this
        this.functions = new kind(store, machine, identity, holdings, keys, clock, addresses)
        const master = { exchange: (_id: Buffer, _request: Buffer, raw: Buffer) => this.line(raw) }
        const meters = { knows: (id: Buffer) => id.equals(meterId) }
        this.router = new Router(mucId, master as unknown as LineMaster, meters as unknown as MeterList, this.functions)
    }

    line(raw: Buffer): Buffer {
        this.relayed.push(raw)
        return Buffer.from("the meter's answer")
    }

    /** Codes or attention of the answer to a file: "done", "E5212", "fe01". */
    ask(file: Buffer): string[] {
        const raw = this.router.route(file)!
        if (raw.equals(Buffer.from("the meter's answer"))) return ["relayed"]
        return outcomes(raw)
    }

    tell(by: TestParty, path: Buffer, value: Uint8Array, issuers: TestParty[] = []): string {
        return this.ask(command(by, [setParameter(path, Buffer.from(value), mucId)], issuers)).pop()!
    }

    /** Brings objects into the area, as anybody may. */
    bring(...objects: Buffer[]): void {
        const octets = Buffer.concat(objects)
        for (let at = 0; at < octets.length; at += 700) {
            const part = Buffer.concat([Buffer.from([0, at >> 8, at & 255]), octets.subarray(at, at + 700)])
            expect(this.ask(unsigned(setParameter(certificatesPath, part, mucId), mucId))).toEqual(["done"])
        }
    }

    provider(): string {
        return nameOf(this.holdings.certificate(TrustSlot.SecurityManagement)?.der)
    }

    events(): number[] {
        const log = this.functions.logbook
        return Array.from({ length: log.newest() }, (_, i) => log.read(i + 1)![13])
    }
}

const fresh = () => {
    const store = new MemoryStore(0x20000)
    delivered.copy(store.cells)
    return store
}

function copyOf(store: MemoryStore): MemoryStore {
    const copy = new MemoryStore(store.size)
    store.cells.copy(copy.cells)
    return copy
}

function nameOf(der: Buffer | undefined): string {
    if (!der) return "none"
    return der.equals(second.der) ? "second" : der.equals(parties.provider.der) ? "first" : "another"
}

function signOwn(digest: Buffer): Buffer {
    return sign("sha256", octetsOf(digest), { key: KeyObject.from(own.keys.privateKey), dsaEncoding: "ieee-p1363" })
}

/** Agrees on what anybody knows: not the secret is tested here but what is made of it. */
function agreement() {
    return { prepare: () => {}, begin: () => Buffer.alloc(64, 1), agree: () => Buffer.alloc(32, 3) }
}

/** {kind, length of address, address, key}, sealed for what `agreement` agrees on. */
function sealed(plain: Buffer): Buffer {
    const mine = randomBytes(64)
    const made = Buffer.from(
        hkdfSync("sha256", Buffer.alloc(32, 3), Buffer.concat([Buffer.alloc(64, 1), mine]), "plomb sealed key", 44),
    )
    const cipher = createCipheriv("chacha20-poly1305", made.subarray(0, 32), made.subarray(32), { authTagLength: 16 })
    cipher.setAAD(mucId, { plaintextLength: plain.length })
    return Buffer.concat([mine, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

function outcomes(raw: Buffer): string[] {
    const { file } = readResponse(raw)
    return file.messages.slice(1, -1).flatMap(({ tag, body }) => {
        if (tag === 0x0501)
            return [
                file.payload.subarray(body.start, body.start + 24).includes("8181c7f031ff", 0, "hex")
                    ? "signed"
                    : "tree",
            ]
        const number = file.payload.toString("hex", body.items[1].end - 2, body.items[1].end)
        const text = file.payload.toString("utf8", body.items[2].valueStart, body.items[2].end)
        return [number === "fd00" ? "done" : text.startsWith("E") ? text : number]
    })
}

const signers = new Map<TestParty, Signer>()

function command(by: TestParty, requests: Buffer[], issuers: TestParty[] = [], target = mucId): Buffer {
    const signer = signers.get(by) ?? signerOf(by, issuers, { nowSeconds })
    signers.set(by, signer)
    return signer.command(target, requests)
}

const get = (...path: Buffer[]) => getProcParameterReq(Buffer.of(7), mucId, path)
const u16 = (...numbers: number[]) => Buffer.from(numbers.flatMap(number => [number >> 8, number & 255]))
const zero = Buffer.of(0)
const codeText = (code: Code) => `E${code}`

/** The order to change to the second provider; its list stands behind its certificate. */
const changeOrder = () =>
    Buffer.concat([u16(second.der.length, 0), createHash("sha256").update(second.der).digest(), u16(secondList.length)])

function tableWith(muc: Muc, row: number, allowed: number): Buffer {
    const table = Buffer.from(muc.functions.table.octets())
    table.writeUInt32BE(table.readUInt32BE(0) + 1, 0)
    table.writeUInt16BE(allowed, 4 + 2 * row)
    return table
}

describe("a MUC's own functions", () => {
    let muc: Muc
    beforeEach(() => {
        muc = new Muc()
    })

    it("tells anybody who it is, what it holds and which meters it has, and nothing else", () => {
        for (const path of [identificationPath, inventoryPath, activeMetersPath])
            expect(muc.ask(parameterRequest(Buffer.of(1), mucId, path))).toEqual(["tree"])
        for (const path of [addressesPath, accessPath, logbookPath, attestationPath])
            expect(muc.ask(parameterRequest(Buffer.of(1), mucId, path))).toEqual([codeText(Code.NotSigned)])
    })

    it("signs what it answers to a command, and names the command", () => {
        const asked = command(parties.operator, [get(attestationPath)])
        const answer = muc.router.route(asked)!
        expect(verifyAnswer(answer, asked, own.der).findings.filter(({ holds }) => !holds)).toEqual([])
        const values = treeChildren(readResponse(answer)).map(({ value }) => value.toString("latin1"))
        expect(values).toContain("plomb-muc test")
    })

    it("lets nobody do what the table does not give him, does no command twice, and enters each attempt", () => {
        expect(muc.tell(parties.dataCollection, addressesPath, Buffer.from("uplink=x:1"))).toBe(
            codeText(Code.FunctionDenied),
        )
        expect(muc.tell(parties.operator, deleteProviderPath, zero)).toBe(codeText(Code.FunctionDenied))
        expect(muc.tell(secondOperator, addressesPath, Buffer.from("uplink=x:1"))).toBe(codeText(Code.ChainIssuer))
        const once = command(parties.operator, [setParameter(addressesPath, Buffer.from("uplink=x:1"), mucId)])
        expect(muc.ask(once).pop()).toBe("done")
        expect(muc.ask(once)).toEqual([codeText(Code.CommandReplayed), codeText(Code.CommandReplayed)])
        expect(new Muc(muc.store).ask(once)).toEqual([codeText(Code.CommandReplayed), codeText(Code.CommandReplayed)])
        expect(muc.events()).toEqual([Event.refused, Event.refused, Event.refused, Event.addressesSet, Event.refused])
    })

    it("takes addresses for the next connection; what they leave out the settings say", () => {
        expect(muc.addresses.get("uplink")).toBe("by-hand:1")
        const text = "directory=d.example:636\nuplink=head.example:4711"
        expect(muc.tell(parties.operator, addressesPath, Buffer.from(text))).toBe("done")
        const after = new Muc(muc.store)
        expect([after, muc].map(each => each.addresses.get("uplink"))).toEqual([
            "head.example:4711",
            "head.example:4711",
        ])
        expect(after.addresses.get("directory")).toBe("d.example:636")
        expect(after.addresses.get("provider")).toBe("")
        const read = after.router.route(command(parties.operator, [get(addressesPath)]))!
        expect(read.includes(text)).toBe(true)
        for (const wrong of ["uplink=nowhere", "uplink", "other=x:1", "uplink=x:1\n"])
            expect(muc.tell(parties.operator, addressesPath, Buffer.from(wrong))).toBe(codeText(Code.BadArgument))
        expect(muc.tell(parties.operator, addressesPath, Buffer.alloc(0))).toBe("done")
        expect(muc.addresses.get("uplink")).toBe("by-hand:1")
    })

    it("changes its access table whole: a right given holds at once", () => {
        const collects = command(parties.dataCollection, [get(logbookPath)])
        expect(muc.ask(collects).pop()).toBe(codeText(Code.FunctionDenied))
        const table = tableWith(muc, 10, 0x9c)
        expect(table.length).toBe(accessTableSize)
        table.writeUInt16BE(0x9c | 1, 4 + 20)
        expect(muc.tell(parties.provider, accessPath, table)).toBe(codeText(Code.AccessCeiling))
        expect(muc.tell(parties.operator, accessPath, tableWith(muc, 10, 0x98))).toBe(codeText(Code.FunctionDenied))
        expect(muc.tell(parties.provider, accessPath, tableWith(muc, 10, 0x88))).toBe("done")
        expect(muc.ask(command(parties.operator, [get(logbookPath)])).pop()).toBe(codeText(Code.FunctionDenied))
    })

    it("shows its logbook from any number on, and clears what has been seen", () => {
        for (let i = 0; i < 40; ++i) muc.tell(parties.operator, addressesPath, Buffer.from(`uplink=h${i}:1`))
        const read = (from: number) => {
            const path = Buffer.alloc(6)
            path.writeUInt32BE(from, 2)
            return treeValues(readResponse(muc.router.route(command(parties.operator, [get(logbookPath, path)]))!), 99)
        }
        const [head, ...entries] = read(30)
        expect(head.readUInt32BE(0)).toBe(40)
        expect(entries.map(each => each.readUInt32BE(0))).toEqual(Array.from({ length: 11 }, (_, i) => 30 + i))
        expect(createHash("sha256").update(entries[10]).digest()).toEqual(head.subarray(8, 40))
        expect(read(0).length).toBe(17)
        const seen = (number: number) => Buffer.concat([u16(0), u16(number)])
        expect(muc.tell(parties.provider, logbookResetPath, seen(39))).toBe(codeText(Code.LogbookNotSeen))
        expect(muc.tell(parties.provider, logbookResetPath, seen(40))).toBe("done")
        expect(read(0)[0].readUInt32BE(0)).toBe(1)
    })

    it("enters no command of somebody who has the right and says it in a wrong form: its signed answer tells him", () => {
        const ff = Buffer.of(0xff)
        for (const [by, path] of [
            [parties.operator, addressesPath],
            [parties.provider, accessPath],
            [parties.provider, changeProviderPath],
            [parties.manufacturer, deleteProviderPath],
        ] as const)
            expect(muc.tell(by, path, ff)).toMatch(/^E/)
        expect(muc.events()).toEqual([])
        expect(muc.tell(parties.dataCollection, addressesPath, ff)).toBe(codeText(Code.FunctionDenied))
        expect(muc.events()).toEqual([Event.refused])
    })

    it("keeps what is brought to it out of its heap, and no more of it than there is room for", () => {
        const part = (at: number, length: number) =>
            muc.ask(
                unsigned(
                    setParameter(
                        certificatesPath,
                        Buffer.concat([Buffer.of(0), u16(at), Buffer.alloc(length, 7)]),
                        mucId,
                    ),
                    mucId,
                ),
            )
        expect(part(2372, 700)).toEqual(["done"])
        const before = Buffer.from(muc.store.cells)
        expect(part(2373, 700)).toEqual([codeText(Code.BadArgument)])
        expect(part(0xffff, 700)).toEqual([codeText(Code.BadArgument)])
        expect(muc.store.cells).toEqual(before)
    })

    it("sets no time, takes no key and erases nothing over the uplink", () => {
        for (const [by, path] of [
            [parties.provider, keysPath],
            [parties.provider, labelPath],
            [parties.localOperator, erasePath],
        ] as const)
            expect(muc.tell(by, path, zero)).toBe(codeText(Code.StepOutOfOrder))
        expect(muc.tell(parties.calibration, timePath, Buffer.alloc(4))).toBe(codeText(Code.StepOutOfOrder))
    })
})

describe("what a MUC hands on to its meters", () => {
    it("is readings for those who may read, commands for those who may have it carry them", () => {
        const muc = new Muc()
        const relay = (by: TestParty, request: Buffer) => muc.ask(command(by, [request], [], meterId)).pop()
        const label = setParameter(labelPath, Buffer.from("x"))
        expect(relay(parties.operator, readCurrent())).toBe("relayed")
        expect(relay(parties.dataCollection, readCurrent())).toBe("relayed")
        expect(relay(parties.operator, label)).toBe("relayed")
        expect(relay(parties.manufacturer, label)).toBe("relayed")
        expect(relay(parties.dataCollection, label)).toBe(codeText(Code.FunctionDenied))
        expect(relay(secondOperator, readCurrent())).toBe(codeText(Code.ChainIssuer))
        expect(muc.relayed).toHaveLength(4)
    })

    it("is handed on octet for octet, again too where its answer was lost, and altered octets are not", () => {
        const muc = new Muc()
        const file = command(parties.operator, [readCurrent()], [], meterId)
        expect([muc.ask(file), muc.ask(file)]).toEqual([["relayed"], ["relayed"]])
        expect(muc.relayed).toEqual([file, file])
    })

    it("of nobody is questions alone, and certificates, which prove themselves", () => {
        const muc = new Muc()
        expect(muc.ask(parameterRequest(Buffer.of(1), meterId, inventoryPath))).toEqual(["relayed"])
        expect(muc.ask(unsigned(readCurrent()))).toEqual([codeText(Code.NotSigned)])
        expect(muc.ask(unsigned(setParameter(labelPath, zero)))).toEqual([codeText(Code.NotSigned)])
        expect(muc.ask(unsigned(setParameter(certificatesPath, zero)))).toEqual(["relayed"])
    })
})

/** A file with this request that nobody has signed. */
function unsigned(request: Buffer, target = meterId): Buffer {
    const id = Buffer.of(1)
    return writeFile([openReq(id, id, id, target), request, closeReq(id, undefined)])
}

describe("a change of provider", () => {
    it("overwrites the former one: its operators are nobody at once, those of the second are in", () => {
        const muc = new Muc()
        let fetched = 0
        muc.functions.onProvider = () => ++fetched
        muc.bring(second.der, secondList)
        expect(muc.tell(parties.operator, changeProviderPath, changeOrder())).toBe(codeText(Code.FunctionDenied))
        const version = muc.holdings.version
        expect(muc.tell(parties.provider, changeProviderPath, changeOrder())).toBe("done")
        expect([muc.provider(), fetched]).toEqual(["second", 1])
        expect(muc.holdings.version).toBeGreaterThan(version)
        expect(muc.store.cells.includes(parties.provider.der)).toBe(false)
        expect(muc.tell(parties.operator, addressesPath, Buffer.from("uplink=x:1"))).toBe(codeText(Code.ChainIssuer))
        expect(muc.tell(parties.provider, addressesPath, Buffer.from("uplink=x:1"))).not.toBe("done")
        expect(muc.tell(secondOperator, addressesPath, Buffer.from("uplink=x:1"))).toBe("done")
        expect(muc.holdings.crlOf(parseCertificate(second.der).subjectKeyId)).toBeDefined()
        expect(muc.holdings.crlOf(parseCertificate(parties.provider.der).subjectKeyId)).toBeUndefined()
        expect(new Muc(muc.store).provider()).toBe("second")
    })

    it("to one whom the CA has not certified, or other octets than those ordered, is none", async () => {
        const muc = new Muc()
        const foreignRoot = await party({ name: "Foreign CA" })
        const foreign = await roleParty(Role.securityManagement, { issuer: foreignRoot, ca: true, pathLength: 0 })
        muc.bring(foreign.der)
        const order = (der: Buffer) => Buffer.concat([u16(der.length, 0), createHash("sha256").update(der).digest()])
        expect(muc.tell(parties.provider, changeProviderPath, order(foreign.der))).toBe(codeText(Code.ChainIssuer))
        expect(muc.tell(parties.provider, changeProviderPath, order(second.der))).toBe(codeText(Code.BadArgument))
        muc.bring(parties.operator.der)
        expect(muc.tell(parties.provider, changeProviderPath, order(parties.operator.der))).toMatch(/^E/)
        expect(muc.provider()).toBe("first")
    })

    it("deleted by the manufacturer, a provider has no right left, stays out, and the table is as delivered", () => {
        const muc = new Muc()
        expect(muc.tell(parties.provider, accessPath, tableWith(muc, 10, 0x88))).toBe("done")
        expect(muc.tell(parties.provider, deleteProviderPath, zero)).toBe(codeText(Code.FunctionDenied))
        expect(muc.tell(parties.manufacturer, deleteProviderPath, zero)).toBe("done")
        expect([muc.provider(), muc.functions.table.version()]).toEqual(["none", 1])
        expect(muc.tell(parties.operator, addressesPath, Buffer.from("uplink=x:1"))).toBe(codeText(Code.ChainIssuer))
        expect(() => muc.holdings.setProvider(parseCertificate(parties.provider.der))).toThrow(
            codeText(Code.ProviderDeleted),
        )
        const after = new Muc(muc.store)
        after.holdings.setProvider(parseCertificate(second.der))
        expect(after.tell(secondOperator, addressesPath, Buffer.from("uplink=x:1"))).toBe("done")
    })
})

describe("at the device, with the image for installation", () => {
    it("an authority's order sets a clock that has stopped; nothing but that and reading is done before", () => {
        const muc = new Muc(fresh(), LocalFunctions)
        muc.stopped = true
        expect(muc.tell(parties.operator, labelPath, Buffer.from("x"))).toBe(codeText(Code.TimeNotTrusted))
        const time = Buffer.alloc(4)
        time.writeUInt32BE(noon)
        expect(muc.tell(parties.operator, timePath, time)).toBe(codeText(Code.FunctionDenied))
        expect(muc.tell(parties.calibration, timePath, time, [])).toBe("done")
        expect(muc.stopped).toBe(false)
        expect(muc.tell(parties.operator, labelPath, Buffer.from("cellar"))).toBe("done")
    })

    it("takes a symmetric key that is sealed for it, and tells no value of it", () => {
        const muc = new Muc(fresh(), LocalFunctions)
        const key = randomBytes(32)
        const seal = (plain: Buffer) => {
            muc.ask(command(parties.provider, [get(keysPath)]))
            return sealed(plain)
        }
        const one = seal(Buffer.concat([Buffer.of(Held.UserKey, 0), key]))
        expect(muc.tell(parties.operator, keysPath, one)).toBe(codeText(Code.FunctionDenied))
        expect(muc.tell(parties.provider, keysPath, one)).toBe("done")
        expect(muc.keys.holds(Held.UserKey)).toBe(true)
        expect(muc.store.cells.includes(key)).toBe(true)
        const altered = seal(Buffer.concat([Buffer.of(Held.UserKey, 0), randomBytes(32)]))
        altered[70] ^= 1
        expect(muc.tell(parties.provider, keysPath, altered)).toBe(codeText(Code.TagMismatch))
        expect(muc.tell(parties.provider, keysPath, seal(Buffer.of(Held.UserKey, 0, 1)))).toBe(
            codeText(Code.BadArgument),
        )
        expect(muc.store.cells.includes(key)).toBe(true)
    })

    it("takes over the uplink, with the image that has PLC links, the keys of these and no others, only from who may set keys", () => {
        const muc = new Muc(fresh(), PlcFunctions)
        const functions = muc.functions as PlcFunctions
        let changed = 0
        functions.onKey = () => ++changed
        const key = randomBytes(32)
        const seal = (kind: Held, value: Buffer) => {
            muc.ask(command(parties.provider, [get(keysPath)]))
            return sealed(Buffer.concat([Buffer.of(kind, 0), value]))
        }
        expect(muc.tell(parties.provider, keysPath, sealed(Buffer.concat([Buffer.of(Held.DisplayKey, 0), key])))).toBe(
            codeText(Code.KeyAbsent),
        )
        functions.exchange = new KeyExchange(agreement(), mucId)
        expect(muc.ask(command(parties.operator, [get(keysPath)])).pop()).toBe(codeText(Code.FunctionDenied))
        const one = seal(Held.DisplayKey, key)
        expect(muc.tell(parties.operator, keysPath, one)).toBe(codeText(Code.FunctionDenied))
        expect(muc.ask(unsigned(setParameter(keysPath, one, mucId), mucId))).not.toContain("done")
        expect(changed).toBe(0)
        expect(muc.tell(parties.provider, keysPath, one)).toBe("done")
        expect([changed, muc.keys.only(Held.DisplayKey)?.equals(key)]).toEqual([1, true])
        expect(muc.events().pop()).toBe(Event.keysSet)
        for (const kind of [Held.MBusKey, Held.UserPassword])
            expect(muc.tell(parties.provider, keysPath, seal(kind, key))).toBe(codeText(Code.StepOutOfOrder))
        expect(muc.tell(parties.provider, keysPath, seal(Held.DisplayKey, Buffer.alloc(31, 1)))).toBe(
            codeText(Code.BadArgument),
        )
        expect(muc.tell(parties.provider, keysPath, seal(Held.UserKey, key))).toBe("done")
        expect(muc.tell(parties.provider, keysPath, seal(Held.DisplayKey, Buffer.alloc(0)))).toBe("done")
        expect([changed, muc.keys.only(Held.DisplayKey)]).toEqual([3, undefined])
        expect(muc.tell(parties.calibration, timePath, Buffer.alloc(4))).toBe(codeText(Code.StepOutOfOrder))
    })

    it("is erased by the local operator with the calibration authority's order, and then installed anew", () => {
        const muc = new Muc(fresh(), LocalFunctions)
        const orderBy = (by: TestParty, target = mucId) =>
            command(by, [setParameter(erasePath, zero, target)], [parties.calibration], target)
        const fitter = parties.localOperator
        expect(muc.tell(fitter, erasePath, orderBy(parties.operator))).toMatch(/^E/)
        expect(muc.tell(fitter, erasePath, orderBy(parties.calibration, meterId))).toBe(codeText(Code.CommandTarget))
        expect(muc.tell(parties.operator, erasePath, orderBy(parties.calibration))).toBe(codeText(Code.FunctionDenied))
        expect(muc.tell(fitter, erasePath, orderBy(parties.calibration))).toBe("done")
        expect(muc.identity.step()).toBe(Step.Erasing)
        let erased = 0
        const custody: any = { state: () => ({ configured: true }), erase: () => ++erased }
        eraseOrdered(new Identity(muc.store, mucId), muc.store, custody)
        expect(erased).toBe(1)
        const after = new Identity(muc.store, mucId)
        expect([after.step(), after.hardware().length]).toEqual([Step.Bare, 0])
        const { cells } = muc.store
        for (const { der } of [own, parties.provider, parties.root, parties.caRoot])
            expect(cells.includes(der)).toBe(false)
        expect(cells.includes(Buffer.alloc(32, 7))).toBe(false)
        const outside = Buffer.concat([
            cells.subarray(0, 0x1000),
            cells.subarray(0x1400, signersAt),
            cells.subarray(signersEnd),
        ])
        expect(outside.every(octet => octet === 0)).toBe(true)
        after.produce(Buffer.from("plomb-muc-1"))
        expect(after.step()).toBe(Step.Produced)
    })
})

/** Cuts the power at each octet that `change` writes; after each the state must be the one before or the one after, and `change` works anew. */
function cutEverywhere(
    start: MemoryStore,
    kind: typeof Functions,
    prepare: (muc: Muc) => void,
    change: (muc: Muc) => string,
    state: (muc: Muc) => string,
    again?: (muc: Muc) => void,
) {
    const before = state(new Muc(copyOf(start), kind))
    const whole = copyOf(start)
    const first = new Muc(whole, kind)
    prepare(first)
    const from = whole.written
    expect(change(first)).toBe("done")
    const octets = whole.written - from
    const after = state(new Muc(whole, kind))
    expect(after).not.toBe(before)
    for (let cut = 0; cut < octets; ++cut) {
        const store = copyOf(start)
        const muc = new Muc(store, kind)
        prepare(muc)
        store.cutAfter = cut
        expect(() => change(muc)).toThrow(Cut)
        store.cutAfter = Number.POSITIVE_INFINITY
        const next = new Muc(store, kind)
        expect([before, after], `cut after ${cut} octets`).toContain(state(next))
        if (again) {
            again(next)
            expect(change(next)).toBe("done")
            expect(state(new Muc(store, kind))).toBe(after)
        }
    }
    return octets
}

describe("power that goes at any octet", () => {
    const everything = (muc: Muc) =>
        [muc.provider(), muc.functions.table.version(), muc.addresses.text.get(), muc.identity.step()].join(" ")

    it.each([
        ["a new symmetric key, or none", Held.UserKey],
        ["the old symmetric key or the new one", Held.DisplayKey],
    ])(
        "leaves %s, and nothing between",
        (_, of) => {
            const key = randomBytes(32)
            const inForce = (muc: Muc) => {
                const rings = Array.from({ length: 3 }, (_, i) => (muc.keys as any).load(i) as Buffer)
                return rings.map(record => `${record[0]} ${record.toString("hex", 10, 42)}`).join(" ")
            }
            const octets = cutEverywhere(
                fresh(),
                LocalFunctions,
                muc => muc.ask(command(parties.provider, [get(keysPath)])),
                muc => muc.tell(parties.provider, keysPath, sealed(Buffer.concat([Buffer.of(of, 0), key]))),
                inForce,
                muc => muc.ask(command(parties.provider, [get(keysPath)])),
            )
            console.log(`symmetric key: ${octets} cuts`)
        },
        240_000,
    )

    it("leaves the old addresses or the new ones", () => {
        const octets = cutEverywhere(
            fresh(),
            Functions,
            () => {},
            muc => muc.tell(parties.operator, addressesPath, Buffer.from("uplink=x:1")),
            everything,
        )
        console.log(`addresses: ${octets} cuts`)
    }, 120_000)

    it("leaves the old access table or the new one", () => {
        const octets = cutEverywhere(
            fresh(),
            Functions,
            () => {},
            muc => muc.tell(parties.provider, accessPath, tableWith(muc, 10, 0x88)),
            everything,
        )
        console.log(`access: ${octets} cuts`)
    }, 120_000)

    it("leaves the first provider or the second", () => {
        const octets = cutEverywhere(
            fresh(),
            Functions,
            muc => muc.bring(second.der, secondList),
            muc => muc.tell(parties.provider, changeProviderPath, changeOrder()),
            everything,
        )
        console.log(`provider changed: ${octets} cuts`)
    }, 600_000)

    it("leaves the provider, or none and the table of delivery", () => {
        const start = fresh()
        const muc = new Muc(start)
        expect(muc.tell(parties.provider, accessPath, tableWith(muc, 10, 0x88))).toBe("done")
        const octets = cutEverywhere(
            start,
            Functions,
            () => {},
            each => each.tell(parties.manufacturer, deleteProviderPath, zero),
            everything,
        )
        console.log(`provider deleted: ${octets} cuts`)
    }, 300_000)

    it("leaves a MUC that goes on with its erase until it is bare", () => {
        const start = fresh()
        const muc = new Muc(start, LocalFunctions)
        muc.identity.reach(Step.Erasing)
        const custody: any = { state: () => ({ configured: true }), erase: () => {} }
        let cuts = 0
        for (let cut = 0; cut < 0x20000; cut += cut < 64 || cut > 0x1f000 ? 1 : 509) {
            const store = copyOf(start)
            store.cutAfter = cut
            try {
                eraseOrdered(new Identity(store, mucId), store, custody)
            } catch (error) {
                if (!(error instanceof Cut)) throw error
                ++cuts
            }
            store.cutAfter = Number.POSITIVE_INFINITY
            eraseOrdered(new Identity(store, mucId), store, custody)
            expect(new Identity(store, mucId).step()).toBe(Step.Bare)
            expect(store.cells.includes(parties.provider.der)).toBe(false)
        }
        console.log(`erase: ${cuts} cuts`)
        expect(uintBE(start.cells, providerAt, 1)).toBe(0)
    }, 300_000)
})
