import { TimeQuality } from "../../hal/ports"
import { CRC_BAD } from "../core/crc16"
import { sameOctets, uintBE } from "../core/octets"
import { platform } from "../core/platform"
import { CURRENT_DATA, LOAD_PROFILE, signedListRes, signedRowRes } from "../core/signed-list"
import { Attention } from "../core/sml-attention"
import { attentionRes, readRequest, type SmlRequest } from "../core/sml-messages"
import { identificationPath } from "../core/sml-parameter"
import { readFile } from "../core/sml-read"
import { GET_LIST_REQ, GET_PROC_PARAMETER_REQ, OPEN_REQ } from "../core/sml-tables"
import { TIME_ABSENT, TIME_SEC_INDEX } from "../core/sml-values"
import type { Functions } from "./functions"
import type { Meter } from "./meter"

/** Begins the name of a list issued before; the pagination follows in four octets. */
const storedListName = hex`8181c7f002ff`
/** Rows of the load profile in one answer; the asker goes on behind the last. */
const rowsAnAnswer = 6
/** Time slots in which meters answer a discovery; one takes an answer of 150 octets at 9600 Bd. */
const discoverySlots = 16
const discoverySlotMs = 165

/** What the meter has to say to a request file, and how long it holds its tongue before. */
export interface Answer {
    file: Buffer
    delayMs: number
}

/**
 * Answers SML request files on the meter's line. A file that is damaged, or for another meter, gets no
 * answer: others share the line. Everything else is answered by one response file, with an Attention for
 * each request that can not be met.
 */
export class Answerer {
    constructor(
        private readonly meter: Meter,
        private readonly functions: Functions,
    ) {}

    /** Is the meter to be erased? */
    erasing(): boolean {
        return this.functions.erasing()
    }

    /** The answer to a file as it stood on the line, or undefined for silence. Throws `PlombError` for damaged octets. */
    answer(raw: Buffer): Answer | undefined {
        const file = readFile(raw, false, CRC_BAD)
        const messages = file.messages
        if (messages[0].tag !== OPEN_REQ) return undefined
        const open = readRequest(messages[0])
        const own = this.meter.identity.serverId()
        let delayMs = 0
        if (open.serverId.length === 0) {
            if (messages.length !== 3 || !isDiscovery(readRequest(messages[1]))) return undefined
            delayMs = (platform().sha256([own, open.reqFileId])[0] % discoverySlots) * discoverySlotMs
        } else if (!sameOctets(open.serverId, own)) return undefined

        const self = this
        this.meter.answering = true
        try {
            return {
                file: this.functions.answer(file, (request, responses) => self.read(request, responses)),
                delayMs: delayMs,
            }
        } finally {
            this.meter.answering = false
        }
    }

    private read(request: SmlRequest, responses: Buffer[]): void {
        if (request.tag === GET_LIST_REQ) responses.push(this.list(request))
        else this.profile(request, responses)
    }

    private list(request: SmlRequest): Buffer {
        const name = request.listName
        if (name.length === 0 || sameOctets(name, CURRENT_DATA)) {
            const issued = this.meter.issueList()
            return signedListRes(request.transactionId, request.clientId, issued.signed, issued.signature)
        }
        if (name.length !== 10 || !startsWith(name, storedListName))
            return this.attention(request, Attention.UnknownIdentifier)
        const stored = this.meter.issuer.storedList(uintBE(name, 6, 4))
        if (!stored) return this.attention(request, Attention.NothingInRange)
        return signedListRes(request.transactionId, request.clientId, stored.signed, stored.signature)
    }

    private profile(request: SmlRequest, responses: Buffer[]): void {
        const issuer = this.meter.issuer
        const from = request.begin
        const to = request.endKind === TIME_ABSENT ? 0xffffffff : request.end
        const kind = request.beginKind === TIME_ABSENT ? request.endKind : request.beginKind
        let refusal = 0
        if (request.path.length !== 1 || !sameOctets(request.path[0], LOAD_PROFILE))
            refusal = Attention.UnknownIdentifier
        else if (issuer.newestRow() === 0) refusal = Attention.ProfileEmpty
        else if (to < from) refusal = Attention.EndBeforeBegin
        else {
            let found = 0
            for (let i = issuer.oldestRow(); i <= issuer.newestRow() && found < rowsAnAnswer; ++i) {
                // Reading rows is seconds of bus time, in which the line and the energy must not wait.
                platform().yieldNow()
                const head = issuer.peekRow(i)
                if (head.periodEnd < from || head.periodEnd > to) continue
                if (kind !== TIME_ABSENT && (kind !== TIME_SEC_INDEX) !== (head.timeQuality === TimeQuality.Set))
                    continue
                const row = issuer.row(i)
                if (!row) continue
                responses.push(signedRowRes(request.transactionId, row.signed, row.signature))
                ++found
            }
            if (found === 0) refusal = Attention.NothingInRange
        }
        if (refusal !== 0) responses.push(this.attention(request, refusal))
    }

    private attention(request: SmlRequest, attention: Attention): Buffer {
        return attentionRes(request.transactionId, this.meter.identity.serverId(), attention, "")
    }
}

/** GetProcParameter for the device identification, addressed to nobody: who is on this line? */
function isDiscovery(request: SmlRequest): boolean {
    return (
        request.tag === GET_PROC_PARAMETER_REQ && request.serverId.length === 0 && isPath(request, identificationPath)
    )
}

function isPath(request: SmlRequest, name: Buffer): boolean {
    return request.path.length === 1 && sameOctets(request.path[0], name)
}

function startsWith(octets: Buffer, start: Buffer): boolean {
    for (let i = 0; i < start.length; ++i) if (octets[i] !== start[i]) return false
    return true
}
