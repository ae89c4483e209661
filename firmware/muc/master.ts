import type { SmlLine } from "../../hal/rs485-link"
import { CRC_BAD } from "../core/crc16"
import { Code, fail, PlombError } from "../core/errors"
import { sameOctets } from "../core/octets"
import { platform } from "../core/platform"
import { readFile, type SmlFile } from "../core/sml-read"
import { isResponse, requestIdOf, serverOf } from "../core/sml-request"
import type { MeterList } from "./meters"

/** Sends of one request before its meter counts as not reachable. */
const tries = 3
/** A meter's answer is there within this: 4 KB take 4.3 s at 9600 Bd, and a software key signs first. */
const answerMs = 6000
const pollMs = 20

/** Longest wait for one's turn. */
const turnMs = 20000

/** Master of the RS-485 line: one request at a time, each with its answer. Who waits gets the line in the order of coming. */
export class LineMaster {
    /** Turns given out, the one whose it is, and those nobody waits for any more. */
    private last = 0
    private turn = 1
    private gaveUp: number[] = []

    /** `meters` hear of each answer. */
    constructor(
        private readonly line: SmlLine,
        private readonly meters?: MeterList,
    ) {}

    /**
     * Sends a request file with reqFileId `requestId` to the meter `serverId` and answers its response file as
     * it came; again up to three times in all where none whole comes back. A late answer to an earlier request
     * is not taken for this one's. Throws `MeterSilent`, or `Busy`.
     */
    exchange(serverId: Buffer, requestId: Buffer, request: Buffer): Buffer {
        this.enter()
        try {
            for (let i = 0; i < tries; ++i) {
                this.line.send(request)
                const from = platform().millis()
                while (platform().millis() - from < answerMs) {
                    const answer = this.next()
                    const file = answer ? responseIn(answer) : undefined
                    if (!answer || !file || !sameOctets(serverOf(file), serverId)) continue
                    if (!sameOctets(requestIdOf(file), requestId)) continue
                    if (this.meters) this.meters.add(serverId)
                    return answer
                }
            }
            return fail(Code.MeterSilent, -1, "an answer of " + serverId.toString("hex"), "none in " + tries + " tries")
        } finally {
            this.leave()
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
                const file = answer ? responseIn(answer) : undefined
                if (file) senders.push(serverOf(file))
            }
            return senders
        } finally {
            this.leave()
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

    /** Without an order, whoever asks much leaves no gap for the others to find. */
    private enter(): void {
        const mine = ++this.last
        for (let waited = 0; this.turn !== mine; waited += pollMs) {
            if (waited > turnMs) {
                this.gaveUp.push(mine)
                fail(Code.Busy, -1, "the line free within 20 s", "busy")
            }
            platform().sleepMs(pollMs)
        }
    }

    private leave(): void {
        ++this.turn
        while (this.gaveUp.indexOf(this.turn) >= 0) ++this.turn
        if (this.turn > this.last) this.gaveUp = []
    }
}

/** The response file in these octets, if they are one. Collisions are ordinary on a shared line. */
function responseIn(raw: Buffer): SmlFile | undefined {
    try {
        const file = readFile(raw, false, CRC_BAD)
        return isResponse(file) ? file : undefined
    } catch (e: any) {
        if (!(e instanceof PlombError)) throw e
        return undefined
    }
}
