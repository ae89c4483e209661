import type { Ber } from "./ber.ts"
import type { Entry } from "./entry.ts"
import { octets, text, textOf } from "./fields.ts"
import { LdapError, ResultCode } from "./result.ts"
import { type AttributeType, folded, normalValue, parseDescription, utf8 } from "./schema.ts"

/** A search filter (RFC 4511 4.5.1.7): true, false, or undefined where an item cannot be judged. */
export type Filter = (entry: Entry) => boolean | undefined

/** Reads a filter; what it does not know evaluates to undefined. Throws `LdapError` protocolError for what is no filter. */
export function readFilter(element: Ber): Filter {
    switch (element.tag) {
        case 0xa0: {
            const parts = some(element).map(readFilter)
            return entry => every(parts, entry)
        }
        case 0xa1: {
            const parts = some(element).map(readFilter)
            return entry =>
                negated(
                    every(
                        parts.map(part => each => negated(part(each))),
                        entry,
                    ),
                )
        }
        case 0xa2: {
            const [part] = some(element).map(readFilter)
            return entry => negated(part(entry))
        }
        // equality, approximate
        case 0xa3:
        case 0xa8:
            return comparison(element, (own, asserted) => own === asserted)
        case 0xa4:
            return substrings(element)
        case 0xa5:
            return comparison(element, (own, asserted) => own >= asserted, true)
        case 0xa6:
            return comparison(element, (own, asserted) => own <= asserted, true)
        case 0x87: {
            const { type, options } = parseDescription(textOf(element.content))
            return entry => type && offers(type, options) && entry.attributes.has(type.name)
        }
        // extensible matches are not judged
        case 0xa9:
            return () => undefined
        default:
            throw new LdapError(ResultCode.protocolError, "malformed request: not a filter")
    }
}

function some(element: Ber): Ber[] {
    if (element.children.length === 0 || (element.tag === 0xa2 && element.children.length !== 1))
        throw new LdapError(ResultCode.protocolError, "malformed request: a filter without its parts")
    return element.children
}

function every(parts: Filter[], entry: Entry): boolean | undefined {
    let all: boolean | undefined = true
    for (const part of parts) {
        const value = part(entry)
        if (value === false) return false
        if (value === undefined) all = undefined
    }
    return all
}

function negated(value: boolean | undefined): boolean | undefined {
    return value === undefined ? undefined : !value
}

/** Only an attribute of all these options is meant (RFC 4512 2.5.2). */
export function offers(type: AttributeType, options: string[]): boolean {
    const binary = type.syntax === "certificate" || type.syntax === "crl"
    return options.every(option => binary && option === "binary")
}

function comparison(element: Ber, holds: (own: string, asserted: string) => boolean, ordered = false): Filter {
    const { type, options } = parseDescription(text(element.children[0]))
    const asserted = octets(element.children[1])
    if (!type || !offers(type, options) || (ordered && type.syntax !== "time")) return () => undefined
    const wanted = normalValue(type, asserted)
    if (wanted === undefined) return () => undefined
    return entry => values(entry, type).some(value => holds(normalValue(type, value) ?? "", wanted))
}

function substrings(element: Ber): Filter {
    const { type, options } = parseDescription(text(element.children[0]))
    const list = element.children[1]
    if (list?.tag !== 0x30 || list.children.length === 0)
        throw new LdapError(ResultCode.protocolError, "malformed request: substrings")
    const parts = list.children.map(({ tag, content }, i) => {
        const place = ["initial", "any", "final"][tag - 0x80]
        if (!place || (place === "initial" && i > 0) || (place === "final" && i < list.children.length - 1))
            throw new LdapError(ResultCode.protocolError, "malformed request: substrings")
        return { place, piece: folded(utf8(content) ?? "\0") }
    })
    if (!type || !offers(type, options) || (type.syntax !== "string" && type.syntax !== "printable"))
        return () => undefined
    return entry =>
        values(entry, type).some(value => {
            let rest = normalValue(type, value) ?? ""
            for (const { place, piece } of parts) {
                const at = place === "final" ? rest.length - piece.length : rest.indexOf(piece)
                if (at < 0 || !rest.startsWith(piece, at) || (place === "initial" && at > 0)) return false
                rest = rest.slice(at + piece.length)
            }
            return true
        })
}

function values(entry: Entry, type: AttributeType): Buffer[] {
    return entry.attributes.get(type.name) ?? []
}
