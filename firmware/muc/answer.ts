import { Fn } from "../core/access"
import type { Caller } from "../core/command"
import { CRC_BAD } from "../core/crc16"
import { Code, PlombError } from "../core/errors"
import { sameOctets } from "../core/octets"
import { answerFile } from "../core/sml-answer"
import { Attention } from "../core/sml-attention"
import { attentionRes, readRequest } from "../core/sml-messages"
import { blockPath, certificatesPath } from "../core/sml-parameter"
import { readFile, type SmlFile, type SmlMessage } from "../core/sml-read"
import {
    GET_LIST_REQ,
    GET_PROC_PARAMETER_REQ,
    GET_PROFILE_LIST_REQ,
    OPEN_REQ,
    SET_PROC_PARAMETER_REQ,
} from "../core/sml-tables"
import type { Answering } from "./answering"
import type { LineMaster } from "./master"
import type { MeterList } from "./meters"

/**
 * What the MUC does with a request file from its uplink: files for itself it answers, files for a meter of its line it hands on octet
 * for octet, if whoever signed them may have that done, and brings the answer back octet for octet, since those octets are the
 * evidence. Whether the meter does it is the meter's to decide.
 */
export class Router {
    constructor(
        private readonly serverId: Buffer,
        private readonly master: LineMaster,
        private readonly meters: MeterList,
        private readonly functions: Answering,
    ) {}

    /** The response file to a request file, or undefined for what is no request. Throws `PlombError` for damaged octets. */
    route(raw: Buffer): Buffer | undefined {
        const file = readFile(raw, false, CRC_BAD)
        if (file.messages[0].tag !== OPEN_REQ) return undefined
        const open = readRequest(file.messages[0])
        const target = open.serverId
        if (target.length === 0 || sameOctets(target, this.serverId)) return this.functions.answer(file)
        try {
            if (!this.meters.knows(target))
                return this.refuse(file, target, Attention.ServerNotReachable, "not on this line")
            this.checkRight(file, this.functions.open(file, target, false))
            return this.master.exchange(target, open.reqFileId, raw)
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            let attention = Attention.NotAuthorised
            if (e.code === Code.Busy || e.code === Code.LineBusy) attention = Attention.Busy
            else if (e.code === Code.MeterSilent || e.code < Code.SmlEscape) attention = Attention.ServerNotReachable
            return this.refuse(file, target, attention, "E" + e.code)
        }
    }

    /** May all requests of a file for a meter be handed on? Of nobody only questions, and certificates, lists and blocks of software, which prove themselves. */
    private checkRight(file: SmlFile, caller: Caller | undefined): void {
        const messages = file.messages
        for (let i = caller ? 2 : 1; i < messages.length - 1; ++i) {
            const tag = messages[i].tag
            let fn = Fn.relay
            if (tag === GET_LIST_REQ) fn = Fn.readCurrent
            else if (tag === GET_PROFILE_LIST_REQ) fn = Fn.readProfile
            else if (!caller && needsNobody(messages[i])) continue
            this.functions.demand(caller, fn)
        }
    }

    /** The same Attention to each request of a file for `target`. */
    private refuse(file: SmlFile, target: Buffer, attention: Attention, text: string): Buffer {
        return answerFile(file, target, (request, responses) => {
            responses.push(attentionRes(request.transactionId, target, attention, text))
        })
    }
}

function needsNobody(message: SmlMessage): boolean {
    if (message.tag !== SET_PROC_PARAMETER_REQ) return message.tag === GET_PROC_PARAMETER_REQ
    const path = readRequest(message).path
    return path.length > 0 && (sameOctets(path[0], certificatesPath) || sameOctets(path[0], blockPath))
}
