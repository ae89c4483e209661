import { randomBytes } from "node:crypto"
import {
    Ask,
    type CustomerAnswer,
    longestPassword,
    Reply,
    readCustomerAnswer,
    readingSize,
    requestOf,
} from "../../firmware/core/customer-line"
import { PlombError } from "../../firmware/core/errors"
import { floorOf, isQuestion, questionOf } from "../../firmware/core/indicator"
import { PlcReceiver } from "../../firmware/core/plc-frame"
import { PlcLink, PlcWay } from "../../firmware/core/plc-link"
import type { Store } from "../../firmware/core/store"
import type { PlcLine } from "../chips/plc-line.ts"
import { plainFormat } from "../chips/uart-frame.ts"
import { nodeCcm } from "../node/ccm.ts"
import type { World } from "../vm/world.ts"
import { roomDb } from "./display.ts"

/** Waits for an answer, ms: the MUC proves the password, and its frame takes 0.7 s on the line. */
const answerMs = 6000
/** Sends of one request before nobody is there. */
const tries = 5
/** Silence before sending, ms: this and up to as much again. */
const silenceMs = 120

/** A reading that is the customer's. */
export interface OwnReading {
    number: number
    /** Server id in hex. */
    meter: string
    /** UTC seconds; undefined where the meter's time was not known. */
    atSeconds?: number
    drawnKwh: number
    fedInKwh: number
    watts: number
    sound: boolean
    /** Octets of the signed list's file. */
    length: number
}

/** The MUC did not say yes. */
export class AdapterError extends Error {
    constructor(
        readonly reply: Reply | "silent",
        readonly seconds = 0,
    ) {
        const words = typeof reply === "string" ? "the MUC does not answer" : Reply[reply]
        super(seconds > 0 ? `${words}, for ${seconds} s` : words)
        this.name = "AdapterError"
    }
}

/**
 * The customer's PLC adapter, as a computer with a PLC modem would be one: the other end of the link under KEY2PLC. It keeps key and counters
 * in `store` (`plcLinkSize` octets), the password nowhere.
 */
export class PlcAdapter {
    readonly link: PlcLink
    /** Codes of frames that were refused. */
    readonly refused: number[] = []
    private readonly receiver = new PlcReceiver()
    private readonly tap
    private heardMs = Number.NEGATIVE_INFINITY
    private answer: CustomerAnswer | undefined
    private greeted = false

    constructor(
        private readonly world: World,
        line: PlcLine,
        store: Store,
        key: Buffer,
        address = 3,
    ) {
        this.link = new PlcLink(store, 0, nodeCcm, PlcWay.ToMuc, address, 1)
        this.link.give(key)
        this.tap = line.join(roomDb).wire.tap({
            format: plainFormat(line.baud),
            onOctets: octets => {
                this.heardMs = world.nowMs()
                for (const stuffed of this.receiver.take(Buffer.from(octets))) this.hear(stuffed)
            },
        })
    }

    /** All that the customer may see, the newest first. Throws `AdapterError`. */
    async readings(password: string): Promise<OwnReading[]> {
        const readings: OwnReading[] = []
        for (let place = 0; ; ++place) {
            const { reply, count, content } = await this.ask(password, Ask.Reading, place, 0)
            if (reply === Reply.None && place >= count) return readings
            if (reply !== Reply.Here) throw new AdapterError(reply, count)
            readings.push(readingOf(content))
            if (place + 1 >= count) return readings
        }
    }

    /** The signed list's file of a reading as it left the meter, for `plomb verify`. Throws `AdapterError`. */
    async evidence(password: string, number: number): Promise<Buffer> {
        const parts: Buffer[] = []
        for (let offset = 0; ; ) {
            const { reply, count, content } = await this.ask(password, Ask.Evidence, number, offset)
            if (reply !== Reply.Here) throw new AdapterError(reply, count)
            parts.push(Buffer.from(content))
            offset += content.length
            if (content.length === 0 || offset >= count) return Buffer.concat(parts)
        }
    }

    /** One request, sent again with the same id where nothing comes back. */
    async ask(password: string, what: Ask, number: number, offset: number): Promise<CustomerAnswer> {
        const octets = Buffer.from(password.normalize("NFC"))
        if (octets.length > longestPassword) throw new RangeError(`a password has at most ${longestPassword} octets`)
        const id = randomBytes(4).readUInt32LE()
        const request = requestOf(id, what, number, offset, octets)
        for (let left = tries; left > 0; --left) {
            await this.greet()
            this.answer = undefined
            await this.send(request)
            await this.until(() => this.answer?.id === id)
            const answer = this.answer as CustomerAnswer | undefined
            if (answer?.id === id) return answer
            // The MUC may have lost its place, or we ours.
            this.greeted = false
        }
        throw new AdapterError("silent")
    }

    /** Both ends tell from which counter on they take frames: one of them may have been without power. */
    private async greet(): Promise<void> {
        if (this.greeted) return
        await this.send(questionOf(this.link.floor(), this.link.floor(true)), this.link.keys() > 1)
        await this.until(() => this.greeted)
    }

    private async send(message: Buffer, underNew = false): Promise<void> {
        const silence = silenceMs * (1 + Math.random())
        while (this.world.nowMs() - this.heardMs < silence) await this.world.sleep(20)
        this.tap.send(this.link.seal(message, underNew))
    }

    private async until(done: () => boolean): Promise<void> {
        for (let waited = 0; waited < answerMs && !done(); waited += 20) await this.world.sleep(20)
    }

    private hear(stuffed: Buffer): void {
        try {
            const message = this.link.open(stuffed)
            if (isQuestion(message)) {
                this.link.raise(floorOf(message))
                this.greeted = true
            } else this.answer = readCustomerAnswer(message)
        } catch (error) {
            if (!(error instanceof PlombError)) throw error
            this.refused.push(error.code)
        }
    }
}

function readingOf(content: Buffer): OwnReading {
    if (content.length !== readingSize) throw new RangeError(`a reading of ${content.length} octets`)
    return {
        number: content.readUInt32LE(0),
        meter: content.toString("hex", 16, 26),
        atSeconds: content[14] === 2 ? content.readUInt32LE(8) : undefined,
        length: content.readUInt16LE(12),
        sound: content[15] > 0,
        drawnKwh: Number(content.readBigUInt64LE(28)) / 10_000,
        fedInKwh: Number(content.readBigUInt64LE(36)) / 10_000,
        watts: content.readInt32LE(44) / 10,
    }
}
