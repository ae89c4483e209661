import { ACTION_REQUEST, GET_REQUEST, readApdu } from "../../firmware/core/dlms"
import {
    AARE,
    DlmsAssociation,
    DlmsInitiate,
    MECHANISM_GMAC,
    MECHANISM_LOW,
    MECHANISM_NONE,
    readAssociation,
    readInitiate,
    writeAssociation,
    writeInitiate,
} from "../../firmware/core/dlms-association"
import {
    cipherApdu,
    type DlmsKeys,
    hlsAnswer,
    isCiphered,
    openCiphered,
    readCiphered,
} from "../../firmware/core/dlms-security"
import { Code, PlombError } from "../../firmware/core/errors"
import {
    HDLC_UI,
    type HdlcFrame,
    type HdlcLink,
    HdlcReceiver,
    HdlcServerLink,
    hdlcAddress,
    hdlcFrame,
    LINK_DOWN,
    LINK_MESSAGE,
    LINK_UP,
} from "../../firmware/core/hdlc"
import { platform } from "../../firmware/core/platform"
import type { Emulated, MeterLine } from "./line.ts"
import { type Meter, type Register, rawAt } from "./meter.ts"

export interface DlmsOptions {
    /** Undefined: nothing is ciphered, and GMAC is not offered. */
    keys?: DlmsKeys
    /** Undefined: the mechanism low is not offered. */
    password?: string
    /** Pushes a list of all registers so often; 0 = never. */
    pushMs: number
}

const llcFromMeter = Buffer.from("e6e700", "hex")
const empty = Buffer.alloc(0)

const u16 = (value: number) => Buffer.of(value >> 8, value & 255)
const octetString = (octets: Buffer) => Buffer.concat([Buffer.of(9, octets.length), octets])
const structure = (...items: Buffer[]) => Buffer.concat([Buffer.of(2, items.length), ...items])

/** COSEM date and time of now (IEC 62056-6-2 clause 4.1.6.1). */
function clock(): Buffer {
    const now = new Date()
    const day = now.getDay() === 0 ? 7 : now.getDay()
    const time = [
        now.getMonth() + 1,
        now.getDate(),
        day,
        now.getHours(),
        now.getMinutes(),
        now.getSeconds(),
        0,
        0x80,
        0,
        0,
    ]
    return Buffer.concat([u16(now.getFullYear()), Buffer.from(time)])
}

function numberOf(register: Register, elapsedMs: number): Buffer {
    const data = Buffer.alloc(9)
    const raw = rawAt(register, elapsedMs)
    if (raw >= 0 && raw <= 0xffffffff) {
        data[0] = 6
        data.writeUInt32BE(raw, 1)
        return data.subarray(0, 5)
    }
    data[0] = 20
    data.writeBigInt64BE(BigInt(raw), 1)
    return data
}

const scalerUnit = (register: Register) => structure(Buffer.of(15, register.scaler & 255), Buffer.of(22, register.unit))

/** A COSEM server (IEC 62056-5-3) behind HDLC: associations none, low and GMAC, GET without and with blocks, push. */
export class DlmsEmulator implements Emulated {
    private readonly receiver = new HdlcReceiver(2100, frame => this.frame(frame))
    private link: HdlcLink | undefined
    private associated = false
    /** Mechanism of the association that is not proven yet. */
    private pending = false
    private ciphered = false
    private clientTitle: Buffer = empty
    private clientChallenge: Buffer = empty
    private challenge: Buffer = empty
    private maxPdu = 1024
    private counter = 1
    private heard = -1
    private rest: Buffer = empty
    private block = 0
    private readonly timer: NodeJS.Timeout | undefined
    private readonly title: Buffer

    constructor(
        private readonly meter: Meter,
        private readonly line: MeterLine,
        private readonly options: DlmsOptions,
    ) {
        this.title = Buffer.concat([
            Buffer.from(meter.manufacturer, "latin1"),
            Buffer.of(0),
            Buffer.from(meter.id, "hex"),
        ])
        if (options.pushMs > 0) this.timer = setInterval(() => this.push(), options.pushMs)
    }

    take(octets: Buffer): void {
        this.line.heard(octets)
        this.receiver.feed(octets)
    }

    stop(): void {
        clearInterval(this.timer)
    }

    private frame(frame: HdlcFrame): void {
        // Whoever asks for a link becomes the peer.
        if (frame.kind === 0x83) this.link = new HdlcServerLink(frame.destination, frame.source, 128, 4096)
        if (!this.link) return
        let event: number
        const before = this.link.toSend
        try {
            event = this.link.take(frame)
        } catch (error) {
            if (!(error instanceof PlombError) || error.code !== Code.HdlcSequence) throw error
            // The answer was lost: what was asked for comes again.
            if (before.length > 0) this.line.send(before)
            return
        }
        if (event === LINK_UP || event === LINK_DOWN) this.associated = this.pending = false
        if (event === LINK_MESSAGE) {
            const answer = this.answerTo(this.link.message)
            if (answer.length > 0) this.link.send(Buffer.concat([llcFromMeter, answer]))
        }
        if (this.link.toSend.length > 0) this.line.send(this.link.toSend)
    }

    private answerTo(message: Buffer): Buffer {
        const apdu = Buffer.from(message.subarray(3))
        try {
            if (apdu[0] === 0x60) return this.associate(apdu)
            if (apdu[0] === 0x62) return Buffer.from("6303800100", "hex")
            const secret = isCiphered(apdu[0])
            if (secret !== this.ciphered) return Buffer.of(0xd8, 1, 1)
            const plain = secret ? this.open(apdu) : apdu
            const answer = this.serve(plain)
            // An exception is never ciphered.
            return secret && answer[0] !== 0xd8 ? this.cipher(answer, answer[0] | 8) : answer
        } catch (error) {
            if (!(error instanceof PlombError)) throw error
            // Operation not possible; or the key or counter is wrong, which it says without more.
            return Buffer.of(0xd8, 1, error.code >= 3000 ? 5 : 1)
        }
    }

    private open(apdu: Buffer): Buffer {
        const ciphered = readCiphered(apdu, 0, apdu.length)
        const plain = openCiphered(ciphered, this.options.keys, this.clientTitle, this.heard)
        this.heard = ciphered.counter
        return plain
    }

    private cipher(plain: Buffer, tag: number): Buffer {
        return cipherApdu(plain, tag, 0x30, this.options.keys!, this.title, this.counter++)
    }

    private associate(apdu: Buffer): Buffer {
        const asked = readAssociation(apdu, 0, apdu.length)
        const { keys, password } = this.options
        const granted = new DlmsAssociation()
        granted.tag = AARE
        granted.context = asked.context
        granted.mechanism = asked.mechanism
        granted.result = 0
        granted.diagnostic = 0
        this.heard = -1
        this.ciphered = asked.context === 3
        this.clientTitle = asked.title
        this.clientChallenge = asked.value
        const refuse = (diagnostic: number) => {
            granted.result = 1
            granted.diagnostic = diagnostic
            granted.mechanism = 0
            this.associated = this.pending = false
            return writeAssociation(granted)
        }
        if ((asked.context !== 1 && asked.context !== 3) || (asked.context === 3 && !keys)) return refuse(2)
        const offered = {
            [MECHANISM_NONE]: !keys && !password,
            [MECHANISM_LOW]: password !== undefined,
            [MECHANISM_GMAC]: keys !== undefined,
        }
        // 11: that name is not recognised; 13: the authentication failed.
        if (!(offered as Record<number, boolean>)[asked.mechanism]) return refuse(11)
        if (asked.mechanism === MECHANISM_LOW && asked.value.toString("latin1") !== password) return refuse(13)
        const user = isCiphered(asked.user[0] ?? 0) ? this.open(asked.user) : asked.user
        this.maxPdu = Math.min(1024, readInitiate(user).maxPduSize || 1024)
        const response = writeInitiate(new DlmsInitiate(6, 0x00101c, 1024), true)
        granted.user = this.ciphered ? this.cipher(response, 0x28) : response
        if (keys) granted.title = this.title
        this.pending = asked.mechanism === MECHANISM_GMAC
        this.associated = !this.pending
        if (this.pending) {
            granted.diagnostic = 14
            granted.value = this.challenge = platform().randomOctets(16)
        } else granted.mechanism = 0
        return writeAssociation(granted)
    }

    private serve(plain: Buffer): Buffer {
        const apdu = readApdu(plain, 0, plain.length)
        const invoke = Buffer.of(apdu.invoke & 0xff)
        if (apdu.tag === ACTION_REQUEST && this.pending) {
            const answer = plain.subarray(apdu.dataAt + 2, apdu.dataEnd)
            const counter = answer.length === 17 ? answer.readUInt32BE(1) : 0
            const wanted = hlsAnswer(this.challenge, this.options.keys!, this.clientTitle, counter)
            if (!wanted.equals(answer)) return Buffer.concat([Buffer.of(0xc7, 1), invoke, Buffer.of(3, 0)])
            this.pending = false
            this.associated = true
            const own = hlsAnswer(this.clientChallenge, this.options.keys!, this.title, this.counter++)
            return Buffer.concat([Buffer.of(0xc7, 1), invoke, Buffer.of(0, 1, 0), octetString(own)])
        }
        if (!this.associated || apdu.tag !== GET_REQUEST) return Buffer.of(0xd8, 1, this.associated ? 2 : 1)
        if (apdu.choice === 2) return this.nextBlock(invoke, apdu.block)
        const data = apdu.choice === 1 ? this.attribute(apdu.classId, apdu.instance, apdu.attribute) : 3
        // 4: no such object, 3: not to be read.
        if (typeof data === "number") return Buffer.concat([Buffer.of(0xc4, 1), invoke, Buffer.of(1, data)])
        if (data.length + 40 <= this.maxPdu) return Buffer.concat([Buffer.of(0xc4, 1), invoke, Buffer.of(0), data])
        this.rest = data
        this.block = 0
        return this.nextBlock(invoke, 0)
    }

    private nextBlock(invoke: Buffer, asked: number): Buffer {
        // 16: no long GET in progress.
        if (asked !== this.block || this.rest.length === 0)
            return Buffer.concat([Buffer.of(0xc4, 1), invoke, Buffer.of(1, 16)])
        const part = this.rest.subarray(0, this.maxPdu - 60)
        this.rest = this.rest.subarray(part.length)
        ++this.block
        const number = Buffer.alloc(4)
        number.writeUInt32BE(this.block)
        const last = this.rest.length === 0 ? 1 : 0
        return Buffer.concat([
            Buffer.of(0xc4, 2),
            invoke,
            Buffer.of(last),
            number,
            Buffer.of(0, 0x82),
            u16(part.length),
            part,
        ])
    }

    /** An attribute's data, or the data access result. */
    private attribute(classId: number, instance: Buffer, attribute: number): Buffer | number {
        const register = this.meter.registers.find(each => each.obis.equals(instance))
        if (register && classId === 3) {
            if (attribute === 1) return octetString(instance)
            if (attribute === 2) return numberOf(register, this.line.elapsedMs())
            return attribute === 3 ? scalerUnit(register) : 4
        }
        const name = instance.toString("hex")
        if (name === "0000010000ff" && classId === 8) return attribute === 2 ? octetString(clock()) : 3
        if (name === "0000600100ff" && classId === 1)
            return attribute === 2 ? octetString(Buffer.from(this.meter.id)) : 3
        if (name === "0000280000ff" && classId === 15) return attribute === 2 ? this.objectList() : 3
        return 4
    }

    private objectList(): Buffer {
        const own: [number, number, Buffer][] = [
            [8, 0, Buffer.from("0000010000ff", "hex")],
            [1, 0, Buffer.from("0000600100ff", "hex")],
            [15, 1, Buffer.from("0000280000ff", "hex")],
            ...this.meter.registers.map((each): [number, number, Buffer] => [3, 0, each.obis]),
        ]
        const readable = (attribute: number) => structure(Buffer.of(15, attribute), Buffer.of(22, 1), Buffer.of(0))
        const items = own.map(([classId, version, instance]) => {
            const attributes = [1, 2, ...(classId === 3 ? [3] : [])]
            const rights = structure(
                Buffer.concat([Buffer.of(1, attributes.length), ...attributes.map(readable)]),
                Buffer.of(1, 0),
            )
            return structure(
                Buffer.concat([Buffer.of(0x12), u16(classId)]),
                Buffer.of(0x11, version),
                octetString(instance),
                rights,
            )
        })
        return Buffer.concat([Buffer.of(1, 0x82), u16(items.length), ...items])
    }

    /** A list of all registers as unnumbered information, as Nordic meters send it. */
    private push(): void {
        const items = this.meter.registers.map(each =>
            structure(octetString(each.obis), numberOf(each, this.line.elapsedMs()), scalerUnit(each)),
        )
        const list = Buffer.concat([Buffer.of(1, items.length), ...items])
        const time = clock()
        const plain = Buffer.concat([Buffer.from("0f40000000", "hex"), Buffer.of(time.length), time, list])
        const apdu = this.options.keys ? this.cipher(plain, 0xdb) : plain
        const pdu = Buffer.concat([llcFromMeter, apdu])
        this.line.send(hdlcFrame(hdlcAddress(16, 0, 1), hdlcAddress(1, 17, 2), HDLC_UI | 0x10, pdu, false))
    }
}
