import { ACTION_RESPONSE, EXCEPTION_RESPONSE, GET_RESPONSE } from "./dlms"
import { AARE, AARQ, MECHANISM_GMAC, MECHANISM_NONE } from "./dlms-association"
import { type DlmsKeys, hlsAnswer, isCiphered, openCipheredAs, readCiphered, sealApdu } from "./dlms-security"
import { Code, fail } from "./errors"
import { cut, join, numberBE, sameOctets, uintBE } from "./octets"

/** Association of the current logical name and its method `reply_to_HLS_authentication`. */
const replyToHls = hex`c3 01 c1 000f 0000280000ff 01 01 09 11`

/** Initiate request (IEC 62056-5-3 clause 9.4.6.1.1): version 6, GET also with blocks, ACTION and SET as mechanisms need them (00 10 1C), APDUs of 1,024 octets. */
const initiate = hex`01 00 00 00 06 5f 1f 04 00 00 10 1c 04 00`
/** Context of logical names, its last octet is 1, or 3 with ciphering; mechanisms with authentication, last octet which. */
const context = hex`a1 09 06 07 60 85 74 05 08 01`
const mechanisms = hex`8a 02 07 80 8b 07 60 85 74 05 08 02`

/**
 * Client of one association (IEC 62056-5-3): none, low and HLS with GMAC, GET without and with blocks, security suite 0. It does no input or output: each
 * call gives the APDU to be sent next, or none. After an error the association is over.
 */
export class DlmsClient {
    associated = false
    /** Result of the last GET: COSEM data as it came, which is not looked into, or none where `refusal` (data access result) is not -1. */
    data: Buffer = Buffer.alloc(0)
    refusal = -1
    /** The meter's system title. */
    meter: Buffer = Buffer.alloc(0)
    private blocks: Buffer[] = []
    private block = 0
    private size = 0
    private heard: number

    /**
     * `secret`: password of the mechanism low, or the challenge (8 to 64 random octets) of GMAC. `keys`: undefined = nothing is ciphered.
     * `title`: own, 8 octets; `counter`: own invocation counter, the next one to be used; `last`: of the meter, the last one accepted, -1 = none; `longest`: octets of data.
     */
    constructor(
        private readonly mechanism: number,
        private readonly secret: Buffer,
        private readonly keys: DlmsKeys | undefined,
        private readonly title: Buffer,
        public counter: number,
        last: number,
        private readonly longest: number,
    ) {
        this.heard = last
    }

    /** Invocation counter of the last APDU that was accepted of the meter, to be kept; -1 = none. */
    lastHeard(): number {
        return this.heard
    }

    /** The AARQ. */
    start(): Buffer {
        const secured = this.keys !== undefined
        const user = this.cipher(initiate, 0x21)
        const parts = [context, secured ? hex`03` : hex`01`]
        if (secured) parts.push(element(0xa6, 0x04, this.title))
        if (this.mechanism !== MECHANISM_NONE) {
            parts.push(mechanisms)
            parts.push(Buffer.from([this.mechanism]))
            parts.push(element(0xac, 0x80, this.secret))
        }
        parts.push(element(0xbe, 0x04, user))
        const content = join(parts)
        const size = content.length
        return join([Buffer.from(size < 128 ? [AARQ, size] : [AARQ, 0x81, size]), content])
    }

    /** Asks for an attribute. */
    get(classId: number, instance: Buffer, attribute: number): Buffer {
        this.data = Buffer.alloc(0)
        this.refusal = -1
        this.blocks = []
        this.block = this.size = 0
        const target = join([numberBE(2, classId), instance, Buffer.from([attribute, 0])])
        return this.cipher(join([hex`c0 01 c1`, target]), 0xc8)
    }

    /**
     * Takes an APDU; gives what must be sent next, or no octets. `MeterRefused` (with the diagnostic), `DlmsMac` where the meter's answer to the challenge does not
     * hold, `DlmsUnexpected`, and those of what reads it.
     */
    take(octets: Buffer): Buffer {
        if (octets.length > 0 && octets[0] === AARE) return this.takeAssociation(octets)
        let plain = octets
        if (octets.length > 0 && isCiphered(octets[0])) plain = this.open(octets)
        else if (this.keys !== undefined && octets[0] !== EXCEPTION_RESPONSE)
            fail(Code.DlmsUnexpected, 0, "a ciphered APDU", octets[0] + "")
        const length = plain.length
        const tag = length > 3 ? plain[0] : 0
        if (length > 1 && plain[0] === EXCEPTION_RESPONSE)
            fail(Code.MeterRefused, 1, "an answer", "exception " + plain[1])
        if (tag === ACTION_RESPONSE && !this.associated) return this.takeHls(plain)
        const form = plain[1]
        if (tag !== GET_RESPONSE || form < 1 || form > 2)
            fail(Code.DlmsUnexpected, 0, "a GET response", tag + " " + form)
        if (form === 2) return this.takeBlock(plain)
        if (plain[3] === 0) this.data = cut(plain, 4, length - 4)
        else this.refusal = length > 4 ? plain[4] : 250
        return Buffer.alloc(0)
    }

    /** GET response with a block: last U8, number U32, data or result, length, octets. */
    private takeBlock(plain: Buffer): Buffer {
        const number = plain.length > 10 ? uintBE(plain, 4, 4) : -1
        if (number !== this.block + 1) fail(Code.DlmsUnexpected, 0, "block " + (this.block + 1), number + "")
        if (plain[8] !== 0) {
            this.refusal = plain[9]
            return Buffer.alloc(0)
        }
        const more = plain[9] > 0x80 ? plain[9] - 0x80 : 0
        const at = 10 + more
        if (more > 2 || (more > 0 ? uintBE(plain, 10, more) : plain[9]) !== plain.length - at)
            fail(Code.DlmsForm, 9, "the length of the block", plain.length - at + "")
        ++this.block
        this.size += plain.length - at
        if (this.size > this.longest)
            fail(Code.DlmsUnexpected, 0, "at most " + this.longest + " octets", this.size + "")
        this.blocks.push(cut(plain, at, plain.length - at))
        if (plain[3] === 0) return this.cipher(join([hex`c0 02 c1`, numberBE(4, this.block)]), 0xc8)
        this.data = join(this.blocks)
        this.blocks = []
        return Buffer.alloc(0)
    }

    private takeAssociation(octets: Buffer): Buffer {
        const result = partAt(octets, 0xa2)
        const diagnostic = partAt(octets, 0xa3)
        if (result < 0 || octets[result + 4] !== 0)
            fail(Code.MeterRefused, 0, "an association", octets[result + 4] + ", diagnostic " + octets[diagnostic + 6])
        this.meter = innerOf(octets, 0xa4)
        const user = innerOf(octets, 0xbe)
        if (user.length > 0 && isCiphered(user[0])) this.open(user)
        if (this.mechanism !== MECHANISM_GMAC || this.keys === undefined) {
            this.associated = true
            return Buffer.alloc(0)
        }
        const mechanism = partAt(octets, 0x89)
        if (mechanism < 0 || octets[mechanism + 8] !== MECHANISM_GMAC)
            fail(Code.DlmsMode, 0, "mechanism 5", octets[mechanism + 8] + "")
        const challenge = innerOf(octets, 0xaa)
        // Whoever sent back our own challenge would let us answer it for them.
        if (sameOctets(challenge, this.secret)) fail(Code.DlmsMac, 0, "a challenge of the meter", "our own")
        const answer = hlsAnswer(challenge, this.keys, this.title, this.counter)
        ++this.counter
        return this.cipher(join([replyToHls, answer]), 0xcb)
    }

    /** The meter's answer to our challenge: result, data, an octet string of 17. */
    private takeHls(plain: Buffer): Buffer {
        const at = 8
        if (this.keys === undefined || plain.length !== at + 17 || plain[3] !== 0 || plain[at] !== 0x10)
            return fail(Code.MeterRefused, 0, "an answer to the challenge", "result " + plain[3])
        const wanted = hlsAnswer(this.secret, this.keys, this.meter, uintBE(plain, at + 1, 4))
        if (!sameOctets(wanted, cut(plain, at, 17))) fail(Code.DlmsMac, at + 5, "a GMAC that holds", "another")
        this.associated = true
        return Buffer.alloc(0)
    }

    private open(octets: Buffer): Buffer {
        const apdu = readCiphered(octets, 0, octets.length)
        const plain = openCipheredAs(apdu, this.keys, this.meter, this.heard, isAnswer)
        this.heard = apdu.counter
        return plain
    }

    private cipher(plain: Buffer, tag: number): Buffer {
        if (this.keys === undefined) return plain
        const sealed = sealApdu(plain, tag, this.keys, this.title, this.counter)
        ++this.counter
        return sealed
    }
}

/** Does this look like what a server ciphers: a response, in its normal form or with blocks, or that to an initiate request? */
function isAnswer(octets: Buffer): boolean {
    const tag = octets.length > 3 ? octets[0] : 0
    return tag === 8 || ((tag === GET_RESPONSE || tag === ACTION_RESPONSE) && octets[1] > 0 && octets[1] < 4)
}

/** An element of an AARQ with the one within it. */
function element(tag: number, inner: number, content: Buffer): Buffer {
    const size = content.length
    return join([Buffer.from([tag, size + 2, inner, size]), content])
}

/** Where the element with this tag begins in an AARE (clause 9.4.2), whose elements are shorter than 128 octets; -1 = there is none. `DlmsForm`. */
function partAt(octets: Buffer, tag: number): number {
    const end = octets.length
    let at = octets[1] === 0x81 ? 3 : 2
    while (at + 1 < end) {
        const next = at + 2 + octets[at + 1]
        if (octets[at + 1] > 127 || next > end)
            fail(Code.DlmsForm, at, "an element within its container", octets[at + 1] + "")
        if (octets[at] === tag) return at
        at = next
    }
    return -1
}

/** Content of the one element within this one; none where there is none. */
function innerOf(octets: Buffer, tag: number): Buffer {
    const at = partAt(octets, tag)
    if (at < 0) return Buffer.alloc(0)
    const size = octets[at + 1] - 2
    if (size < 0 || octets[at + 3] !== size) fail(Code.DlmsForm, at + 3, size + "", octets[at + 3] + "")
    return cut(octets, at + 4, size)
}
