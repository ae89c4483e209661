import { createHash } from "node:crypto"
import fc from "fast-check"
import { beforeAll, describe, expect, it } from "vitest"
import { CRC_BAD } from "../../firmware/core/crc16.ts"
import { Code, PlombError } from "../../firmware/core/errors.ts"
import {
    readSignedList,
    SignedListFields,
    signedListRes,
    signedRowRes,
    writeSignedList,
    writeSignedRow,
} from "../../firmware/core/signed-list.ts"
import { closeRes, openRes } from "../../firmware/core/sml-messages.ts"
import { readFile } from "../../firmware/core/sml-read.ts"
import { writeFile } from "../../firmware/core/sml-transport.ts"
import { judgeEvidence } from "../../tools/verify/evidence.ts"
import {
    evidenceOf,
    listBody,
    makeWorld,
    noon,
    profileBody,
    profileOctets,
    requestId,
    responseFile,
    serverId,
    signatureOf,
    signedOctets,
    transactionId,
    type World,
} from "../helpers/readings.ts"

/** The firmware's writer and reader beside the verifier, which shares no line with them. */

let world: World

beforeAll(() => {
    world = makeWorld()
})

function fieldsOf(changes: Partial<SignedListFields>): SignedListFields {
    return Object.assign(new SignedListFields(), {
        serverId: Buffer.from(serverId, "hex"),
        pagination: 7,
        secondsIndex: 86400,
        timeQuality: 2,
        seconds: noon,
        periodEnd: noon - 900,
        drawn: 123456,
        drawn1: 123456,
        software: Buffer.from("plomb-meter 0.1.0"),
        checksum: Buffer.alloc(32, 7),
        keyProtection: 1,
        module: Buffer.from("metrology 1.0.0"),
        moduleChecksum: Buffer.alloc(32, 9),
        previous: Buffer.alloc(32),
        status: 0x100,
        ...changes,
    })
}

function frame(response: Buffer): Buffer {
    const id = Buffer.from(requestId, "hex")
    return writeFile([openRes(id, undefined, id, Buffer.from(serverId, "hex"), undefined), response, closeRes(id)])
}

function judged(sml: Buffer) {
    return judgeEvidence("core", evidenceOf(world, sml), { anchors: [world.root.pem] })[0]
}

/** Checks of form; those of signature and chain are apart. */
const formal = ["transport frame", "SML structure", "signed list", "signing profile", "structure of the signed list"]

function verifierTakes(sml: Buffer): boolean {
    const evidence = { ...evidenceOf(world, sml, { request: Buffer.alloc(0) }), chain: [] }
    const [{ findings }] = judgeEvidence("core", evidence, { anchors: [] })
    // That both statuses agree is the verifier's own check: a meter that writes them has one status word.
    return !findings.some(
        ({ check, result, place }) =>
            result === "failed" && formal.includes(check) && !place.endsWith("status word beside 1-0:1.8.0"),
    )
}

/** The firmware's answer; undefined for a number above 2^53, which it says it does not carry. */
function coreTakes(sml: Buffer): boolean | undefined {
    try {
        const file = readFile(sml, false, CRC_BAD)
        const message = file.messages[1]
        const list = readSignedList(file, message)
        return list.fields.timeQuality <= 2 && list.fields.serverId.length === 10
    } catch (error) {
        if (error instanceof PlombError) return error.code === Code.OutOfRange ? undefined : false
        throw error
    }
}

describe("what the firmware writes", () => {
    it("as a signed list is proof to the verifier", () => {
        const transaction = Buffer.from(transactionId, "hex")
        for (const changes of [{}, { power: -5 }, { drawn: 2 ** 53 - 1 }] as Partial<SignedListFields>[]) {
            const signed = writeSignedList(fieldsOf(changes))
            const sml = frame(signedListRes(transaction, Buffer.from("48", "hex"), signed, signatureOf(world, signed)))
            const verdict = judged(sml)
            expect(verdict.findings.filter(({ needed, result }) => needed && result !== "proved")).toEqual([])
            expect(verdict.proof?.signed.equals(signed)).toBe(true)
        }
    })

    it("as a profile row is proof to the verifier", () => {
        const signed = writeSignedRow(fieldsOf({}))
        const verdict = judged(
            frame(signedRowRes(Buffer.from(transactionId, "hex"), signed, signatureOf(world, signed))),
        )
        expect(verdict.findings.filter(({ needed, result }) => needed && result !== "proved")).toEqual([])
        expect(verdict.reading.time).toBe("2026-11-22T13:45:00Z")
    })

    it("equals, octet for octet, what the test's own writer makes of the same values", () => {
        const checksum = createHash("sha256").update("image").digest()
        const module = { name: "metrology 1.0.0", checksum: Buffer.alloc(32, 9) }
        const list = writeSignedList(fieldsOf({ power: 2300, checksum }))
        expect(list.toString("hex")).toBe(signedOctets({ pagination: 7, module }).toString("hex"))
        const row = writeSignedRow(fieldsOf({ periodEnd: noon }))
        expect(row.toString("hex")).toBe(profileOctets({ pagination: 7, at: noon }).toString("hex"))
    })
})

describe("firmware and verifier take and refuse the same", () => {
    const change = fc.record({ at: fc.nat(999_999), octet: fc.nat(255) })

    function agree(make: (covered: Buffer) => Buffer, good: Buffer) {
        expect([verifierTakes(make(good)), coreTakes(make(good))]).toEqual([true, true])
        fc.assert(
            fc.property(fc.array(change, { minLength: 1, maxLength: 2 }), changes => {
                const covered = Buffer.from(good)
                for (const { at, octet } of changes) covered[at % covered.length] = octet
                const sml = make(covered)
                const core = coreTakes(sml)
                fc.pre(core !== undefined)
                expect([covered.toString("hex"), verifierTakes(sml)]).toEqual([covered.toString("hex"), core])
            }),
            { numRuns: Number(process.env.PLOMB_RUNS ?? 1500) },
        )
    }

    it("signed lists with changed octets under good checksums", () => {
        const signature = Buffer.alloc(64, 1)
        agree(covered => responseFile([[0x0701, listBody(covered, signature)]]), signedOctets({}))
    })

    it("profile rows with changed octets under good checksums", () => {
        const signature = Buffer.alloc(64, 1)
        agree(covered => responseFile([[0x0401, profileBody(covered, signature)]]), profileOctets({}))
    })
})
