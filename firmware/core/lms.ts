import { Code, fail } from "./errors"
import { cut, type OctetSource, sameOctets, sourceOf, uintBE } from "./octets"
import { platform } from "./platform"

/*
 * HSS/LMS verification: RFC 8554 with SHA-256 (N32/M32), SP 800-208 with SHA-256/192 (N24/M24); W1 to W8, H5 to
 * H25. The hash of one-time key and tree must be of one length (SP 800-208 clause 4). A signature of any octets is
 * true or false; only a key that no signer makes is an error.
 */

/** Octets of a hash, and digits of the checksum, for LM-OTS types 1 to 8 (RFC 8554 4.1, SP 800-208 4.3). */
const hashOctets = hex`00202020201818181800`
const checksumDigits = hex`00090503020805030200`
/** Where the type of the tree stands in an LMS signature, from its beginning: behind all chains of the LM-OTS one. */
function treeAt(ots: number): number {
    return 8 + hashOctets[ots] * (1 + chainCount(ots))
}

/** Hash chains of an LM-OTS type. */
function chainCount(ots: number): number {
    return ((hashOctets[ots] * 8) >> ((ots - 1) & 3)) + checksumDigits[ots]
}

/** Height of the tree of an LMS public key of at least 8 octets; 0 for a set that is not known. */
function treeHeight(key: Buffer): number {
    const ots = uintBE(key, 4, 4)
    const index = uintBE(key, 0, 4) - (ots > 4 ? 9 : 4)
    return ots < 1 || ots > 8 || index < 1 || index > 5 ? 0 : 5 * index
}

function numberAt(octets: OctetSource, at: number): number {
    return uintBE(octets(at, 4), 0, 4)
}

/** Sets node number and domain in `I | u32 | u16` of a hash input. */
function setHead(head: Buffer, number: number, domain: number): void {
    setNumber(head, number)
    head[20] = domain
    head[21] = domain
}

function setNumber(head: Buffer, number: number): void {
    head[16] = number >> 24
    head[17] = (number >> 16) & 0xff
    head[18] = (number >> 8) & 0xff
    head[19] = number & 0xff
}

/** SHA-256/192 (SP 800-208 2.2). */
function shorter(parts: Buffer[]): Buffer {
    return cut(platform().sha256(parts), 0, 24)
}

/**
 * Kc of RFC 8554 algorithm 4b from an LM-OTS signature that lies at `at` whole and is of type `ots`.
 * `head`: 22 octets that begin with I | q.
 */
function oneTimeKey(ots: number, head: Buffer, message: Buffer[], signature: OctetSource, at: number): Buffer {
    // One look-up for thousands of calls; no platform's hash needs its object
    const sha256 = platform().sha256
    const chain = platform().hashChain
    const n = hashOctets[ots]
    const hash = n < 32 ? shorter : sha256
    const p = chainCount(ots)
    const width = 1 << ((ots - 1) & 3)
    const most = (1 << width) - 1
    const top = 8 - width
    const rest = (1 << (10 - width)) - 1
    const checksumAt = p - checksumDigits[ots]
    head[20] = 0x81
    head[21] = 0x81
    const parts = [head, signature(at + 4, n)]
    for (let i = 0; i < message.length; ++i) parts.push(message[i])
    const digits = Buffer.alloc(n + 2)
    digits.blitAt(0, sha256(parts), 0, n)
    const prefix = Buffer.alloc(23)
    prefix.blitAt(0, head, 0, 20)
    // Beginnings and ends in pieces of this many; the ends taken first: for one a small heap has no room, and many small ones would leave it in pieces
    const together = 8
    const ends = [head]
    for (let i = 0; i < p; i += together) ends.push(Buffer.alloc(Math.min(together, p - i) * n))
    const step: Buffer[] = [prefix, prefix]
    // Eight hashes a turn, then four, two and one: the loop's own work is a sixth of a hash's steps
    const eights = most - 7
    const fours = most - 3
    const twos = most - 1
    let sum = 0
    let bit = 0
    let first = 0
    for (let piece = 1; piece < ends.length; ++piece) {
        // At most 2,040 hashes, 30 steps each, between two yields
        if ((first & rest) === 0) platform().yieldNow()
        // The checksum's digits begin a piece in every set.
        if (first === checksumAt) {
            sum = (most * checksumAt - sum) << (16 - width * (p - checksumAt))
            digits[n] = sum >> 8
            digits[n + 1] = sum & 0xff
        }
        const end = ends[piece]
        const size = end.length
        const begins = signature(at + 4 + (first + 1) * n, size)
        let index = first & 0xff
        prefix[20] = first >> 8
        for (let place = 0; place < size; place += n) {
            let j = (digits[bit >> 3] >> ((top - bit) & 7)) & most
            bit += width
            sum += j
            const value = Buffer.alloc(n)
            value.blitAt(0, begins, place, n)
            step[1] = value
            prefix[21] = index
            index += 1
            if (chain) {
                prefix[22] = j
                step[1] = chain(prefix, value, most)
                j = most
            }
            while (j < eights) {
                prefix[22] = j
                step[1] = hash(step)
                prefix[22] = j + 1
                step[1] = hash(step)
                prefix[22] = j + 2
                step[1] = hash(step)
                prefix[22] = j + 3
                step[1] = hash(step)
                prefix[22] = j + 4
                step[1] = hash(step)
                prefix[22] = j + 5
                step[1] = hash(step)
                prefix[22] = j + 6
                step[1] = hash(step)
                prefix[22] = j + 7
                step[1] = hash(step)
                j += 8
            }
            if (j < fours) {
                prefix[22] = j
                step[1] = hash(step)
                prefix[22] = j + 1
                step[1] = hash(step)
                prefix[22] = j + 2
                step[1] = hash(step)
                prefix[22] = j + 3
                step[1] = hash(step)
                j += 4
            }
            if (j < twos) {
                prefix[22] = j
                step[1] = hash(step)
                prefix[22] = j + 1
                step[1] = hash(step)
                j += 2
            }
            if (j < most) {
                prefix[22] = j
                step[1] = hash(step)
            }
            end.blitAt(place, step[1], 0, n)
        }
        first += together
    }
    head[20] = 0x80
    head[21] = 0x80
    return cut(sha256(ends), 0, n)
}

/** Does the LMS signature that fills `at` to `end` hold for the key, whose set is known? RFC 8554 algorithm 6. */
function verifyTree(key: Buffer, message: Buffer[], signature: OctetSource, at: number, end: number): boolean {
    const ots = uintBE(key, 4, 4)
    const n = hashOctets[ots]
    const height = treeHeight(key)
    let path = at + treeAt(ots)
    if (end - path !== 4 + n * height) return false
    const start = signature(at, 8)
    let number = uintBE(start, 0, 4)
    if (number >> height !== 0 || uintBE(start, 4, 4) !== ots || numberAt(signature, path) !== uintBE(key, 0, 4))
        return false
    const head = Buffer.alloc(22)
    head.blitAt(0, key, 8, 16)
    setHead(head, number, 0)
    const hash = n < 32 ? shorter : platform().sha256
    let node = oneTimeKey(ots, head, message, signature, at + 4)
    number += 1 << height
    setHead(head, number, 0x82)
    node = hash([head, node])
    path += 4
    head[20] = 0x83
    head[21] = 0x83
    while (number > 1) {
        const sibling = signature(path, n)
        const parts = number & 1 ? [head, sibling, node] : [head, node, sibling]
        number >>= 1
        setNumber(head, number)
        node = hash(parts)
        path += n
    }
    return isRoot(key, node)
}

/** Is this the hash at the end of a public key? Word by word, as nothing here is secret. */
function isRoot(key: Buffer, node: Buffer): boolean {
    for (let at = 0; at < node.length; at += 4) if (node.getAt(at, "i32") !== key.getAt(24 + at, "i32")) return false
    return true
}

/** Throws `LmsKey` unless the octets are an LMS public key of a known set: keys come from a trusted place. */
function checkKey(key: Buffer): void {
    if (key.length < 8 || treeHeight(key) === 0 || key.length !== 24 + hashOctets[key[7]])
        fail(Code.LmsKey, 0, "an LMS public key with SHA-256", "another")
}

/**
 * LMS without HSS (RFC 8554 clause 5): `publicKey` type | LM-OTS type | I | T[1], the message in parts. False for
 * any signature that does not hold; throws `LmsKey` for a key that is none.
 */
export function verifyLms(publicKey: Buffer, message: Buffer[], signature: Buffer): boolean {
    checkKey(publicKey)
    return verifyTree(publicKey, message, sourceOf(signature), 0, signature.length)
}

/**
 * HSS (RFC 8554 clause 6) of one or two levels, the message in parts. False for any signature that does not hold;
 * throws `LmsKey` for a key that is none or has more levels. Yields at least every 40,000 steps.
 */
export function verifyHss(publicKey: Buffer, message: Buffer[], signature: Buffer): boolean {
    return verifyHssIn(publicKey, message, sourceOf(signature), signature.length)
}

/** As `verifyHss`, with the signature's `length` octets taken from where they lie, 256 at a time. */
export function verifyHssIn(publicKey: Buffer, message: Buffer[], signature: OctetSource, length: number): boolean {
    const levels = publicKey.length < 4 ? 0 : uintBE(publicKey, 0, 4)
    if (levels < 1 || levels > 2) fail(Code.LmsKey, 0, "1 or 2 levels", "another number")
    let key = cut(publicKey, 4, publicKey.length - 4)
    checkKey(key)
    if (length < 4 || numberAt(signature, 0) !== levels - 1) return false
    let at = 4
    if (levels === 2) {
        at += treeAt(key[7]) + 4 + hashOctets[key[7]] * treeHeight(key)
        if (at + 8 > length) return false
        const types = signature(at, 8)
        if (treeHeight(types) === 0) return false
        const keyLength = 24 + hashOctets[types[7]]
        if (at + keyLength > length) return false
        const second = signature(at, keyLength)
        if (!verifyTree(key, [second], signature, 4, at)) return false
        key = second
        at += keyLength
    }
    return verifyTree(key, message, signature, at, length)
}

/**
 * LM-OTS alone (RFC 8554 clause 4): `publicKey` type | I | q | K. False for any signature that does not hold; throws
 * `LmsKey` for a key that is none.
 */
export function verifyLmots(publicKey: Buffer, message: Buffer[], signature: Buffer): boolean {
    const ots = publicKey.length < 24 ? 0 : uintBE(publicKey, 0, 4)
    if (ots < 1 || ots > 8 || publicKey.length !== 24 + hashOctets[ots])
        fail(Code.LmsKey, 0, "an LM-OTS public key with SHA-256", "another")
    const n = hashOctets[ots]
    if (signature.length !== 4 + n * (1 + chainCount(ots)) || uintBE(signature, 0, 4) !== ots) return false
    const head = Buffer.alloc(22)
    head.blitAt(0, publicKey, 4, 20)
    return sameOctets(oneTimeKey(ots, head, message, sourceOf(signature), 0), cut(publicKey, 24, n))
}
