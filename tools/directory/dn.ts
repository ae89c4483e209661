import { LdapError, ResultCode } from "./result.ts"
import { type AttributeType, isBinary, normalValue, typeOf } from "./schema.ts"

/** A distinguished name; `key` is the same for names that match (RFC 4517 4.2.15). */
export interface Dn {
    text: string
    key: string
    /** Leaf first. */
    rdns: Rdn[]
}

export interface Rdn {
    key: string
    parts: { type: AttributeType; value: Buffer }[]
}

const mostRdns = 32

/** Reads the string form (RFC 4514). Throws `LdapError` invalidDNSyntax, also for attribute types that are not known here. */
export function readDn(text: string): Dn {
    const rdns: Rdn[] = []
    let at = 0
    while (text.trim() !== "") {
        const parts: Rdn["parts"] = []
        let separator = "+"
        while (separator === "+") {
            const equals = text.indexOf("=", at)
            if (equals < 0) throw wrong(text)
            const type = typeOf(text.slice(at, equals).trim())
            const value = readValue(text, equals + 1)
            if (!type || isBinary(type) || value.octets.length === 0) throw wrong(text)
            if (normalValue(type, value.octets) === undefined) throw wrong(text)
            parts.push({ type, value: value.octets })
            separator = text[value.end] ?? ""
            at = value.end + 1
        }
        const keys = parts.map(({ type, value }) => JSON.stringify([type.name, normalValue(type, value)]))
        rdns.push({ key: keys.sort().join("+"), parts })
        if (rdns.length > mostRdns) throw wrong(text)
        if (separator === "") break
    }
    return dnOf(text, rdns)
}

/** The name of the entry above. */
export function parentKey(dn: Dn): string {
    return keyOf(dn.rdns.slice(1))
}

/** Keys of the name itself and of all above it, nearest first, without the root. */
export function lineage(dn: Dn): string[] {
    return dn.rdns.map((_, i) => keyOf(dn.rdns.slice(i)))
}

function dnOf(text: string, rdns: Rdn[]): Dn {
    return { text, key: keyOf(rdns), rdns }
}

function keyOf(rdns: Rdn[]): string {
    return rdns.map(each => each.key).join(",")
}

/** One attribute value from `at` to the separator that is not escaped, or to the end. */
function readValue(text: string, at: number): { octets: Buffer; end: number } {
    while (text[at] === " ") at++
    if (text[at] === "#") throw wrong(text)
    const pieces: Buffer[] = []
    // Blanks at the end count only where they are escaped
    let kept = 0
    for (; at < text.length && !",;+".includes(text[at]); ++at) {
        if (text[at] === "\\") {
            const pair = text.slice(at + 1, at + 3)
            if (/^[0-9a-f]{2}$/i.test(pair)) {
                pieces.push(Buffer.from(pair, "hex"))
                at += 2
            } else if (pair && ' "#+,;<=>\\'.includes(pair[0])) {
                pieces.push(Buffer.from(pair[0]))
                at++
            } else throw wrong(text)
            kept = pieces.length
            continue
        }
        if ('"<>\0'.includes(text[at])) throw wrong(text)
        const character = String.fromCodePoint(text.codePointAt(at)!)
        at += character.length - 1
        pieces.push(Buffer.from(character))
        if (character !== " ") kept = pieces.length
    }
    return { octets: Buffer.concat(pieces.slice(0, kept)), end: at }
}

/** A value as it stands in the string form of a name (RFC 4514 2.4). */
export function escapeValue(value: string): string {
    return value
        .replace(/[\\"+,;<>]/g, "\\$&")
        .replace(/\0/g, "\\00")
        .replace(/^[ #]/, "\\$&")
        .replace(/ $/, "\\ ")
}

function wrong(text: string): LdapError {
    return new LdapError(ResultCode.invalidDNSyntax, `"${text.slice(0, 80)}" is not a name known here`)
}
