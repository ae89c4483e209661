import { createHash, KeyObject, sign } from "node:crypto"
import { beforeAll, beforeEach, describe, expect, it } from "vitest"
import { Fn } from "../../firmware/core/access"
import { crc16 } from "../../firmware/core/crc16"
import { closeReq, openReq } from "../../firmware/core/sml-messages"
import {
    accessPath,
    changeProviderPath,
    commandPath,
    labelPath,
    metrologicalLogbookPath,
    timePath,
} from "../../firmware/core/sml-parameter"
import { writeFile } from "../../firmware/core/sml-transport"
import { Role } from "../../firmware/core/x509-role"
import { verifyAnswer } from "../../tools/authority/answer.ts"
import { type CommandOptions, type Signer, sealFile } from "../../tools/authority/signer.ts"
import { readCommand } from "../../tools/verify/command-file.ts"
import { readSmlFile } from "../../tools/verify/sml-file.ts"
import { crlOf, noon, party, type TestParty } from "../helpers/certificates.ts"
import { ask, commandDevice, judgeByNode, octetsOf, type Reply, readReply } from "../helpers/command-desk.ts"
import {
    bits,
    type CommandParties,
    commandParties,
    getParameter,
    heldByMeter,
    meterId,
    readCurrent,
    roleParty,
    setParameter,
    signerOf,
} from "../helpers/commands.ts"
import { MemoryStore } from "../helpers/memory-store.ts"
import type { CommandDevice } from "../vm/device/command-device.ts"
import { logbookAt, storeSize } from "../vm/device/command-device.ts"

const day = 86_400
const nowSeconds = () => noon
let parties: CommandParties
let judged: { verifications: number }
let store: MemoryStore
let device: CommandDevice

beforeAll(async () => {
    judged = judgeByNode(true)
    parties = await commandParties()
})

beforeEach(() => {
    store = new MemoryStore(storeSize)
    device = commandDevice(store)
    device.answer(ask.hold(heldByMeter(parties)))
    device.answer(ask.time(noon))
})

const label = (text = "cellar") => setParameter(labelPath, Buffer.from(text))
const setTime = (seconds: number) => {
    const value = Buffer.alloc(4)
    value.writeUInt32BE(seconds)
    return setParameter(timePath, value)
}

const signers = new Map<TestParty, Signer>()

/** Requests signed by `of`, each time with the next counter. */
function by(of: TestParty, requests: Buffer | Buffer[] = readCurrent(), options: CommandOptions = {}): Buffer {
    const signer = signers.get(of) ?? signerOf(of, [], { nowSeconds })
    signers.set(of, signer)
    return signer.command(meterId, [requests].flat(), options)
}

function tell(file: Uint8Array, requests = 1): Reply {
    return readReply(device.answer(ask.command(file)), requests)
}

/** The code a file is refused with; fails unless nothing but the logbook has changed. */
function refusal(file: Uint8Array): string {
    const before = Buffer.from(store.cells.subarray(0, logbookAt))
    const { file: code, answer } = tell(file)
    expect(store.cells.subarray(0, logbookAt)).toEqual(before)
    expect(device.label).toHaveLength(0)
    expect(answer).toBeUndefined()
    return code
}

/** A file signed by `of` around a header of which anything may be wrong. */
function odd(
    of: TestParty,
    change: (header: Buffer) => void = () => {},
    {
        inside = [of],
        requests = [readCurrent()],
        length = 45,
    }: { inside?: TestParty[]; requests?: Buffer[]; length?: number } = {},
): Buffer {
    const header = Buffer.alloc(45)
    header[0] = 1
    header.writeUInt32BE(noon, 1)
    header.writeUInt32BE(noon - 60, 5)
    header.writeUInt32BE(noon + 60, 9)
    header.set(createHash("sha256").update(of.der).digest(), 13)
    change(header)
    const octets = Buffer.concat([header.subarray(0, length), ...inside.map(each => each.der)])
    const id = Buffer.from("odd")
    const frame = [openReq(id, id, id, meterId), setParameter(commandPath, octets), ...requests]
    return sealFile(frame, id, KeyObject.from(of.keys.privateKey))
}

const period = (from: number, until: number) => (header: Buffer) => {
    header.writeUInt32BE(from, 5)
    header.writeUInt32BE(until, 9)
}

describe("a command that is in order", () => {
    it("is let in and answered, whoever of its roles signed it", () => {
        for (const [name, request] of [
            ["operator", readCurrent()],
            ["provider", label()],
            ["manufacturer", label()],
            ["dataCollection", readCurrent()],
            ["calibration", setTime(noon + 1)],
            ["institute", getParameter(metrologicalLogbookPath)],
            ["indicator", readCurrent()],
        ] as const) {
            const reply = tell(by(parties[name], request))
            expect([name, reply.file, ...reply.requests]).toEqual([name, "done", "done"])
        }
    })

    it("names its caller: role, rights, key, counter and digest", () => {
        const file = by(parties.operator)
        const { role, counter } = tell(file)
        expect(role).toBe(Role.operator)
        expect(counter).toBe(readCommand(readSmlFile(file)).counter)
    })

    it("is answered by a signed file that names it, and only it", async () => {
        const meter = await party({ name: meterId.toString("hex"), issuer: parties.calibration, ca: false })
        const key = KeyObject.from(meter.keys.privateKey)
        device = commandDevice(store, digest => sign("sha256", octetsOf(digest), { key, dsaEncoding: "ieee-p1363" }))
        device.answer(ask.hold(heldByMeter(parties)))
        device.answer(ask.time(noon))
        const file = by(parties.operator, [label("attic"), readCurrent(), label("cellar"), setTime(1), readCurrent()])
        const { answer, requests } = tell(file, 5)
        expect(requests).toEqual(["done", "done", "done", "FunctionDenied", "NotTried"])
        const verdict = verifyAnswer(answer!, file, meter.der)
        expect(verdict.findings.filter(each => !each.holds)).toEqual([])
        expect(verdict.answer!.outcomes.map(each => [each.kind, each.attention, each.text])).toEqual([
            ["done", "fd00", ""],
            ["done", "fd00", ""],
            ["done", "fd00", ""],
            ["refused", "fe02", "E5213"],
            ["refused", "fe0a", "E5210"],
        ])
        expect(verdict.answer).toMatchObject({ secondsIndex: 7, utc: noon })

        const other = by(parties.operator)
        expect(
            verifyAnswer(answer!, other, meter.der)
                .findings.filter(each => !each.holds)
                .map(each => each.check),
        ).toEqual(["command", "counter"])
        expect(
            verifyAnswer(answer!, file, parties.operator.der)
                .findings.filter(each => !each.holds)
                .map(each => each.check),
        ).toEqual(["device", "signature"])
        const changed = Buffer.from(answer!)
        changed[changed.indexOf("E5213")] ^= 1
        expect(verifyAnswer(changed, file, meter.der).holds).toBe(false)
    })

    it("of a known signer costs one verification: with the certificate again, or by its hash", () => {
        tell(by(parties.operator))
        for (const withCertificate of [true, false]) {
            const before = judged.verifications
            expect(tell(by(parties.operator, readCurrent(), { withCertificate })).file).toBe("done")
            expect(judged.verifications - before).toBe(1)
        }
        device.answer(ask.hold(heldByMeter(parties)))
        const before = judged.verifications
        expect(tell(by(parties.operator, readCurrent(), { withCertificate: false })).file).toBe("done")
        expect(judged.verifications - before).toBe(2)
    })

    it("of a signer held needs no certificate inside", () => {
        for (const name of ["provider", "manufacturer", "calibration"] as const)
            expect(tell(by(parties[name], readCurrent(), { withCertificate: false })).file).toBe("done")
    })

    it("brings the issuer's certificate where that is not held", () => {
        const signer = signerOf(parties.inspector, [parties.calibration], { nowSeconds })
        device.answer(ask.hold([parties.root, parties.provider]))
        expect(tell(signer.command(meterId, [label()]))).toMatchObject({ file: "done", requests: ["done"] })
        expect(tell(signer.command(meterId, [label()], { withCertificate: false })).file).toBe("done")
    })

    it("passed on by a MUC is judged and not counted: the meter counts", () => {
        const file = by(parties.operator)
        for (let i = 0; i < 2; ++i) {
            const before = Buffer.from(store.cells)
            expect(readReply(device.answer(ask.relayed(file)), 1).file).toBe("done")
            expect(store.cells).toEqual(before)
        }
        expect(tell(file).file).toBe("done")
    })
})

describe("form", () => {
    it("a file without signature is nobody's: what needs a right is refused", () => {
        const id = Buffer.from("plain")
        const plain = writeFile([openReq(id, id, id, meterId), readCurrent(), label(), closeReq(id, undefined)])
        expect(tell(plain, 2)).toEqual({ file: "done", requests: ["NotSigned", "NotSigned"] })
        const stripped = writeFile([
            openReq(id, id, id, meterId),
            setParameter(commandPath, headerOnly(parties.provider)),
            label(),
            closeReq(id, undefined),
        ])
        expect(tell(stripped, 2)).toEqual({ file: "done", requests: ["NotSigned", "NotSigned"] })
        expect(device.label).toHaveLength(0)
    })

    it.each([
        ["another version", odd2(header => (header[0] = 2))],
        ["a header cut short", () => odd(parties.operator, () => {}, { inside: [], length: 44 })],
        ["no request", () => odd(parties.operator, () => {}, { requests: [] })],
        [
            "nine requests",
            () => odd(parties.operator, () => {}, { requests: Array.from({ length: 9 }, () => readCurrent()) }),
        ],
        [
            "a certificate other than the one named",
            () => odd(parties.operator, () => {}, { inside: [parties.provider] }),
        ],
        [
            "three certificates",
            () => odd(parties.operator, () => {}, { inside: [parties.operator, parties.provider, parties.caRoot] }),
        ],
        ["a signature and no header", () => headless(parties.operator)],
        [
            "a request that is none of the four",
            () => odd(parties.operator, () => {}, { requests: [closeReq(Buffer.of(1), undefined)] }),
        ],
    ] as [string, () => Buffer][])("%s is refused: CommandForm", (_what, make) => {
        expect(refusal(make())).toBe("CommandForm")
    })

    it("a certificate that is none is refused with the code that tells what", () => {
        const broken = { ...parties.operator, der: Buffer.from(parties.operator.der) }
        broken.der[4] ^= 1
        expect(refusal(odd({ ...broken }, header => header, {}))).toMatch(/^(Der|X509)/)
    })

    it.each([
        ["ends before it begins", noon, noon - 1],
        ["is longer than a day", noon - 60, noon - 60 + day + 1],
    ])("a validity that %s is refused: CommandPeriod", (_what, from, until) => {
        expect(refusal(odd(parties.operator, period(from, until)))).toBe("CommandPeriod")
    })

    it("a day is not too long", () => {
        expect(tell(odd(parties.operator, period(noon - 60, noon - 60 + day))).file).toBe("done")
    })
})

function odd2(change: (header: Buffer) => void): () => Buffer {
    return () => odd(parties.operator, change)
}

function headerOnly(of: TestParty): Buffer {
    return Buffer.concat([Buffer.of(1), Buffer.alloc(12), createHash("sha256").update(of.der).digest()])
}

/** Signed as a command, but the first request is an ordinary one. */
function headless(of: TestParty): Buffer {
    const id = Buffer.from("headless")
    const key = KeyObject.from(of.keys.privateKey)
    return sealFile([openReq(id, id, id, meterId), label(), readCurrent()], id, key)
}

describe("target", () => {
    it("a command for another meter is refused: CommandTarget", () => {
        const other = Buffer.from("0a01504c420100000002", "hex")
        expect(refusal(signerOf(parties.operator, [], { nowSeconds }).command(other, [readCurrent()]))).toBe(
            "CommandTarget",
        )
        expect(refusal(signerOf(parties.operator, [], { nowSeconds }).command(Buffer.alloc(0), [readCurrent()]))).toBe(
            "CommandTarget",
        )
    })
})

describe("the signer's certificate", () => {
    const refused = async (role: Role | undefined, options: Parameters<typeof roleParty>[1]) =>
        refusal(by(await roleParty(role, { ca: false, ...options })))

    it("by its hash only, and never seen: SignerUnknown", () => {
        expect(refusal(by(parties.operator, readCurrent(), { withCertificate: false }))).toBe("SignerUnknown")
    })

    it("of another PKI: ChainIssuer; with the same names: ChainKeyId", async () => {
        const foreign = await commandParties()
        expect(refusal(by(foreign.provider))).toBe("ChainIssuer")
        expect(refusal(by(foreign.operator))).toBe("ChainKeyId")
        const root = await party({ name: "Another Root" })
        const provider = await roleParty(Role.securityManagement, { issuer: root, ca: true, name: "Another Provider" })
        expect(await refused(Role.operator, { issuer: provider })).toBe("ChainIssuer")
        // Self-signed, with any role it likes.
        expect(await refused(Role.institute, { ca: true, name: "Me" })).toBe("ChainIssuer")
    })

    it("with the names and key identifiers of an issuer, but not signed by it: ChainSignature", () => {
        const certificate = Buffer.from(parties.operator.der)
        certificate[certificate.length - 5] ^= 1
        expect(refusal(odd({ ...parties.operator, der: certificate }))).toBe("ChainSignature")
    })

    it("of another provider of the same CA: a provider commands only with the certificate held", async () => {
        const other = await roleParty(Role.securityManagement, {
            issuer: parties.caRoot,
            ca: true,
            name: "Other Provider",
        })
        device.answer(ask.hold([...heldByMeter(parties), parties.caRoot]))
        expect(refusal(by(other))).toBe("RoleNotCertifiable")
        const operator = await roleParty(Role.operator, { issuer: other, ca: false })
        expect(refusal(signerOf(operator, [], { nowSeconds }).command(meterId, [readCurrent()]))).toBe("ChainIssuer")
        const file = odd(operator, () => {}, { inside: [operator, other] })
        expect(refusal(file)).toBe("RoleNotCertifiable")
    })

    it("expired, or not yet valid, itself or its issuer: ChainExpired, ChainNotYetValid", async () => {
        const past = { notBefore: new Date(Date.UTC(2028, 0, 1)), notAfter: new Date((noon - 1) * 1000) }
        const future = { notBefore: new Date((noon + 1) * 1000), notAfter: new Date(Date.UTC(2033, 0, 1)) }
        expect(await refused(Role.operator, { issuer: parties.provider, ...past })).toBe("ChainExpired")
        expect(await refused(Role.operator, { issuer: parties.provider, ...future })).toBe("ChainNotYetValid")
        const provider = await roleParty(Role.securityManagement, {
            issuer: parties.caRoot,
            ca: true,
            name: "Old",
            ...past,
        })
        device.answer(ask.hold([provider]))
        expect(refusal(by(provider, label(), { withCertificate: false }))).toBe("ChainExpired")
        expect(await refused(Role.operator, { issuer: provider })).toBe("ChainExpired")
    })

    it("known, and expired since: ChainExpired without a new judgement", async () => {
        const operator = await roleParty(Role.operator, {
            issuer: parties.provider,
            ca: false,
            notAfter: new Date((noon + 5) * 1000),
        })
        expect(tell(by(operator)).file).toBe("done")
        device.answer(ask.time(noon + 6))
        const before = judged.verifications
        expect(refusal(by(operator))).toBe("ChainExpired")
        expect(judged.verifications).toBe(before)
    })

    it("revoked: ChainRevoked, as soon as the list is there", async () => {
        expect(tell(by(parties.operator)).file).toBe("done")
        device.answer(ask.lists([await crlOf(parties.provider, [parties.operator])]))
        expect(refusal(by(parties.operator))).toBe("ChainRevoked")
        expect(tell(by(parties.dataCollection)).file).toBe("done")
    })

    it("held no longer: ChainIssuer, for it and for all that it certified", () => {
        expect(tell(by(parties.operator)).file).toBe("done")
        expect(tell(by(parties.provider)).file).toBe("done")
        device.answer(ask.hold([parties.root, parties.calibration, parties.manufacturer]))
        expect(refusal(by(parties.operator))).toBe("ChainIssuer")
        expect(refusal(by(parties.provider))).toBe("ChainIssuer")
    })

    it("not for signing: ChainKeyUsage", async () => {
        expect(await refused(Role.operator, { issuer: parties.provider, usage: 16 })).toBe("ChainKeyUsage")
        expect(refusal(by(parties.root, readCurrent(), { withCertificate: false }))).toBe("ChainKeyUsage")
    })

    it("issued by one who may issue none: ChainPathLength, ChainNotCa", async () => {
        const { operator, institute } = parties
        const byOperator = await roleParty(Role.dataCollection, { issuer: operator, ca: false })
        expect(refusal(odd(byOperator, () => {}, { inside: [byOperator, operator] }))).toBe("ChainPathLength")
        const byInstitute = await roleParty(Role.institute, { issuer: institute, ca: false })
        expect(refusal(odd(byInstitute, () => {}, { inside: [byInstitute, institute] }))).toBe("ChainNotCa")
    })

    it("without a role, or with one that commands nobody: RoleMissing, RoleNotCertifiable", async () => {
        expect(await refused(undefined, { issuer: parties.provider })).toBe("RoleMissing")
        for (const role of [Role.meter, Role.muc, Role.concentrator, Role.directory, Role.certificationAuthority])
            expect(await refused(role, { issuer: parties.manufacturer })).toBe("RoleNotCertifiable")
        const provider = await party({ issuer: parties.caRoot, ca: true, name: "Without", usage: 1 | 32 | 64 })
        device.answer(ask.hold([provider]))
        expect(await refused(Role.operator, { issuer: provider })).toBe("RoleMissing")
    })

    it("with a role that its issuer may not certify: RoleNotCertifiable", async () => {
        const { root, calibration, manufacturer, provider } = parties
        const may: [TestParty, Role[]][] = [
            [root, [Role.institute, Role.calibrationAuthority]],
            [calibration, [Role.localOperator]],
            [manufacturer, []],
            [
                provider,
                [
                    Role.operator,
                    Role.dataCollection,
                    Role.energyProvider,
                    Role.localOperator,
                    Role.customer,
                    Role.indicator,
                ],
            ],
        ]
        for (const [issuer, roles] of may)
            for (let role = Role.institute; role <= Role.indicator; ++role) {
                const of = await roleParty(role, { issuer, ca: false })
                const expected = roles.includes(role) ? "done" : "RoleNotCertifiable"
                expect([issuer.name, Role[role], tell(by(of)).file]).toEqual([issuer.name, Role[role], expected])
            }
    })

    it("of an older version than the table asks, or its issuer's: RoleVersionOld", async () => {
        const raised = Buffer.from(device.table.octets())
        raised.writeUInt32BE(2)
        raised.writeUInt32BE(2, 46 + 4 * Role.operator)
        expect(tell(by(parties.provider, setParameter(accessPath, raised))).requests).toEqual(["done"])
        const before = Buffer.from(store.cells.subarray(0, logbookAt))
        expect(tell(by(parties.operator)).file).toBe("RoleVersionOld")
        expect(store.cells.subarray(0, logbookAt)).toEqual(before)
        const newer = await roleParty(Role.operator, { issuer: parties.provider, ca: false, version: 2 })
        expect(tell(by(newer)).file).toBe("done")

        const provider = await roleParty(Role.securityManagement, {
            issuer: parties.caRoot,
            ca: true,
            name: "Newer",
            version: 2,
        })
        device.answer(ask.hold([provider]))
        raised.writeUInt32BE(3)
        raised.writeUInt32BE(2, 46 + 4 * Role.securityManagement)
        expect(tell(by(provider, setParameter(accessPath, raised))).requests).toEqual(["done"])
        expect(tell(by(provider)).file).toBe("done")
        device.answer(ask.hold([parties.provider]))
        expect(tell(by(parties.provider)).file).toBe("RoleVersionOld")
        expect(tell(by(newer)).file).toBe("RoleVersionOld")
    })

    it("with rights that its issuer does not have: RightsBeyondIssuer", async () => {
        const rights = bits(Fn.readCurrent, Fn.setParameters)
        const issuer = await roleParty(Role.securityManagement, {
            issuer: parties.caRoot,
            ca: true,
            name: "Narrow",
            rights,
        })
        device.answer(ask.hold([issuer]))
        expect(await refused(Role.operator, { issuer })).toBe("RightsBeyondIssuer")
        expect(await refused(Role.operator, { issuer, rights: bits(Fn.readCurrent, Fn.setKeys) })).toBe(
            "RightsBeyondIssuer",
        )
        const within = await roleParty(Role.operator, { issuer, ca: false, rights: bits(Fn.readCurrent) })
        expect(tell(by(within)).requests).toEqual(["done"])
    })
})

describe("signature", () => {
    const id = Buffer.from("changed")
    const signatureOf = (file: Buffer) => readCommand(readSmlFile(file)).signature

    it("of another key under a signer's certificate: CommandSignature", () => {
        expect(refusal(odd({ ...parties.operator, keys: parties.customer.keys }))).toBe("CommandSignature")
    })

    it("moved to other octets, cut short, or none: CommandSignature, NotSigned", () => {
        const frame = [
            openReq(id, id, id, meterId),
            setParameter(commandPath, headerOnly(parties.provider)),
            label("moved"),
        ]
        const file = sealFile(frame, id, KeyObject.from(parties.provider.keys.privateKey))
        const signature = signatureOf(file)
        expect(refusal(writeFile([...frame.slice(0, 2), label("other"), closeReq(id, signature)]))).toBe(
            "CommandSignature",
        )
        for (const length of [1, 32, 63])
            expect(refusal(writeFile([...frame, closeReq(id, signature.subarray(0, length))]))).toBe("CommandSignature")
        expect(refusal(writeFile([...frame, closeReq(id, Buffer.concat([signature, Buffer.of(0)]))]))).toBe(
            "CommandSignature",
        )
        expect(refusal(writeFile([...frame, closeReq(id, Buffer.alloc(64))]))).toBe("CommandSignature")
    })

    it("covers every octet before it: a change of any one is refused", () => {
        const header = headerOnly(parties.provider)
        header.writeUInt32BE(noon, 1)
        header.writeUInt32BE(noon, 5)
        header.writeUInt32BE(noon, 9)
        const frame = [openReq(id, id, id, meterId), setParameter(commandPath, header), label("covered")]
        const signature = signatureOf(sealFile(frame, id, KeyObject.from(parties.provider.keys.privateKey)))
        const codes = new Set<string>()
        frame.forEach((message, which) => {
            // CRC and end aside: they are made anew.
            for (let at = 0; at < message.length - 4; ++at) {
                const changed = Buffer.from(message)
                changed[at] ^= 1
                const crc = crc16(changed, 0, changed.length - 4, 0xffff) ^ 0xffff
                changed.writeUInt16LE(crc, changed.length - 3)
                const file = writeFile([
                    ...frame.slice(0, which),
                    changed,
                    ...frame.slice(which + 1),
                    closeReq(id, signature),
                ])
                codes.add(refusal(file))
            }
        })
        expect(codes).not.toContain("done")
        expect(codes).toContain("CommandSignature")
        expect(tell(writeFile([...frame, closeReq(id, signature)])).file).toBe("done")
    })
})

describe("validity and counter", () => {
    it("a command from the future or of the past is refused: CommandNotYetValid, CommandExpired", () => {
        expect(refusal(odd(parties.operator, period(noon + 1, noon + 60)))).toBe("CommandNotYetValid")
        expect(refusal(odd(parties.operator, period(noon - 60, noon - 1)))).toBe("CommandExpired")
        expect(tell(odd(parties.operator, period(noon, noon))).file).toBe("done")
    })

    it("a replay is refused, and so is an older command that was held back: CommandReplayed", () => {
        const signer = signerOf(parties.operator, [], { nowSeconds })
        const [first, second, third] = [1, 2, 3].map(() => signer.command(meterId, [readCurrent()]))
        expect(tell(first).file).toBe("done")
        expect(refusal(first)).toBe("CommandReplayed")
        expect(tell(third).file).toBe("done")
        expect(refusal(second)).toBe("CommandReplayed")
        expect(refusal(third)).toBe("CommandReplayed")
        expect(refusal(odd(parties.customer, header => header.writeUInt32BE(0, 1)))).toBe("CommandReplayed")
    })

    it("also after a restart", () => {
        const file = by(parties.operator)
        expect(tell(file).file).toBe("done")
        device = commandDevice(store)
        device.answer(ask.hold(heldByMeter(parties)))
        device.answer(ask.time(noon))
        expect(refusal(file)).toBe("CommandReplayed")
    })

    it("counters count by key: a renewed certificate goes on counting", async () => {
        const renewed = await roleParty(Role.operator, {
            issuer: parties.provider,
            ca: false,
            keys: parties.operator.keys,
        })
        expect(tell(odd(parties.operator)).file).toBe("done")
        expect(refusal(odd(renewed))).toBe("CommandReplayed")
        expect(tell(odd(renewed, header => header.writeUInt32BE(noon + 1, 1))).file).toBe("done")
    })

    it("without a trusted clock only the time is set, and what needs none is read, by counter alone", () => {
        const { calibration, operator, provider } = parties
        device.answer(ask.time(0))
        expect(tell(odd(operator, period(noon + 1, noon + 60))).requests).toEqual(["done"])
        expect(tell(by(provider, label()))).toMatchObject({ file: "done", requests: ["TimeNotTrusted"] })
        expect(device.label).toHaveLength(0)
        expect(refusal(odd(operator))).toBe("CommandReplayed")
        expect(tell(by(calibration, [setTime(noon), label()]), 2).requests).toEqual(["done", "FunctionDenied"])
        expect(tell(by(provider, label())).requests).toEqual(["done"])
    })
})

describe("rights", () => {
    it("a function that the table does not give the role: FunctionDenied, for each role and function as delivered", () => {
        expect(tell(by(parties.indicator, getParameter(metrologicalLogbookPath))).requests).toEqual(["FunctionDenied"])
        expect(tell(by(parties.operator, setTime(1))).requests).toEqual(["FunctionDenied"])
        expect(tell(by(parties.dataCollection, label())).requests).toEqual(["FunctionDenied"])
        expect(device.label).toHaveLength(0)
        expect(device.trust.now).toBe(noon)
    })

    it("a function that the certificate does not give: RightMissing", async () => {
        const narrow = { issuer: parties.provider, ca: false, rights: bits(Fn.readCurrent) }
        const reader = await roleParty(Role.operator, narrow)
        expect(tell(by(reader, [readCurrent(), label(), readCurrent()]), 3).requests).toEqual([
            "done",
            "RightMissing",
            "NotTried",
        ])
        const none = await roleParty(Role.operator, { ...narrow, rights: 0 })
        expect(tell(by(none)).requests).toEqual(["RightMissing"])
        expect(device.label).toHaveLength(0)
    })

    it("behind a change of provider in the same command the former provider has none any more", () => {
        const requests = [label("before"), setParameter(changeProviderPath, Buffer.of(0)), label("after")]
        expect(tell(by(parties.provider, requests), 3).requests).toEqual(["done", "done", "ChainIssuer"])
        expect(device.label.toString()).toBe("before")
    })

    it("behind a change of the table in the same command the new table counts", () => {
        const closed = Buffer.from(device.table.octets())
        closed.writeUInt32BE(2)
        closed.writeUInt16BE(bits(Role.operator), 4 + 2 * Fn.setParameters)
        const requests = [label("before"), setParameter(accessPath, closed), label("after")]
        expect(tell(by(parties.provider, requests), 3).requests).toEqual(["done", "done", "FunctionDenied"])
        expect(device.label.toString()).toBe("before")
        expect(tell(by(parties.operator, label("operator"))).requests).toEqual(["done"])
    })
})
