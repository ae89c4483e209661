import type { Ber } from "./ber.ts"
import { LdapError, ResultCode } from "./result.ts"

/** Content of an OCTET STRING. Throws `LdapError` protocolError. */
export function octets(element: Ber | undefined): Buffer {
    if (element?.tag !== 4) throw malformed("an OCTET STRING is expected")
    return element.content
}

/** The same as an LDAPString. */
export function text(element: Ber | undefined): string {
    return textOf(octets(element))
}

/** UTF-8, or `LdapError` protocolError (RFC 4511 4.1.2). */
export function textOf(content: Buffer): string {
    try {
        return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content)
    } catch {
        throw malformed("a string that is not UTF-8")
    }
}

/** What is in a constructed element of this tag. */
export function list(element: Ber | undefined, tag: number): Ber[] {
    if (element?.tag !== tag) throw malformed("a SEQUENCE or SET is expected")
    return element.children
}

/** INTEGER (2) or ENUMERATED (10) of 0 to 2147483647. */
export function natural(element: Ber | undefined, tag = 2): number {
    const value = element?.tag === tag ? numberOf(element) : undefined
    if (value === undefined || value < 0) throw malformed("a number is expected")
    return value
}

/** Value of an INTEGER of up to four octets. */
export function numberOf({ content }: Ber): number | undefined {
    return content.length >= 1 && content.length <= 4 ? content.readIntBE(0, content.length) : undefined
}

export function malformed(what: string): LdapError {
    return new LdapError(ResultCode.protocolError, `malformed request: ${what}`)
}
