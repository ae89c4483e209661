import { Code, fail } from "./errors"
import type { SmlMessage } from "./sml-read"
import {
    ATTENTION_RES,
    CLOSE_REQ,
    CLOSE_RES,
    GET_LIST_REQ,
    GET_PROC_PARAMETER_REQ,
    GET_PROC_PARAMETER_RES,
    OPEN_REQ,
    OPEN_RES,
    SET_PROC_PARAMETER_REQ,
} from "./sml-tables"
import { octetsAt, pathAt, secondsAt, timeKindAt, treeOctets } from "./sml-values"
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

/** PublicClose.Res, with the signature of the file if there is one. */
export function closeRes(transactionId: Buffer, globalSignature?: Buffer): Buffer {
    return writeMessage(transactionId, 0, CLOSE_RES, [globalSignature])
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

/** SetProcParameter.Req: `tree` as in `getProcParameterRes`. */
export function setProcParameterReq(
    transactionId: Buffer,
    serverId: Buffer | undefined,
    path: Buffer[],
    tree: SmlValue,
): Buffer {
    return writeMessage(transactionId, 0, SET_PROC_PARAMETER_REQ, [serverId, undefined, undefined, path, tree])
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

/**
 * What a request asks for; empty buffers and 0 where the message has no such element or it is absent. What is rarely asked for
 * (credentials, wanted columns, trees, signatures) is reached through the message's `fields`.
 */
export class SmlRequest {
    clientId = noOctets
    reqFileId = noOctets
    serverId = noOctets
    listName = noOctets
    /** The parameterTreePath: OBIS codes or COSEM names. */
    path: Buffer[] = []
    /** SetProcParameter: the tree's own value where it is an octet string. */
    value = noOctets
    /** Range of a profile: seconds, and which kind of time (`TIME_ABSENT` = open end). */
    begin = 0
    beginKind = 0
    end = 0
    endKind = 0

    constructor(
        /** Tag of the message. */
        readonly tag: number,
        readonly transactionId: Buffer,
    ) {}
}

/** Where each request has its elements: tag, then 1 + the place of clientId, reqFileId, serverId, listName, path; 0 = not there. */
const places = hex`
    01 02 03 04 00 00 // PublicOpen
    02 00 00 00 00 00 // PublicClose
    03 00 00 01 00 07 // GetProfilePack
    04 00 00 01 00 07 // GetProfileList
    05 00 00 01 00 04 // GetProcParameter
    06 00 00 01 00 04 // SetProcParameter
    07 01 00 02 05 00 // GetList
`
const PLACES = 6

/** Reads a request message. Throws `SmlTag` for anything that is no request of the tables: answer that with Attention FE01. */
export function readRequest(message: SmlMessage): SmlRequest {
    const octets = message.octets
    const tag = message.tag
    const row = (tag / 256 - 1) * PLACES
    const request = new SmlRequest(tag, octetsAt(octets, message.start + 1))
    if ((tag & 0xff) !== 0 || row < 0 || row >= places.length)
        fail(Code.SmlTag, message.start, "a request", "tag " + tag)
    request.clientId = pick(message, row + 1)
    request.reqFileId = pick(message, row + 2)
    request.serverId = pick(message, row + 3)
    request.listName = pick(message, row + 4)
    const at = message.fields
    const path = places[row + 5]
    if (path > 0) request.path = pathAt(octets, at[path - 1])
    if (tag === SET_PROC_PARAMETER_REQ) request.value = treeOctets(octets, at[4])
    if (path === 7) {
        request.beginKind = timeKindAt(octets, at[4])
        request.begin = secondsAt(octets, at[4])
        request.endKind = timeKindAt(octets, at[5])
        request.end = secondsAt(octets, at[5])
    }
    return request
}

/** The octet string that `places` names at `entry`; nothing where it names none. */
function pick(message: SmlMessage, entry: number): Buffer {
    const place = places[entry]
    return place > 0 ? octetsAt(message.octets, message.fields[place - 1]) : noOctets
}
