import { TimeQuality } from "../../hal/ports"
import { CRC_BAD } from "../core/crc16"
import { Code, PlombError } from "../core/errors"
import { sameOctets, uintBE } from "../core/octets"
import { platform } from "../core/platform"
import { CURRENT_DATA, LOAD_PROFILE, signedListRes, signedRowRes } from "../core/signed-list"
import { Attention, writeAttention } from "../core/sml-attention"
import {
    branch,
    certificateChainPath,
    childName,
    identificationPath,
    numberLeaf,
    octetsLeaf,
    publicKeyPath,
    statusPath,
    timePath,
    writeParameter,
} from "../core/sml-parameter"
import { QUIRK_ORDER, readFile, type SmlMessage } from "../core/sml-read"
import {
    CLOSE_REQ,
    CLOSE_RES,
    GET_LIST_REQ,
    GET_PROC_PARAMETER_REQ,
    GET_PROFILE_LIST_REQ,
    OPEN_REQ,
    OPEN_RES,
} from "../core/sml-tables"
import { writeFile } from "../core/sml-transport"
import {
    childrenAt,
    integerAt,
    isAbsent,
    octetsAt,
    pathAt,
    secondsAt,
    TIME_STAMP,
    timeKindAt,
} from "../core/sml-values"
import { writeMessage } from "../core/sml-write"
import type { Meter } from "./meter"
import { TrustSlot } from "./trust"

/** Asks for a list issued before: this and the pagination in four octets. */
const storedListName = hex`8181c7f002ff`
/** Rows of the load profile in one answer; the asker goes on behind the last. */
const rowsAnAnswer = 6
/** Time slots in which meters answer a discovery, and the length of one: an answer of 160 octets at 9600 Bd. */
const discoverySlots = 16
export const discoverySlotMs = 200

/** What the meter has to say to a request file, and how long it holds its tongue before. */
export interface Answer {
    file: Buffer
    delayMs: number
}

/**
 * Answers SML request files on the meter's line. A file that is damaged, or for another meter, gets no
 * answer: others share the line. Everything else is answered by one response file, an Attention for each
 * request that cannot be met.
 */
export class Answerer {
    constructor(private readonly meter: Meter) {}

    answer(raw: Buffer): Answer | undefined {
        const file = readFile(raw, false, CRC_BAD)
        const messages = file.messages
        const open = messages[0]
        if (open.tag !== OPEN_REQ) return undefined
        const own = this.meter.identity.serverId()
        const asked = octetsAt(file.octets, open.fields[3])
        let delayMs = 0
        if (asked.length === 0) {
            if (messages.length !== 3 || !isDiscovery(messages[1])) return undefined
            const slot = platform().sha256([own, octetsAt(file.octets, open.fields[2])])[0] % discoverySlots
            delayMs = slot * discoverySlotMs
        } else if (!sameOctets(asked, own)) return undefined

        const responses = [this.openResponse(open, own)]
        if ((file.flags & QUIRK_ORDER) !== 0 || messages[messages.length - 1].tag !== CLOSE_REQ) {
            responses.push(this.attention(open, Attention.NoClose, "Open first, Close last, requests only"))
        } else {
            for (let i = 1; i < messages.length - 1; ++i) this.respond(messages[i], responses)
        }
        responses.push(writeMessage(transactionOf(open), 0, CLOSE_RES, [undefined]))
        return { file: writeFile(responses), delayMs: delayMs }
    }

    /** The response file to a GetList for this meter: what a calibration station fetches and proves. */
    testFile(): Buffer {
        const id = Buffer.from("test")
        const issued = this.meter.issueList()
        return writeFile([
            writeMessage(id, 0, OPEN_RES, [undefined, undefined, id, this.meter.identity.serverId(), undefined, 1]),
            signedListRes(id, undefined, issued.signed, issued.signature),
            writeMessage(id, 0, CLOSE_RES, [undefined]),
        ])
    }

    private openResponse(open: SmlMessage, own: Buffer): Buffer {
        const client = octetsAt(open.octets, open.fields[1])
        const request = octetsAt(open.octets, open.fields[2])
        return writeMessage(transactionOf(open), groupOf(open), OPEN_RES, [
            undefined,
            client,
            request,
            own,
            undefined,
            1,
        ])
    }

    private respond(message: SmlMessage, responses: Buffer[]): void {
        try {
            if (message.tag === GET_LIST_REQ) responses.push(this.list(message))
            else if (message.tag === GET_PROFILE_LIST_REQ) this.profile(message, responses)
            else if (message.tag === GET_PROC_PARAMETER_REQ) responses.push(this.parameter(message))
            else responses.push(this.attention(message, Attention.NotAuthorised, ""))
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            const busy = e.code === Code.Busy
            responses.push(this.attention(message, busy ? Attention.Busy : Attention.OrderNotExecuted, "E" + e.code))
        }
    }

    private list(message: SmlMessage): Buffer {
        const octets = message.octets
        const name = octetsAt(octets, message.fields[4])
        const client = isAbsent(octets, message.fields[0]) ? undefined : octetsAt(octets, message.fields[0])
        if (name.length === 0 || sameOctets(name, CURRENT_DATA)) {
            const issued = this.meter.issueList()
            return signedListRes(transactionOf(message), client, issued.signed, issued.signature)
        }
        if (name.length === 10 && startsWith(name, storedListName)) {
            const stored = this.meter.issuer.storedList(uintBE(name, 6, 4))
            if (stored) return signedListRes(transactionOf(message), client, stored.signed, stored.signature)
            return this.attention(message, Attention.NothingInRange, "")
        }
        return this.attention(message, Attention.UnknownIdentifier, "")
    }

    private profile(message: SmlMessage, responses: Buffer[]): void {
        const octets = message.octets
        const path = pathAt(octets, message.fields[6])
        if (path.length !== 1 || !sameOctets(path[0], LOAD_PROFILE)) {
            responses.push(this.attention(message, Attention.UnknownIdentifier, ""))
            return
        }
        const begin = message.fields[4]
        const end = message.fields[5]
        const from = secondsAt(octets, begin)
        const to = isAbsent(octets, end) ? 0xffffffff : secondsAt(octets, end)
        const issuer = this.meter.issuer
        if (issuer.newestRow() === 0) responses.push(this.attention(message, Attention.ProfileEmpty, ""))
        else if (to < from) responses.push(this.attention(message, Attention.EndBeforeBegin, ""))
        else {
            const kind = timeKindAt(octets, isAbsent(octets, begin) ? end : begin)
            let found = 0
            for (let i = issuer.oldestRow(); i <= issuer.newestRow() && found < rowsAnAnswer; ++i) {
                const row = issuer.row(i)
                if (!row || row.periodEnd < from || row.periodEnd > to) continue
                if (kind !== 0 && (kind === TIME_STAMP) !== (row.timeQuality === TimeQuality.Set)) continue
                responses.push(signedRowRes(transactionOf(message), row.signed, row.signature))
                ++found
            }
            if (found === 0) responses.push(this.attention(message, Attention.NothingInRange, ""))
        }
    }

    private parameter(message: SmlMessage): Buffer {
        const meter = this.meter
        const path = pathAt(message.octets, message.fields[3])
        const name = path[0]
        if (path.length > 1) return this.attention(message, Attention.NotReadable, "")
        let tree: any
        if (sameOctets(name, identificationPath)) {
            tree = branch(name, [
                octetsLeaf(hex`8181c78204ff`, meter.identity.serverId()),
                octetsLeaf(hex`8181c7820a01`, Buffer.from(meter.identity.hardware())),
                octetsLeaf(hex`8181c78206ff`, Buffer.from(meter.machine.softwareIdentification)),
                octetsLeaf(hex`0100605a0201`, meter.machine.softwareChecksum),
            ])
        } else if (sameOctets(name, publicKeyPath)) tree = octetsLeaf(name, meter.machine.custody.publicKey())
        else if (sameOctets(name, statusPath)) tree = numberLeaf(name, meter.status())
        else if (sameOctets(name, timePath)) tree = numberLeaf(name, meter.time.utcSeconds())
        else if (sameOctets(name, certificateChainPath)) {
            const children: any[] = []
            for (let slot = TrustSlot.Meter; slot <= TrustSlot.InstituteRoot; ++slot) {
                const der = meter.trust.read(slot)
                if (der) children.push(octetsLeaf(childName(name, slot + 1), der))
            }
            if (children.length === 0) return this.attention(message, Attention.NotReadable, "")
            tree = branch(name, children)
        } else return this.attention(message, Attention.UnknownIdentifier, "")
        return writeParameter(transactionOf(message), groupOf(message), meter.identity.serverId(), path, tree)
    }

    private attention(message: SmlMessage, attention: Attention, text: string): Buffer {
        const own = this.meter.identity.serverId()
        return writeAttention(transactionOf(message), groupOf(message), own, attention, text)
    }
}

/** GetProcParameter for the device identification, addressed to nobody: who is on this line? */
function isDiscovery(message: SmlMessage): boolean {
    if (message.tag !== GET_PROC_PARAMETER_REQ || !isAbsent(message.octets, message.fields[0])) return false
    const path = pathAt(message.octets, message.fields[3])
    return path.length === 1 && sameOctets(path[0], identificationPath)
}

function startsWith(octets: Buffer, start: Buffer): boolean {
    for (let i = 0; i < start.length; ++i) if (octets[i] !== start[i]) return false
    return true
}

function transactionOf(message: SmlMessage): Buffer {
    return octetsAt(message.octets, childrenAt(message.octets, message.start)[0])
}

function groupOf(message: SmlMessage): number {
    return integerAt(message.octets, childrenAt(message.octets, message.start)[1])
}
