import { CborReader, cborHead, checkCbor, Major } from "./cbor"
import { Code, fail } from "./errors"
import { verifyHssIn } from "./lms"
import { cut, type OctetSource, sameOctets, sourceOf } from "./octets"
import { platform } from "./platform"

/** COSE algorithms (RFC 9053 2.1, RFC 8778 5): `key` is X|Y 64 octets for ES256, an HSS public key for HSS/LMS. */
export enum CoseAlgorithm {
    Es256 = -7,
    HssLms = -46,
}

/** A key that the caller trusts; it is used with this one algorithm only. */
export interface CoseKey {
    kid: Buffer
    algorithm: number
    key: Buffer
}

/** One signature of a message, as its signer states it and as it was found. */
export interface CoseSigner {
    /** From the protected header; 0 where it is absent or a text: no such signature ever holds. */
    algorithm: number
    /** Key identifier; empty where there is none. */
    kid: Buffer
    /** The signature holds for the key of this index; -1: for none. */
    key: number
    /** False where no key has this kid and algorithm: nothing was tried. */
    known: boolean
}

/** What a message holds: where its payload lies (-1, 0: detached), and each signature. */
export interface CoseVerdict {
    payloadAt: number
    payloadLength: number
    signers: CoseSigner[]
}

/** A signature that lies apart from its message, where a heap has no room for it. */
export interface SignatureApart {
    octets: OctetSource
    length: number
}

/** Most signatures of a message. */
const mostSigners = 8

/** One layer's protected header as it is signed, and what both its headers say. */
class Layer {
    protectedPart: Buffer = Buffer.alloc(0)
    algorithm = 0
    kid: Buffer = Buffer.alloc(0)

    /** Reads a protected and an unprotected header. */
    constructor(reader: CborReader) {
        reader.read(Major.Octets)
        const start = reader.start
        const stop = reader.stop
        if (stop > start) {
            checkCbor(reader.data, start, stop)
            // An empty map is signed as no octets (RFC 9052 4.4)
            if (this.readHeader(new CborReader(reader.data, start, stop), true) > 0)
                this.protectedPart = cut(reader.data, start, stop - start)
        }
        this.readHeader(reader, false)
    }

    readHeader(reader: CborReader, isProtected: boolean): number {
        const count = reader.read(Major.Map)
        for (let i = 0; i < count; ++i) {
            reader.next()
            const label = reader.major === Major.Unsigned ? reader.argument : 0
            if ((label === 1 || label === 2) && !isProtected)
                fail(Code.CoseHeader, reader.from, "a protected parameter", label + " without protection")
            if (label === 1 && reader.data[reader.at] >> 5 !== Major.Text) this.algorithm = reader.integer()
            else if (label === 2) {
                let labels = reader.read(Major.List)
                if (labels === 0) fail(Code.CoseHeader, reader.from, "critical parameters", "none")
                while (labels > 0) {
                    reader.next()
                    if (reader.major !== Major.Unsigned || reader.argument !== 1)
                        fail(Code.CoseCritical, reader.from, "1 (alg) alone as critical", "another")
                    --labels
                }
            } else if (label === 4) {
                if (this.kid.length > 0) fail(Code.CoseHeader, reader.from, "one kid", "two")
                reader.read(Major.Octets)
                this.kid = cut(reader.data, reader.start, reader.stop - reader.start)
            } else reader.skip()
        }
        return count
    }
}

/** Puts a byte string of these parts to a Sig_structure. */
function pushOctets(structure: Buffer[], parts: Buffer[]): void {
    let length = 0
    for (let i = 0; i < parts.length; ++i) length += parts[i].length
    structure.push(cborHead(Major.Octets, length))
    for (let i = 0; i < parts.length; ++i) structure.push(parts[i])
}

function holds(key: CoseKey, structure: Buffer[], signature: SignatureApart): boolean {
    if (key.algorithm === CoseAlgorithm.HssLms)
        return verifyHssIn(key.key, structure, signature.octets, signature.length)
    return (
        key.algorithm === CoseAlgorithm.Es256 &&
        signature.length === 64 &&
        platform().verifyP256(key.key, platform().sha256(structure), signature.octets(0, 64))
    )
}

/**
 * Verifies each signature of a COSE_Sign or COSE_Sign1 message (RFC 9052 4), tagged or not, with those of the `keys`
 * that have its kid and algorithm. `external`: the externally supplied data. `detached`: the parts of the payload if
 * the message does not carry it. Whose signatures must be there is the caller's to judge: a message that is well
 * formed is no error, whatever its signatures. Throws for octets that are none or are not deterministic CBOR, for
 * critical parameters other than alg, for alg or crit outside the protected header, and `LmsKey` for a bad key.
 * `apart`: the last signature, where its place in the message has other octets.
 */
export function verifyCose(
    message: Buffer,
    keys: CoseKey[],
    external: Buffer,
    detached?: Buffer[],
    apart?: SignatureApart,
): CoseVerdict {
    checkCbor(message, 0, message.length)
    const reader = new CborReader(message, 0, message.length)
    const tag = message[0] >> 5 === Major.Tag ? reader.read(Major.Tag) : 0
    const items = reader.read(Major.List)
    const body = new Layer(reader)
    reader.next()
    const payloadAt = reader.major === Major.Octets ? reader.start : -1
    const payloadLength = payloadAt < 0 ? 0 : reader.stop - payloadAt
    if (payloadAt >= 0 ? detached : !detached || reader.major !== Major.Simple || reader.argument !== 22)
        fail(Code.CosePayload, reader.from, "a payload, or null and a detached one", "another")
    const payload = detached || [cut(message, payloadAt, payloadLength)]
    // COSE_Sign1 has its signature here, COSE_Sign a list of signers
    const one = message[reader.at] >> 5 === Major.Octets
    const count = one ? 1 : reader.read(Major.List)
    if (items !== 4 || (tag !== 0 && tag !== (one ? 18 : 98)) || count < 1 || count > mostSigners)
        fail(Code.CoseForm, 0, "COSE_Sign of 1 to 8 signers or COSE_Sign1", "another")
    const signers: CoseSigner[] = []
    for (let i = 0; i < count; ++i) {
        // COSE_Sign1 is signed by the body's headers themselves
        if (!one && reader.read(Major.List) !== 3) fail(Code.CoseForm, reader.from, "3 items", "another number")
        const layer = one ? body : new Layer(reader)
        const structure = [one ? hex`846a5369676e617475726531` : hex`85695369676e6174757265`]
        pushOctets(structure, [body.protectedPart])
        if (!one) pushOctets(structure, [layer.protectedPart])
        pushOctets(structure, [external])
        pushOctets(structure, payload)
        reader.read(Major.Octets)
        const within = { octets: sourceOf(message, reader.start), length: reader.stop - reader.start }
        const signature = apart && i === count - 1 ? apart : within
        const signer: CoseSigner = { algorithm: layer.algorithm, kid: layer.kid, key: -1, known: false }
        for (let j = 0; j < keys.length && signer.key < 0; ++j)
            if (keys[j].algorithm === layer.algorithm && sameOctets(keys[j].kid, layer.kid)) {
                platform().yieldNow()
                signer.known = true
                if (holds(keys[j], structure, signature)) signer.key = j
            }
        signers.push(signer)
    }
    return { payloadAt: payloadAt, payloadLength: payloadLength, signers: signers }
}
