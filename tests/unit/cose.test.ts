import { createPublicKey, generateKeyPairSync, sign } from "node:crypto"
import { Encoder, Tag } from "cbor-x"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { CoseAlgorithm, type CoseKey, verifyCose } from "../../firmware/core/cose"
import { hssKey, hssSignature, LmsSigner } from "../../tools/pki/lms.ts"
import { codeThrown } from "../helpers/errors.ts"

const encoder = new Encoder({ mapsAsObjects: false, useRecords: false, variableMapSize: true, tagUint8Array: false })
const encode = (value: unknown) => Buffer.from(encoder.encode(value))
const none = Buffer.alloc(0)
const payload = Buffer.from("manifest and module")

type Header = Map<unknown, unknown>
const header = (entries: [unknown, unknown][]): Header => new Map(entries)
const packed = (map: Header) => (map.size === 0 ? none : encode(map))

interface Party extends CoseKey {
    sign(octets: Buffer): Buffer
}

function es256(name: string): Party {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
    const { x, y } = createPublicKey(privateKey).export({ format: "jwk" })
    return {
        kid: Buffer.from(name),
        algorithm: CoseAlgorithm.Es256,
        key: Buffer.concat([Buffer.from(x!, "base64url"), Buffer.from(y!, "base64url")]),
        sign: octets => sign("sha256", octets, { key: privateKey, dsaEncoding: "ieee-p1363" }),
    }
}

function hss(name: string): Party {
    const signer = new LmsSigner(5, 3, Buffer.alloc(16, name), Buffer.alloc(32, name))
    return {
        kid: Buffer.from(name),
        algorithm: CoseAlgorithm.HssLms,
        key: hssKey(1, signer),
        sign: octets => hssSignature(signer.sign(5, Buffer.alloc(32, 7), octets)),
    }
}

const maker = es256("maker")
const makerHss = hss("maker")
const institute = es256("institute")
const instituteHss = hss("institute")
const all = [maker, makerHss, institute, instituteHss]

interface Shape {
    parties?: Party[]
    body?: Header
    unprotected?: Header
    external?: Buffer
    carried?: Buffer | null
    signer?(party: Party): { protectedHeader: Header; unprotected: Header }
}

const usual = (party: Party) => ({
    protectedHeader: header([[1, party.algorithm]]),
    unprotected: header([[4, party.kid]]),
})

/** COSE_Sign of the parties, written with cbor-x from RFC 9052 4.4. */
function coseSign(shape: Shape = {}): Buffer {
    const body = packed(shape.body ?? header([[3, 0]]))
    const signatures = (shape.parties ?? all).map(party => {
        const { protectedHeader, unprotected } = (shape.signer ?? usual)(party)
        const own = packed(protectedHeader)
        const structure = encode(["Signature", body, own, shape.external ?? none, payload])
        return [own, unprotected, party.sign(structure)]
    })
    const carried = shape.carried === undefined ? payload : shape.carried
    return encode(new Tag([body, shape.unprotected ?? new Map(), carried, signatures], 98))
}

const found = (message: Buffer, keys: CoseKey[] = all, external = none, detached?: Buffer[]) =>
    verifyCose(message, keys, external, detached).signers.map(({ key }) => key)

describe("COSE_Sign of four signers", () => {
    const message = coseSign()

    it("tells of each signer its kid, algorithm and the key that it holds for", () => {
        const verdict = verifyCose(message, all, none)
        expect(verdict.signers).toEqual(all.map(({ kid, algorithm }, key) => ({ kid, algorithm, key, known: true })))
        expect(message.subarray(verdict.payloadAt, verdict.payloadAt + verdict.payloadLength)).toEqual(payload)
    })

    it("a signature of another party's key, or an unknown signer, does not spoil the others", () => {
        const wrong = { ...maker, key: institute.key }
        const [first, ...others] = verifyCose(message, [wrong, makerHss, instituteHss], none).signers
        expect(first).toMatchObject({ key: -1, known: true })
        expect(others.map(({ key, known }) => [key, known])).toEqual([
            [1, true],
            [-1, false],
            [2, true],
        ])
    })

    it("two keys of one kid are both tried", () => {
        expect(found(coseSign({ parties: [maker] }), [{ ...institute, kid: maker.kid }, maker])).toEqual([1])
    })

    it("the algorithm is that of the key: a signature of one is never tried with the other", () => {
        const swapped = (party: Party) => ({ ...usual(party), protectedHeader: header([[1, CoseAlgorithm.HssLms]]) })
        const verdict = verifyCose(coseSign({ parties: [maker], signer: swapped }), [maker], none)
        expect(verdict.signers[0]).toMatchObject({ algorithm: CoseAlgorithm.HssLms, key: -1, known: false })
    })

    it("external data and a detached payload are signed too", () => {
        const external = Buffer.from("slot 2")
        expect(found(coseSign({ external }), all, external)).toEqual([0, 1, 2, 3])
        expect(found(coseSign({ external }), all, none)).toEqual([-1, -1, -1, -1])
        const detached = coseSign({ carried: null, parties: [maker, makerHss] })
        expect(found(detached, all, none, [payload.subarray(0, 3), payload.subarray(3)])).toEqual([0, 1])
        expect(found(detached, all, none, [payload.subarray(1)])).toEqual([-1, -1])
        expect(codeThrown(() => found(detached))).toBe("CosePayload")
        expect(codeThrown(() => found(message, all, none, [payload]))).toBe("CosePayload")
    })

    it("no mutation of a message holds with the headers, payload and signatures it had", () => {
        const short = coseSign({ parties: [maker, makerHss] })
        fc.assert(
            fc.property(fc.nat(short.length - 1), fc.integer({ min: 1, max: 255 }), (at, bits) => {
                const changed = Buffer.from(short)
                changed[at] ^= bits
                let keys: number[] = []
                const code = codeThrown(() => {
                    keys = found(changed)
                })
                if (code !== "none") expect(code).toMatch(/^(Cbor|Cose)/)
                expect(keys).not.toEqual([0, 1])
            }),
            { numRuns: 300 },
        )
    })
})

describe("headers", () => {
    const one = (protectedHeader: Header, unprotected: Header) =>
        coseSign({ parties: [maker], signer: () => ({ protectedHeader, unprotected }) })
    const alg = [1, -7] as [unknown, unknown]
    const kid = [4, maker.kid] as [unknown, unknown]

    it("kid may be protected; it may not stand twice", () => {
        expect(found(one(header([alg, kid]), header([])))).toEqual([0])
        expect(codeThrown(() => found(one(header([alg, kid]), header([kid]))))).toBe("CoseHeader")
    })

    it("the algorithm counts only where it is protected", () => {
        expect(codeThrown(() => found(one(header([]), header([alg, kid]))))).toBe("CoseHeader")
        expect(codeThrown(() => found(coseSign({ unprotected: header([alg]) })))).toBe("CoseHeader")
        expect(verifyCose(one(header([]), header([kid])), all, none).signers[0]).toMatchObject({
            algorithm: 0,
            key: -1,
        })
        expect(verifyCose(one(header([[1, "ES256"]]), header([kid])), all, none).signers[0].key).toBe(-1)
    })

    it("unknown critical parameters are refused, in the body's header too; unknown ones that are not pass", () => {
        const unknown: [unknown, unknown] = [100, "x"]
        expect(found(one(header([alg, [2, [1]]]), header([kid])))).toEqual([0])
        expect(found(one(header([alg, unknown]), header([kid, ["note", [1, [2]]]])))).toEqual([0])
        expect(codeThrown(() => found(one(header([alg, [2, [100]], unknown]), header([kid]))))).toBe("CoseCritical")
        expect(codeThrown(() => found(one(header([alg, [2, ["x"]]]), header([kid]))))).toBe("CoseCritical")
        expect(codeThrown(() => found(coseSign({ body: header([[2, [100]], unknown]) })))).toBe("CoseCritical")
        expect(codeThrown(() => found(one(header([alg, [2, []]]), header([kid]))))).toBe("CoseHeader")
        expect(codeThrown(() => found(one(header([alg]), header([[2, [1]], kid]))))).toBe("CoseHeader")
    })

    it("a critical parameter or algorithm of another type is refused", () => {
        expect(codeThrown(() => found(one(header([[1, [1]]]), header([kid]))))).toBe("CborType")
        expect(codeThrown(() => found(one(header([alg, [2, 100]]), header([kid]))))).toBe("CborType")
        expect(codeThrown(() => found(one(header([alg]), header([[4, 7]]))))).toBe("CborType")
    })
})

describe("COSE_Sign1 and form", () => {
    const own = encode(header([[1, -7]]))
    const kid = header([[4, maker.kid]])
    const signed = maker.sign(encode(["Signature1", own, none, payload]))
    const four = [own, kid, payload, signed]

    it("holds with tag 18 or none, not with tag 98", () => {
        expect(found(encode(new Tag(four, 18)))).toEqual([0])
        expect(found(encode(four))).toEqual([0])
        expect(codeThrown(() => found(encode(new Tag(four, 98))))).toBe("CoseForm")
    })

    it("a signature of COSE_Sign is none of COSE_Sign1", () => {
        const other = maker.sign(encode(["Signature", own, own, none, payload]))
        expect(found(encode([own, kid, payload, other]))).toEqual([-1])
    })

    it("a signature of another length does not hold", () => {
        for (const signature of [none, signed.subarray(1), Buffer.concat([signed, Buffer.of(0)])])
            expect(found(encode([own, kid, payload, signature]))).toEqual([-1])
    })

    it("no signer, nine signers, other counts of items and other items are refused", () => {
        const nine = coseSign({ parties: Array.from({ length: 9 }, () => maker) })
        for (const message of [
            coseSign({ parties: [] }),
            nine,
            encode([...four, 1]),
            encode(new Tag(four, 17)),
            encode(four.slice(0, 3)),
            encode(7),
            encode([own, kid, 7, signed]),
            encode([own, kid, payload, [[own, kid, signed, 1]]]),
            none,
        ])
            expect(codeThrown(() => found(message))).toMatch(/^(CoseForm|CosePayload|Cbor(Type|Truncated))$/)
    })

    it("any octets are a verdict without a key, or a typed error", () => {
        fc.assert(
            fc.property(fc.constantFrom("", "d8628440a0", "d28443a10126a0", "84"), fc.uint8Array(), (start, rest) => {
                const message = Buffer.concat([Buffer.from(start, "hex"), rest])
                let keys: number[] = []
                const code = codeThrown(() => {
                    keys = found(message)
                })
                expect(code).toMatch(/^(none|Cbor.*|Cose.*)$/)
                expect(keys.every(key => key < 0)).toBe(true)
            }),
            { numRuns: 500 },
        )
    })
})
