import { type Ber, BerDamage, readBer } from "./ber.ts"
import { list, malformed, natural, numberOf, octets, text, textOf } from "./fields.ts"
import { type Filter, readFilter } from "./filter.ts"
import { LdapError, ResultCode } from "./result.ts"

/** Values of one attribute as they came, under its attribute description. */
export interface RawAttribute {
    description: string
    values: Buffer[]
}

export enum ModifyKind {
    add = 0,
    delete = 1,
    replace = 2,
}

export interface SearchRequest {
    kind: "search"
    base: string
    scope: "base" | "one" | "sub"
    /** 0: no limit asked for. */
    sizeLimit: number
    /** Seconds; 0: no limit asked for. */
    timeLimit: number
    typesOnly: boolean
    filter: Filter
    attributes: string[]
}

/** The operations of RFC 4511 4.2 to 4.14. */
export type Operation =
    | { kind: "bind"; version: number; name: string; simple?: Buffer; mechanism?: string; credentials?: Buffer }
    | { kind: "unbind" }
    | SearchRequest
    | { kind: "modify"; dn: string; changes: { kind: ModifyKind; attribute: RawAttribute }[] }
    | { kind: "add"; dn: string; attributes: RawAttribute[] }
    | { kind: "delete"; dn: string }
    | { kind: "modifyDN"; dn: string }
    | { kind: "compare"; dn: string; description: string; value: Buffer }
    | { kind: "abandon" }
    | { kind: "extended"; name: string }

/** An LDAPMessage whose envelope is whole; `operation` reads the rest and may throw `LdapError`. */
export interface Message {
    id: number
    kind: Operation["kind"]
    operation(): Operation
    /** OIDs of the critical controls that came with it. */
    criticalControls: string[]
}

const kinds: Record<number, [Operation["kind"], (op: Ber) => Operation]> = {
    96: ["bind", readBind],
    66: ["unbind", () => ({ kind: "unbind" })],
    99: ["search", readSearch],
    102: ["modify", readModify],
    104: ["add", readAdd],
    74: ["delete", op => ({ kind: "delete", dn: textOf(op.content) })],
    108: ["modifyDN", op => ({ kind: "modifyDN", dn: text(op.children[0]) })],
    110: ["compare", readCompare],
    80: ["abandon", () => ({ kind: "abandon" })],
    119: ["extended", readExtended],
}

/**
 * Reads the envelope (RFC 4511 4.1.1). Throws `BerDamage` where the session must end with a notice of
 * disconnection: no SEQUENCE, no message ID, an operation that is none of a client's.
 */
export function readMessage(octets: Buffer): Message {
    const message = readBer(octets)
    const [idElement, op, controls] = message.children
    if (message.tag !== 0x30 || idElement?.tag !== 2 || !op) throw new BerDamage("not an LDAPMessage")
    const id = numberOf(idElement)
    // RFC 4511 4.1.1.1: 0 is for unsolicited notifications
    if (id === undefined || id < 1) throw new BerDamage("a message ID outside 1..2147483647")
    const found = kinds[op.tag]
    if (!found) throw new BerDamage(`protocolOp ${op.tag.toString(16)} is no request`)
    const [kind, read] = found
    return { id, kind, operation: () => read(op), criticalControls: controls ? readControls(controls) : [] }
}

function readControls(element: Ber): string[] {
    // An element after protocolOp that is not [0] is an extension of the message (RFC 4511 4)
    if (element.tag !== 0xa0) return []
    return element.children.flatMap(control => {
        const [oid, critical] = control.children
        if (control.tag !== 0x30 || oid?.tag !== 4) throw new BerDamage("not a Control")
        return critical?.tag === 1 && critical.content[0] !== 0 ? [oid.content.toString("latin1")] : []
    })
}

function readBind(op: Ber): Operation {
    const [version, name, authentication] = op.children
    const bind = { kind: "bind", version: natural(version), name: text(name) } as const
    if (authentication?.tag === 0x80) return { ...bind, simple: authentication.content }
    if (authentication?.tag !== 0xa3)
        throw new LdapError(ResultCode.authMethodNotSupported, "simple and SASL EXTERNAL are known")
    const [mechanism, credentials] = authentication.children
    return { ...bind, mechanism: text(mechanism), credentials: credentials && octets(credentials) }
}

function readSearch(op: Ber): Operation {
    const [base, scope, deref, size, time, typesOnly, filter, attributes] = op.children
    const scopes = ["base", "one", "sub"] as const
    const chosen = scopes[natural(scope, 10)]
    if (!chosen || natural(deref, 10) > 3) throw malformed("a scope or deref that is not defined")
    if (typesOnly?.tag !== 1 || !filter) throw malformed("search")
    return {
        kind: "search",
        base: text(base),
        scope: chosen,
        sizeLimit: natural(size),
        timeLimit: natural(time),
        typesOnly: typesOnly.content[0] !== 0,
        filter: readFilter(filter),
        attributes: list(attributes, 0x30).map(text),
    }
}

function readModify(op: Ber): Operation {
    const [dn, changes] = op.children
    return {
        kind: "modify",
        dn: text(dn),
        changes: list(changes, 0x30).map(change => {
            const kind = natural(list(change, 0x30)[0], 10)
            if (ModifyKind[kind] === undefined) throw malformed("a modify operation that is not defined")
            return { kind, attribute: readAttribute(change.children[1]) }
        }),
    }
}

function readAdd(op: Ber): Operation {
    const [dn, attributes] = op.children
    return { kind: "add", dn: text(dn), attributes: list(attributes, 0x30).map(readAttribute) }
}

function readAttribute(element: Ber | undefined): RawAttribute {
    const [description, values] = list(element, 0x30)
    return { description: text(description), values: list(values, 0x31).map(octets) }
}

function readCompare(op: Ber): Operation {
    const [dn, assertion] = op.children
    const [description, value] = list(assertion, 0x30)
    return { kind: "compare", dn: text(dn), description: text(description), value: octets(value) }
}

function readExtended(op: Ber): Operation {
    const [name] = op.children
    if (name?.tag !== 0x80) throw malformed("extended")
    return { kind: "extended", name: textOf(name.content) }
}
