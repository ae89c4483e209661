import {
    Ask,
    answerOf,
    type CustomerRequest,
    longestPart,
    Reply,
    readCustomerRequest,
    readingSize,
} from "../core/customer-line"
import { floorOf, isQuestion, questionOf } from "../core/indicator"
import { cut, sameOctets } from "../core/octets"
import { platform } from "../core/platform"
import type { PlcLink } from "../core/plc-link"
import { numberAt } from "./kept"
import type { KeyRing } from "./keys"
import type { Lockout } from "./lockout"
import type { OwnReadings } from "./own-readings"
import type { PlcService } from "./plc-server"

/** An adapter whose counter lies too low is told so, this often at most, ms: somebody may play its frames again. */
const tellMs = 5000

/** What the customer's PLC adapter is answered: his password lets him see what the page of `muc_lan` shows, and nothing else. */
export class CustomerSide implements PlcService {
    private answer: Buffer | undefined
    /** SHA-256 of the request answered last, and what it was answered: one that was sent again is no second try of a password. */
    private asked: Buffer = hex``
    private told: Buffer | undefined
    private toldAt = -tellMs

    constructor(
        private readonly own: OwnReadings,
        private readonly keys: KeyRing,
        private readonly lockout: Lockout,
    ) {}

    due(): Buffer | undefined {
        const answer = this.answer
        this.answer = undefined
        return answer
    }

    hear(message: Buffer, link: PlcLink): void {
        if (isQuestion(message)) {
            link.raise(floorOf(message))
            this.tellFloor(link)
            return
        }
        const request = readCustomerRequest(message)
        const asked = platform().sha256([message])
        if (!sameOctets(asked, this.asked)) {
            this.asked = asked
            this.told = undefined
            this.told = this.answerTo(request)
        }
        this.answer = this.told
    }

    low(link: PlcLink): void {
        if (platform().millis() - this.toldAt >= tellMs) this.tellFloor(link)
    }

    private tellFloor(link: PlcLink): void {
        this.toldAt = platform().millis()
        this.answer = questionOf(link.floor(), link.floor(true))
    }

    private answerTo(request: CustomerRequest): Buffer {
        const verifier = this.keys.password()
        const wait = this.lockout.secondsLeft()
        let reply = Reply.None
        let count = 0
        let content: Buffer = hex``
        if (!verifier) reply = Reply.NoPassword
        else if (wait > 0) {
            reply = Reply.Locked
            count = wait
        } else if (!this.lockout.lets(verifier, request.password)) reply = Reply.WrongPassword
        else {
            const places = this.own.places()
            if (!places) reply = Reply.Denied
            else if (request.what === Ask.Reading) {
                count = places.length
                const head = request.number < count ? this.own.kept.head(places[request.number]) : undefined
                if (head) {
                    reply = Reply.Here
                    content = cut(head, numberAt, readingSize)
                }
            } else if (request.what === Ask.Evidence) {
                const file = this.fileOf(places, request.number)
                if (file && request.offset < file.length) {
                    reply = Reply.Here
                    count = file.length
                    content = cut(file, request.offset, Math.min(longestPart, count - request.offset))
                }
            }
        }
        return answerOf(request.id, reply, count, content)
    }

    private fileOf(places: number[], number: number): Buffer | undefined {
        for (let i = 0; i < places.length; ++i) {
            const head = this.own.kept.head(places[i])
            if (head && head.getAt(numberAt, "u32") === number) return this.own.kept.file(number)
        }
        return undefined
    }
}
