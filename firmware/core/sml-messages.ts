import { Code, fail } from "./errors"
import type { SmlMessage } from "./sml-read"
import {
    ATTENTION_RES,
    CLOSE_REQ,
    CLOSE_RES,
    GET_LIST_REQ,
    GET_PROC_PARAMETER_REQ,
    GET_PROC_PARAMETER_RES,
    GET_PROFILE_LIST_REQ,
    GET_PROFILE_PACK_REQ,
    OPEN_REQ,
    OPEN_RES,
    SET_PROC_PARAMETER_REQ,
} from "./sml-tables"
import { behindAt, integerAt, octetsAt, pathAt, secondsAt, timeKindAt } from "./sml-values"
import { type SmlValue, writeMessage } from "./sml-write"

/** The messages a meter answers with and a MUC asks with. `transactionId` 1 to 255 octets, echoed in the answer. */

/** PublicOpen.Req for the device `serverId`; `undefined` addresses whoever hears it. */
export function openReq(
    transactionId: Buffer,
    clientId: Buffer,
    reqFileId: Buffer,
    serverId: Buffer | undefined,
): Buffer {
    return writeMessage(transactionId, 0, OPEN_REQ, [
        undefined,
        clientId,
        reqFileId,
        serverId,
        undefined,
        undefined,
        undefined,
    ])
}

/** PublicOpen.Res; `refTime` as `[tag, seconds]` or absent. */
export function openRes(
    transactionId: Buffer,
    clientId: Buffer | undefined,
    reqFileId: Buffer,
    serverId: Buffer,
    refTime: SmlValue,
): Buffer {
    return writeMessage(transactionId, 0, OPEN_RES, [undefined, clientId, reqFileId, serverId, refTime, undefined])
}

/** PublicClose.Req, with the signature of the file if there is one. */
export function closeReq(transactionId: Buffer, globalSignature: Buffer | undefined): Buffer {
    return writeMessage(transactionId, 0, CLOSE_REQ, [globalSignature])
}

/** PublicClose.Res without signature. */
export function closeRes(transactionId: Buffer): Buffer {
    return writeMessage(transactionId, 0, CLOSE_RES, [undefined])
}

/** GetList.Req; `serverId` and `listName` may be absent. */
export function getListReq(
    transactionId: Buffer,
    clientId: Buffer,
    serverId: Buffer | undefined,
    listName: Buffer | undefined,
): Buffer {
    return writeMessage(transactionId, 0, GET_LIST_REQ, [clientId, serverId, undefined, undefined, listName])
}

/** GetProcParameter.Req for the tree under `path`. */
export function getProcParameterReq(transactionId: Buffer, serverId: Buffer | undefined, path: Buffer[]): Buffer {
    return writeMessage(transactionId, 0, GET_PROC_PARAMETER_REQ, [serverId, undefined, undefined, path, undefined])
}

/** GetProcParameter.Res: the path repeated, and the tree `[name, [tag, value] or absent, children or absent]`. */
export function getProcParameterRes(transactionId: Buffer, serverId: Buffer, path: Buffer[], tree: SmlValue): Buffer {
    return writeMessage(transactionId, 0, GET_PROC_PARAMETER_RES, [serverId, path, tree])
}

/** Attention.Res with the number 81 81 C7 C7 xx xx (`number` = xx xx, e.g. 0xfe03) and a text of at most 100 characters or none. */
export function attentionRes(transactionId: Buffer, serverId: Buffer, number: number, text: string): Buffer {
    const attention = Buffer.from([0x81, 0x81, 0xc7, 0xc7, number >> 8, number & 0xff])
    const message = text.length > 0 ? Buffer.from(text) : undefined
    return writeMessage(transactionId, 0, ATTENTION_RES, [serverId, attention, message, undefined])
}

const noOctets = hex``

/** What a request asks for; empty buffers and 0 where the message has no such element or it is absent. */
export class SmlRequest {
    clientId = noOctets
    reqFileId = noOctets
    serverId = noOctets
    username = noOctets
    password = noOctets
    listName = noOctets
    attribute = noOctets
    globalSignature = noOctets
    path: Buffer[] = []
    withRawdata = false
    /** Range of a profile: seconds, and which kind of time (`TIME_ABSENT` = open end). */
    begin = 0
    beginKind = 0
    end = 0
    endKind = 0
    /** OBIS codes of the wanted columns of a profile; all if empty. */
    objects: Buffer[] = []
    /** Offset of the parameter tree of a SetProcParameter.Req in the message's octets. */
    tree = 0

    constructor(
        /** Tag of the message. */
        readonly tag: number,
        readonly transactionId: Buffer,
        readonly group: number,
    ) {}
}

/** Reads a request message. Throws `SmlTag` for anything that is no request of the tables: answer that with Attention FE01. */
export function readRequest(message: SmlMessage): SmlRequest {
    const octets = message.octets
    const at = message.fields
    const tag = message.tag
    const head = message.start + 1
    const transactionId = octetsAt(octets, head)
    const request = new SmlRequest(tag, transactionId, integerAt(octets, behindAt(octets, head)))
    if (tag === OPEN_REQ) {
        request.clientId = octetsAt(octets, at[1])
        request.reqFileId = octetsAt(octets, at[2])
        credentials(request, octets, at, 3)
    } else if (tag === CLOSE_REQ) request.globalSignature = octetsAt(octets, at[0])
    else if (tag === GET_LIST_REQ) {
        request.clientId = octetsAt(octets, at[0])
        credentials(request, octets, at, 1)
        request.listName = octetsAt(octets, at[4])
    } else if (tag === GET_PROC_PARAMETER_REQ || tag === SET_PROC_PARAMETER_REQ) {
        credentials(request, octets, at, 0)
        request.path = pathAt(octets, at[3])
        if (tag === SET_PROC_PARAMETER_REQ) request.tree = at[4]
        else request.attribute = octetsAt(octets, at[4])
    } else if (tag === GET_PROFILE_PACK_REQ || tag === GET_PROFILE_LIST_REQ) {
        credentials(request, octets, at, 0)
        request.withRawdata = octets[at[3]] === 0x42 && octets[at[3] + 1] !== 0
        request.beginKind = timeKindAt(octets, at[4])
        request.begin = secondsAt(octets, at[4])
        request.endKind = timeKindAt(octets, at[5])
        request.end = secondsAt(octets, at[5])
        request.path = pathAt(octets, at[6])
        request.objects = pathAt(octets, at[7])
    } else fail(Code.SmlTag, message.start, "a request", "tag " + tag)
    return request
}

/** serverId, username and password stand side by side in every request. */
function credentials(request: SmlRequest, octets: Buffer, at: number[], first: number): void {
    request.serverId = octetsAt(octets, at[first])
    request.username = octetsAt(octets, at[first + 1])
    request.password = octetsAt(octets, at[first + 2])
}
