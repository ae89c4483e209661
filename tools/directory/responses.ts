import {
    application,
    contextOctets,
    enumerated,
    integer,
    type Out,
    octetString,
    sequence,
    setOf,
    toOctets,
} from "./ber.ts"
import type { Message } from "./requests.ts"
import { type LdapError, ResultCode } from "./result.ts"

/** Application tag of the response to each request that has one. */
const responseTags: Partial<Record<Message["kind"], number>> = {
    bind: 1,
    search: 5,
    modify: 7,
    add: 9,
    delete: 11,
    modifyDN: 13,
    compare: 15,
    extended: 24,
}

/** How an operation ended. */
export interface Result {
    code: ResultCode
    matchedDn: string
    message: string
}

/** Success, or what the error says. */
export function resultOf(error?: LdapError): Result {
    return { code: error?.code ?? ResultCode.success, matchedDn: error?.matchedDn ?? "", message: error?.message ?? "" }
}

/** The message that ends an operation, undefined for one that has no response. `value`: responseValue of an extended one. */
export function endMessage(id: number, kind: Message["kind"], result: Result, value?: string): Buffer | undefined {
    const tag = responseTags[kind]
    if (tag === undefined) return undefined
    const parts = resultParts(result)
    if (value !== undefined) parts.push(contextOctets(11, value))
    return toOctets(sequence(integer(id), application(tag, parts)))
}

/** One SearchResultEntry. */
export function entryMessage(id: number, dn: string, attributes: [string, Buffer[]][]): Buffer {
    const list = attributes.map(([name, values]) => sequence(octetString(name), setOf(values.map(octetString))))
    return toOctets(sequence(integer(id), application(4, [octetString(dn), sequence(...list)])))
}

/** Notice of disconnection (RFC 4511 4.4.1). */
export function disconnection(code: ResultCode, message: string): Buffer {
    const parts = resultParts({ code, matchedDn: "", message })
    return toOctets(sequence(integer(0), application(24, [...parts, contextOctets(10, "1.3.6.1.4.1.1466.20036")])))
}

function resultParts({ code, matchedDn, message }: Result): Out[] {
    return [enumerated(code), octetString(matchedDn), octetString(message)]
}
