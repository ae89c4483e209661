import { Code, fail } from "./errors"
import { cut, join } from "./octets"

/**
 * What the customer's adapter and the MUC say to each other in the frames of a PLC link (KEY2PLC), besides the floors of `indicator.ts`. Little endian.
 *
 * Request: 4 | id U32 | what U8 | number U32 | offset U16 | password, UTF-8. A request that is sent again has its id and is answered once more, not
 * done twice. Each has the password: there is no session that somebody else could go on with.
 * Answer: 5 | id U32 of the request | `Reply` U8 | count U16 | content.
 */

/** What is asked for. */
export enum Ask {
    /** A reading by its place, `number` 0 the newest; `count` in the answer: how many there are. */
    Reading = 0,
    /** The signed list's file of reading `number` from `offset` on; `count`: its length in octets. */
    Evidence = 1,
}

export enum Reply {
    Here = 0,
    WrongPassword = 1,
    /** Nobody is let in for `count` seconds. */
    Locked = 2,
    /** The access table does not let customers read. */
    Denied = 3,
    /** There is no such reading. */
    None = 4,
    /** No password is installed. */
    NoPassword = 5,
}

/**
 * Content of a reading: number U32 | received U32 | time U32 | length of its file U16 | kind of `time` U8 (2: UTC seconds) | sound U8 | server id 10 | 0 U16 |
 * drawn U64 | fed in U64 (0.1 Wh) | power I32 (0.1 W). `received` and `time` UTC seconds, `received` 0 = not known.
 */
export const readingSize = 48
/** Most octets of a file in one answer. */
export const longestPart = 112

const requestKind = 4
const answerKind = 5
const requestHead = 12
const answerHead = 8
/** A longer password would not go into a frame. */
export const longestPassword = 112

export interface CustomerRequest {
    id: number
    what: number
    number: number
    offset: number
    password: Buffer
}

/** `longestPassword` octets of password at most. */
export function requestOf(id: number, what: Ask, number: number, offset: number, password: Buffer): Buffer {
    const head = Buffer.alloc(requestHead)
    head[0] = requestKind
    head.setAt(1, "u32", id)
    head[5] = what
    head.setAt(6, "u32", number)
    head.setAt(10, "u16", offset)
    return join([head, password])
}

/** `PlcMessage` */
export function readCustomerRequest(message: Buffer): CustomerRequest {
    if (message.length < requestHead || message[0] !== requestKind)
        fail(Code.PlcMessage, 0, "a request", message.length + " octets")
    return {
        id: message.getAt(1, "u32"),
        what: message[5],
        number: message.getAt(6, "u32"),
        offset: message.getAt(10, "u16"),
        password: cut(message, requestHead, message.length - requestHead),
    }
}

/** The answer to request `id`. */
export function answerOf(id: number, reply: Reply, count: number, content: Buffer): Buffer {
    const head = Buffer.alloc(answerHead)
    head[0] = answerKind
    head.setAt(1, "u32", id)
    head[5] = reply
    head.setAt(6, "u16", count)
    return join([head, content])
}

export interface CustomerAnswer {
    id: number
    reply: Reply
    count: number
    content: Buffer
}

/** `PlcMessage` */
export function readCustomerAnswer(message: Buffer): CustomerAnswer {
    if (message.length < answerHead || message[0] !== answerKind)
        fail(Code.PlcMessage, 0, "an answer", message.length + " octets")
    return {
        id: message.getAt(1, "u32"),
        reply: message[5],
        count: message.getAt(6, "u16"),
        content: cut(message, answerHead, message.length - answerHead),
    }
}
