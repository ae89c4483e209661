import { timingSafeEqual } from "node:crypto"
import { checkWrite, type Identity, writerDn } from "./access.ts"
import { readDn } from "./dn.ts"
import { classesOf, type Entry, entryOf, hasValue, modified, readChanges } from "./entry.ts"
import { offers } from "./filter.ts"
import { ModifyKind, type Operation, type SearchRequest } from "./requests.ts"
import { LdapError, ResultCode } from "./result.ts"
import { descriptionOf, normalValue, parseDescription, typeOf } from "./schema.ts"
import { specialEntry } from "./special.ts"
import type { Tree } from "./tree.ts"

/** Entries that one search gives at most. */
export const mostEntries = 10_000
/** Seconds that one search takes at most. */
const mostSeconds = 30

/** Who a bind makes of the client. `party` answers its identity by certificate, undefined without one that may publish. */
export function bind(
    request: Extract<Operation, { kind: "bind" }>,
    password: Buffer | undefined,
    party: () => Identity | undefined,
): Identity {
    if (request.version !== 3) throw new LdapError(ResultCode.protocolError, "only LDAP version 3")
    if (request.mechanism !== undefined) {
        if (request.mechanism !== "EXTERNAL")
            throw new LdapError(ResultCode.authMethodNotSupported, "simple and SASL EXTERNAL are known")
        // RFC 4422 appendix A: an authorization identity other than one's own is not given
        if (request.credentials?.length) throw new LdapError(ResultCode.invalidCredentials, "nobody acts for another")
        const identity = party()
        if (!identity) throw new LdapError(ResultCode.inappropriateAuthentication, "no certificate that may publish")
        return identity
    }
    const dn = readDn(request.name)
    const given = request.simple ?? Buffer.alloc(0)
    if (given.length === 0) {
        if (dn.rdns.length === 0) return { kind: "anonymous" }
        // RFC 4513 5.1.2: a name without a password proves nothing
        throw new LdapError(ResultCode.unwillingToPerform, "a name without a password")
    }
    if (dn.key !== writerDn.key || !password || !same(given, password))
        throw new LdapError(ResultCode.invalidCredentials, "")
    return { kind: "writer" }
}

function same(a: Buffer, b: Buffer): boolean {
    const length = Math.max(a.length, b.length)
    const padded = [a, b].map(each => Buffer.concat([each, Buffer.alloc(length - each.length)]))
    return timingSafeEqual(padded[0], padded[1]) && a.length === b.length
}

/** Add, modify or delete. Throws `LdapError`; then nothing has changed. */
export function change(
    tree: Tree,
    identity: Identity,
    request: Extract<Operation, { kind: "add" | "modify" | "delete" }>,
): void {
    const dn = readDn(request.dn)
    if (identity.kind === "anonymous") checkWrite(identity, dn, undefined, undefined)
    if (dn.rdns.length === 0 || specialEntry(dn, false))
        throw new LdapError(ResultCode.unwillingToPerform, "kept by the directory itself")
    if (request.kind === "add") {
        const changes = readChanges(request.attributes.map(attribute => ({ kind: ModifyKind.add, attribute })))
        classesOf(changes.filter(({ type }) => type.name === "objectClass").flatMap(({ values }) => values))
        tree.checkPlace(dn)
        const after = entryOf(dn, changes)
        checkWrite(identity, dn, undefined, after)
        tree.put(after)
        return
    }
    const changes = request.kind === "modify" ? readChanges(request.changes) : undefined
    const before = tree.get(dn)
    const after = changes && modified(before, changes)
    checkWrite(identity, dn, before, after)
    if (after) tree.put(after)
    else tree.remove(dn)
}

/** Throws `LdapError` where there is nothing to compare with. */
export function compare(tree: Tree, request: Extract<Operation, { kind: "compare" }>): boolean {
    const dn = readDn(request.dn)
    const { type, options } = parseDescription(request.description)
    if (!type) throw new LdapError(ResultCode.undefinedAttributeType, `${request.description} is not known here`)
    const wanted = normalValue(type, request.value)
    if (wanted === undefined)
        throw new LdapError(ResultCode.invalidAttributeSyntax, `${type.name}: a value that its syntax refuses`)
    const entry = specialEntry(dn, false) ?? tree.get(dn)
    if (!offers(type, options)) throw new LdapError(ResultCode.noSuchAttribute, `no ${request.description} here`)
    return hasValue(entry, type, wanted)
}

/** The answer of a search, entry by entry (RFC 4511 4.5). Throws `LdapError`, also after entries where a limit ends it. */
export function* search(
    tree: Tree,
    request: SearchRequest,
    external: boolean,
): Generator<{ dn: string; attributes: [string, Buffer[]][] }> {
    const base = readDn(request.base)
    const special = specialEntry(base, external)
    if (special && request.scope !== "base") throw new LdapError(ResultCode.noSuchObject, "nothing below")
    const until = Date.now() + 1000 * Math.min(request.timeLimit || mostSeconds, mostSeconds)
    const most = Math.min(request.sizeLimit || mostEntries, mostEntries)
    const choose = selection(request)
    let given = 0
    for (const entry of special ? [special] : tree.inScope(base, request.scope)) {
        if (Date.now() > until) throw new LdapError(ResultCode.timeLimitExceeded, "the time is over")
        if (request.filter(entry) !== true) continue
        if (given++ >= most) throw new LdapError(ResultCode.sizeLimitExceeded, `more than ${most} entries`)
        yield { dn: entry.dn.text, attributes: choose(entry) }
    }
}

/** What of each entry is asked for (RFC 4511 4.5.1.8). */
function selection({ attributes, typesOnly }: SearchRequest): (entry: Entry) => [string, Buffer[]][] {
    const everyUser = attributes.length === 0 || attributes.includes("*")
    const everyOperational = attributes.includes("+")
    const chosen = new Set<string>()
    for (const each of attributes) {
        const { type, options } = parseDescription(each)
        if (type && offers(type, options)) chosen.add(type.name)
    }
    return entry =>
        [...entry.attributes]
            .map(([name, values]) => ({ type: typeOf(name)!, values }))
            .filter(({ type }) => chosen.has(type.name) || (type.operational ? everyOperational : everyUser))
            .map(({ type, values }) => [descriptionOf(type), typesOnly ? [] : values])
}
