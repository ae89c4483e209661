import type { Machine } from "../../hal/machine"
import { CRC_BAD } from "../core/crc16"
import { Code, PlombError } from "../core/errors"
import { sameOctets } from "../core/octets"
import { answerFile } from "../core/sml-answer"
import { Attention } from "../core/sml-attention"
import { attentionRes, getProcParameterRes, readRequest, type SmlRequest } from "../core/sml-messages"
import {
    activeMetersPath,
    branch,
    childName,
    identificationPath,
    inventoryPath,
    octetsLeaf,
} from "../core/sml-parameter"
import { readFile, type SmlFile } from "../core/sml-read"
import { GET_PROC_PARAMETER_REQ, OPEN_REQ } from "../core/sml-tables"
import type { Holdings } from "./holdings"
import type { KeyRing } from "./keys"
import type { LineMaster } from "./master"
import type { MeterList } from "./meters"

/**
 * What the MUC does with a request file from its uplink: files for itself it answers, files for a meter of
 * its line it hands on octet for octet and brings the answer back octet for octet, since those octets are
 * the evidence.
 */
export class Router {
    constructor(
        private readonly machine: Machine,
        readonly serverId: Buffer,
        private readonly master: LineMaster,
        private readonly meters: MeterList,
        private readonly holdings: Holdings,
        private readonly keys: KeyRing,
    ) {}

    /** The response file to a request file, or undefined for what is no request. Throws `PlombError` for damaged octets. */
    route(raw: Buffer): Buffer | undefined {
        const file = readFile(raw, false, CRC_BAD)
        if (file.messages[0].tag !== OPEN_REQ) return undefined
        const open = readRequest(file.messages[0])
        const target = open.serverId
        if (target.length === 0 || sameOctets(target, this.serverId)) {
            const self = this
            return answerFile(file, this.serverId, (request, responses) => {
                responses.push(self.respond(request))
            })
        }
        if (!this.meters.knows(target))
            return this.refuse(file, target, Attention.ServerNotReachable, "not on this line")
        try {
            return this.master.exchange(target, open.reqFileId, raw)
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            const busy = e.code === Code.Busy || e.code === Code.LineBusy
            return this.refuse(file, target, busy ? Attention.Busy : Attention.ServerNotReachable, "E" + e.code)
        }
    }

    private respond(request: SmlRequest): Buffer {
        if (request.tag !== GET_PROC_PARAMETER_REQ)
            return attentionRes(request.transactionId, this.serverId, Attention.NotAuthorised, "")
        const name = request.path[0]
        const children: any[] = []
        if (sameOctets(name, activeMetersPath)) {
            for (let i = 0; i < this.meters.count(); ++i)
                children.push(octetsLeaf(childName(name, i + 1), this.meters.at(i)))
        } else if (sameOctets(name, identificationPath)) {
            children.push(octetsLeaf(hex`8181c78204ff`, this.serverId))
            children.push(octetsLeaf(hex`8181c78206ff`, Buffer.from(this.machine.softwareIdentification)))
            children.push(octetsLeaf(hex`0100605a0201`, this.machine.softwareChecksum))
        } else if (sameOctets(name, inventoryPath)) {
            const items = this.holdings.items()
            const keys = this.keys.items()
            for (let i = 0; i < keys.length; ++i) items.push(keys[i])
            for (let i = 0; i < items.length; ++i) children.push(octetsLeaf(childName(name, i + 1), items[i]))
        } else return attentionRes(request.transactionId, this.serverId, Attention.UnknownIdentifier, "")
        const tree = children.length > 0 ? branch(name, children) : [name, undefined, undefined]
        return getProcParameterRes(request.transactionId, this.serverId, request.path, tree)
    }

    /** The same Attention to each request of a file for `target`. */
    private refuse(file: SmlFile, target: Buffer, attention: Attention, text: string): Buffer {
        return answerFile(file, target, (request, responses) => {
            responses.push(attentionRes(request.transactionId, target, attention, text))
        })
    }
}
