import { ACTION_RESPONSE, axdrEnd, type DlmsApdu, EXCEPTION_RESPONSE, GET_RESPONSE, readApdu } from "./dlms"
import {
    AARQ,
    DlmsAssociation,
    DlmsInitiate,
    MECHANISM_GMAC,
    MECHANISM_NONE,
    readAssociation,
    writeAssociation,
    writeInitiate,
} from "./dlms-association"
import { cipherApdu, type DlmsKeys, hlsAnswer, isCiphered, openCiphered, readCiphered } from "./dlms-security"
import { Code, fail } from "./errors"
import { cut, join, numberBE, sameOctets, uintBE } from "./octets"

/** Association of the current logical name and its method `reply_to_HLS_authentication`. */
const replyToHls = hex`c3 01 c1 000f 0000280000ff 01 01 09 11`

/** GET, also with blocks; SET and ACTION are asked for only where the mechanism needs an action. */
const conformance = 0x00101c

/**
 * Client of one association (IEC 62056-5-3): none, low and HLS with GMAC, GET without and with blocks, security suite 0. It does no input or output: each
 * call gives the APDU to be sent next, or none. After an error the association is over.
 */
export class DlmsClient {
    associated = false
    /** Result of the last GET: COSEM data that is whole, or none where `refusal` (data access result) is not -1. */
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
        const asked = new DlmsAssociation()
        asked.tag = AARQ
        asked.context = this.keys === undefined ? 1 : 3
        asked.mechanism = this.mechanism
        if (this.mechanism !== MECHANISM_NONE) asked.value = this.secret
        if (this.keys !== undefined) asked.title = this.title
        asked.user = this.cipher(writeInitiate(new DlmsInitiate(6, conformance, 1024), false), 0x21)
        return writeAssociation(asked)
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
        if (octets.length > 0 && octets[0] === 0x61) return this.takeAssociation(octets)
        let plain = octets
        if (octets.length > 0 && isCiphered(octets[0])) plain = this.open(octets)
        else if (this.keys !== undefined && octets[0] !== EXCEPTION_RESPONSE)
            fail(Code.DlmsUnexpected, 0, "a ciphered APDU", octets[0] + "")
        const apdu = readApdu(plain, 0, plain.length)
        if (apdu.tag === EXCEPTION_RESPONSE)
            fail(Code.MeterRefused, apdu.dataAt, "an answer", "exception " + apdu.result)
        if (apdu.tag === ACTION_RESPONSE && !this.associated) return this.takeHls(apdu)
        if (apdu.tag !== GET_RESPONSE || apdu.choice > 2)
            fail(Code.DlmsUnexpected, 0, "a GET response", apdu.tag + " " + apdu.choice)
        this.refusal = apdu.result
        if (apdu.result >= 0) return Buffer.alloc(0)
        const part = cut(plain, apdu.dataAt, apdu.dataEnd - apdu.dataAt)
        if (apdu.choice === 2) return this.takeBlock(apdu, part)
        this.data = part
        return Buffer.alloc(0)
    }

    private takeBlock(apdu: DlmsApdu, part: Buffer): Buffer {
        if (apdu.block !== this.block + 1) fail(Code.DlmsUnexpected, 0, "block " + (this.block + 1), apdu.block + "")
        ++this.block
        this.size += part.length
        if (this.size > this.longest)
            fail(Code.DlmsUnexpected, 0, "at most " + this.longest + " octets", this.size + "")
        this.blocks.push(part)
        if (!apdu.last) return this.cipher(join([hex`c0 02 c1`, numberBE(4, this.block)]), 0xc8)
        const data = join(this.blocks)
        this.blocks = []
        if (axdrEnd(data, 0, data.length) !== data.length) fail(Code.DlmsForm, 0, "one element of data", "more")
        this.data = data
        return Buffer.alloc(0)
    }

    private takeAssociation(octets: Buffer): Buffer {
        const granted = readAssociation(octets, 0, octets.length)
        if (granted.result !== 0)
            fail(Code.MeterRefused, 0, "an association", granted.result + ", diagnostic " + granted.diagnostic)
        this.meter = granted.title
        if (granted.mechanism !== this.mechanism && this.mechanism === MECHANISM_GMAC)
            fail(Code.DlmsMode, 0, "mechanism 5", granted.mechanism + "")
        if (granted.user.length > 0 && isCiphered(granted.user[0])) this.open(granted.user)
        if (this.mechanism !== MECHANISM_GMAC || this.keys === undefined) {
            this.associated = true
            return Buffer.alloc(0)
        }
        // Whoever sent back our own challenge would let us answer it for them.
        if (sameOctets(granted.value, this.secret)) fail(Code.DlmsMac, 0, "a challenge of the meter", "our own")
        const answer = hlsAnswer(granted.value, this.keys, this.title, this.counter)
        ++this.counter
        return this.cipher(join([replyToHls, answer]), 0xcb)
    }

    /** The meter's answer to our challenge. */
    private takeHls(apdu: DlmsApdu): Buffer {
        const octets = apdu.octets
        const at = apdu.dataAt + 2
        if (this.keys === undefined || apdu.dataEnd - at !== 17 || octets[at] !== 0x10)
            return fail(Code.MeterRefused, 0, "an answer to the challenge", "result " + apdu.result)
        const counter = uintBE(octets, at + 1, 4)
        const wanted = hlsAnswer(this.secret, this.keys, this.meter, counter)
        if (!sameOctets(wanted, cut(octets, at, 17))) fail(Code.DlmsMac, at + 5, "a GMAC that holds", "another")
        this.associated = true
        return Buffer.alloc(0)
    }

    private open(octets: Buffer): Buffer {
        const apdu = readCiphered(octets, 0, octets.length)
        const plain = openCiphered(apdu, this.keys, this.meter, this.heard)
        this.heard = apdu.counter
        return plain
    }

    private cipher(plain: Buffer, tag: number): Buffer {
        if (this.keys === undefined) return plain
        const sealed = cipherApdu(plain, tag, 0x30, this.keys, this.title, this.counter)
        ++this.counter
        return sealed
    }
}
