import type { SmlLine } from "../../hal/rs485-link"
import { CRC_BAD } from "../core/crc16"
import { Code, fail, PlombError } from "../core/errors"
import { sameOctets } from "../core/octets"
import { platform } from "../core/platform"
import { readFile } from "../core/sml-read"
import { senderOf } from "../core/sml-request"

/** Sends of one request before its meter counts as not reachable. */
const tries = 3
/** A meter's answer is there within this: 4 KB take 4.3 s at 9600 Bd, and a software key signs first. */
const answerMs = 6000
const pollMs = 20

/** Master of the RS-485 line: one request at a time, each with its answer. */
export class LineMaster {
    private busy = false

    constructor(private readonly line: SmlLine) {}

    /**
     * Sends a request file to the meter `serverId` and answers its response file as it came; again up to
     * three times in all where nothing whole comes back. Throws `MeterSilent`, or `Busy`.
     */
    exchange(serverId: Buffer, request: Buffer): Buffer {
        this.enter()
        try {
            for (let i = 0; i < tries; ++i) {
                this.line.send(request)
                const from = platform().millis()
                while (platform().millis() - from < answerMs) {
                    const answer = this.next()
                    if (answer && sameOctets(senderIn(answer), serverId)) return answer
                }
            }
            return fail(Code.MeterSilent, -1, "an answer of " + serverId.toString("hex"), "none in " + tries + " tries")
        } finally {
            this.busy = false
        }
    }

    /** Sends a request to whoever listens and answers who sent a whole response within `listenMs`. */
    call(request: Buffer, listenMs: number): Buffer[] {
        this.enter()
        try {
            const senders: Buffer[] = []
            this.line.send(request)
            const from = platform().millis()
            while (platform().millis() - from < listenMs) {
                const answer = this.next()
                const sender = answer ? senderIn(answer) : hex``
                if (sender.length > 0) senders.push(sender)
            }
            return senders
        } finally {
            this.busy = false
        }
    }

    /** The next file of the line, if one comes soon. Noise and collisions are ordinary there; the line counts them. */
    private next(): Buffer | undefined {
        platform().sleepMs(pollMs)
        try {
            return this.line.poll()
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            return undefined
        }
    }

    private enter(): void {
        for (let waited = 0; this.busy; waited += 20) {
            if (waited > 20000) fail(Code.Busy, -1, "the line free within 20 s", "busy")
            platform().sleepMs(20)
        }
        this.busy = true
    }
}

/** Who sent this file; empty where it is no whole response. Collisions are ordinary on a shared line. */
function senderIn(raw: Buffer): Buffer {
    try {
        return senderOf(readFile(raw, false, CRC_BAD))
    } catch (e: any) {
        if (!(e instanceof PlombError)) throw e
        return hex``
    }
}
