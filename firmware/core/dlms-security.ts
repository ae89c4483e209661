import { readApdu } from "./dlms"
import { Code, fail, PlombError } from "./errors"
import { AesGcm } from "./gcm"
import { cut, join, uintBE } from "./octets"

/** Octets of a tag in security suite 0. */
const tagLength = 12

/** Bits of the security control octet (IEC 62056-5-3 clause 9.2.4.1); its low half is the suite. */
export const AUTHENTICATED = 0x10
export const ENCRYPTED = 0x20

/** What ciphers an APDU: the keys of suite 0. `authentication` of no octets = tags are not checked, and prove nothing. */
export class DlmsKeys {
    /** Both of 16 octets. */
    constructor(
        readonly encryption: Buffer,
        readonly authentication: Buffer,
    ) {}
}

/** A ciphered APDU; places in `octets`. */
export class DlmsCiphered {
    tag = 0
    /** System title of the sender, 8 octets; none where the service names it by the association alone. */
    title: Buffer = Buffer.alloc(0)
    control = 0
    counter = 0
    /** What is protected, with its tag. */
    at = 0
    end = 0

    constructor(readonly octets: Buffer) {}
}

/** Is this the tag of a ciphered APDU: glo- and ded- services, or general ciphering with a global or dedicated key? */
export function isCiphered(tag: number): boolean {
    return (tag >= 0xc8 && tag <= 0xd7) || tag === 0xdb || tag === 0xdc || tag === 0x21 || tag === 0x28
}

/** Reads the header of the ciphered APDU from `at` to `end` (clauses 9.5 and 9.2.7.2.4). `DlmsTag`, `DlmsForm`, `DlmsMode`. */
export function readCiphered(octets: Buffer, at: number, end: number): DlmsCiphered {
    const apdu = new DlmsCiphered(octets)
    const need = (count: number) => {
        if (at + count > end) fail(Code.DlmsForm, at, count + " octets", end - at + "")
    }
    need(2)
    apdu.tag = octets[at]
    if (!isCiphered(apdu.tag)) fail(Code.DlmsTag, at, "a ciphered APDU", apdu.tag + "")
    ++at
    if (apdu.tag === 0xdb || apdu.tag === 0xdc) {
        const length = octets[at]
        if (length !== 8 && length !== 0) fail(Code.DlmsForm, at, "a system title of 8 octets", length + "")
        need(length + 2)
        apdu.title = cut(octets, at + 1, length)
        at += 1 + length
    }
    let length = octets[at]
    const more = length > 0x80 && length < 0x85 ? length - 0x80 : 0
    need(1 + more)
    if (more > 0) length = uintBE(octets, at + 1, more)
    at += 1 + more
    if (length !== end - at || length < 5) fail(Code.DlmsForm, at, length + " octets", end - at + "")
    apdu.control = octets[at]
    if ((apdu.control & 15) !== 0) fail(Code.DlmsMode, at, "security suite 0", (apdu.control & 15) + "")
    // Broadcast key and compression.
    if ((apdu.control & 0xc0) !== 0) fail(Code.DlmsMode, at, "unicast key, no compression", apdu.control + "")
    apdu.counter = uintBE(octets, at + 1, 4)
    apdu.at = at + 5
    apdu.end = end
    if ((apdu.control & AUTHENTICATED) !== 0) need(5 + tagLength)
    return apdu
}

/** Initialisation vector (clause 9.2.3.3.7.3): system title and invocation counter. */
function vectorOf(title: Buffer, counter: number): Buffer {
    const vector = Buffer.alloc(12)
    vector.blitAt(0, title, 0, 8)
    for (let i = 11; i > 7; --i) {
        vector[i] = counter & 0xff
        counter = counter >>> 8
    }
    return vector
}

/**
 * The octets that a ciphered APDU protects. `title`: of the sender, where the APDU does not name it; `last`: invocation counter of the last one
 * accepted of this meter, -1 = none. First the key is judged, then freshness: `DlmsNoKey`; `DlmsWrongKey`; `DlmsMac` where the tag does not hold, but the
 * key gives an APDU; `DlmsReplayed`; `DlmsUnexpected`.
 */
export function openCiphered(apdu: DlmsCiphered, keys: DlmsKeys | undefined, title: Buffer, last: number): Buffer {
    return openCipheredAs(apdu, keys, title, last, isPlain)
}

/** As `openCiphered`, where it is known what may be ciphered: `isKnown` tells whether a key has given it. */
export function openCipheredAs(
    apdu: DlmsCiphered,
    keys: DlmsKeys | undefined,
    title: Buffer,
    last: number,
    isKnown: (plain: Buffer) => boolean,
): Buffer {
    const protectedAt = apdu.at
    const octets = cut(apdu.octets, protectedAt, apdu.end - protectedAt)
    if ((apdu.control & 0x30) === 0) return octets
    if (keys === undefined) return fail(Code.DlmsNoKey, protectedAt, "a key", "none")
    if (apdu.title.length > 0) title = apdu.title
    if (title.length !== 8) fail(Code.DlmsNoKey, protectedAt, "the sender's system title", "none")
    const cipher = new AesGcm(keys.encryption, tagLength)
    const vector = vectorOf(title, apdu.counter)
    const authenticated = (apdu.control & AUTHENTICATED) !== 0
    const length = octets.length - (authenticated ? tagLength : 0)
    let plain = cut(octets, 0, length)
    const encrypted = (apdu.control & ENCRYPTED) !== 0
    if (authenticated && keys.authentication.length > 0) {
        const head = join([Buffer.from([apdu.control]), keys.authentication])
        try {
            if (encrypted) plain = cipher.open(vector, head, octets)
            else cipher.open(vector, join([head, plain]), cut(octets, length, tagLength))
        } catch (error: any) {
            if (!(error instanceof PlombError) || error.code !== Code.TagMismatch) throw error
            const read = isKnown(encrypted ? streamed(cipher, vector, plain) : plain)
            fail(read ? Code.DlmsMac : Code.DlmsWrongKey, apdu.end - tagLength, "a tag that holds", "another")
        }
    } else if (encrypted) {
        plain = streamed(cipher, vector, plain)
        if (!isKnown(plain)) fail(Code.DlmsWrongKey, protectedAt, "an APDU", "something else")
    }
    // The tag in front is not covered: it must be that of what is ciphered.
    const inner = apdu.tag < 0x30 ? apdu.tag & 15 : 0xc0 | (apdu.tag & 7)
    if (apdu.title.length === 0 && apdu.tag < 0xd8 && plain[0] !== inner)
        fail(Code.DlmsUnexpected, 0, "the tag of an APDU " + inner, apdu.tag + "")
    if (apdu.counter <= last) fail(Code.DlmsReplayed, protectedAt - 4, "a counter above " + last, apdu.counter + "")
    return plain
}

/** The key stream alone added to the octets: what encrypts also decrypts. */
function streamed(cipher: AesGcm, vector: Buffer, octets: Buffer): Buffer {
    return cut(cipher.seal(vector, Buffer.alloc(0), octets), 0, octets.length)
}

/** Does this look like the text of a P1 telegram? */
export function isP1Text(octets: Buffer): boolean {
    if (octets.length < 5 || octets[0] !== 0x2f) return false
    for (let i = 1; i < 16 && i < octets.length; ++i) if (octets[i] > 0x7e) return false
    return true
}

/** Does this look like what is ciphered: an APDU, or the text of a P1 telegram? */
function isPlain(octets: Buffer): boolean {
    const tag = octets.length > 0 ? octets[0] : 255
    if (tag === 0x2f) return isP1Text(octets)
    // Initiate requests and responses, as associations cipher them.
    if (tag === 1 || tag === 8) return octets.length < 64
    try {
        readApdu(octets, 0, octets.length)
        return true
    } catch {
        return false
    }
}

/** An APDU encrypted and authenticated under the service's own tag, whose sender the association names; at most 234 octets, as requests are. */
export function sealApdu(plain: Buffer, tag: number, keys: DlmsKeys, title: Buffer, counter: number): Buffer {
    const vector = vectorOf(title, counter)
    const head = join([Buffer.from([AUTHENTICATED | ENCRYPTED]), keys.authentication])
    const sealed = new AesGcm(keys.encryption, tagLength).seal(vector, head, plain)
    const size = sealed.length + 5
    return join([Buffer.from(size < 128 ? [tag, size] : [tag, 0x81, size]), cut(head, 0, 1), cut(vector, 8, 4), sealed])
}

/** Ciphers an APDU: the ciphered one with this `tag` (0xDB: the title stands in it), control octet 10, 20 or 30, and invocation counter. */
export function cipherApdu(
    plain: Buffer,
    tag: number,
    control: number,
    keys: DlmsKeys,
    title: Buffer,
    counter: number,
): Buffer {
    const cipher = new AesGcm(keys.encryption, tagLength)
    const vector = vectorOf(title, counter)
    const head = join([Buffer.from([control]), keys.authentication])
    let sealed: Buffer
    if (control === AUTHENTICATED) sealed = join([plain, cipher.seal(vector, join([head, plain]), Buffer.alloc(0))])
    else if (control === ENCRYPTED) sealed = streamed(cipher, vector, plain)
    else sealed = cipher.seal(vector, head, plain)
    const size = sealed.length + 5
    const lengths = size < 128 ? [size] : size < 256 ? [0x81, size] : [0x82, size >> 8, size & 0xff]
    const named = tag === 0xdb || tag === 0xdc
    return join([
        Buffer.from([tag]),
        named ? join([hex`08`, title]) : Buffer.alloc(0),
        Buffer.from(lengths),
        Buffer.from([control]),
        cut(vector, 8, 4),
        sealed,
    ])
}

/** HLS mechanism 5 (clause 9.2.7.4): what answers `challenge`: control octet 10, invocation counter, GMAC of 12 octets. */
export function hlsAnswer(challenge: Buffer, keys: DlmsKeys, title: Buffer, counter: number): Buffer {
    const vector = vectorOf(title, counter)
    const covered = join([hex`10`, keys.authentication, challenge])
    return join([
        hex`10`,
        cut(vector, 8, 4),
        new AesGcm(keys.encryption, tagLength).seal(vector, covered, Buffer.alloc(0)),
    ])
}
