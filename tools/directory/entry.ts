import type { Dn } from "./dn.ts"
import { ModifyKind, type RawAttribute } from "./requests.ts"
import { LdapError, ResultCode } from "./result.ts"
import {
    type AttributeType,
    checkValue,
    classOf,
    normalValue,
    type ObjectClass,
    typeOf,
    writableType,
} from "./schema.ts"

/** One entry of the tree; values by the name of their attribute type, never changed in place. */
export interface Entry {
    dn: Dn
    attributes: Map<string, Buffer[]>
}

/** A change of an entry's attributes (RFC 4511 4.6), its types known and its values of their syntax. */
export interface Change {
    kind: ModifyKind
    type: AttributeType
    values: Buffer[]
}

/** Judges changes by themselves, before it is looked whether there is an entry for them. Throws `LdapError`. */
export function readChanges(changes: { kind: ModifyKind; attribute: RawAttribute }[]): Change[] {
    const empty = changes.find(({ kind, attribute }) => kind === ModifyKind.add && attribute.values.length === 0)
    if (empty) throw new LdapError(ResultCode.protocolError, `${empty.attribute.description} without a value`)
    return changes.map(({ kind, attribute: { description, values } }) => {
        const type = writableType(description)
        for (const value of values) checkValue(type, value)
        const distinct = new Set(values.map(each => normalValue(type, each)))
        if (kind !== ModifyKind.delete && distinct.size < values.length)
            throw new LdapError(ResultCode.attributeOrValueExists, `${type.name}: a value twice`)
        return { kind, type, values }
    })
}

/** The entry of an add request (RFC 4511 4.7) and of its name, checked against the schema. Throws `LdapError`. */
export function entryOf(dn: Dn, changes: Change[]): Entry {
    const entry: Entry = { dn, attributes: new Map() }
    for (const { type, values } of changes) addValues(entry, type, values)
    // RFC 4511 4.7: clients may leave out the attributes of the RDN
    for (const { type, value } of dn.rdns[0].parts) {
        const values = entry.attributes.get(type.name) ?? []
        if (!values.some(each => normalValue(type, each) === normalValue(type, value))) addValues(entry, type, [value])
    }
    checkSchema(entry)
    return entry
}

/** The entry after a modify request (RFC 4511 4.6). Throws `LdapError`; the one given stays as it is. */
export function modified(entry: Entry, changes: Change[]): Entry {
    const after: Entry = { dn: entry.dn, attributes: new Map(entry.attributes) }
    for (const { kind, type, values } of changes) {
        if (kind === ModifyKind.delete) deleteValues(after, type, values)
        else {
            if (kind === ModifyKind.replace) after.attributes.delete(type.name)
            if (values.length > 0) addValues(after, type, values)
        }
    }
    checkSchema(after)
    if (structuralClass(after) !== structuralClass(entry))
        throw new LdapError(ResultCode.objectClassModsProhibited, "the structural class of an entry stays")
    return after
}

/** Does the entry have this value, in its normal form? Throws `LdapError` where it has no such attribute. */
export function hasValue(entry: Entry, type: AttributeType, wanted: string): boolean {
    const values = entry.attributes.get(type.name)
    if (!values) throw new LdapError(ResultCode.noSuchAttribute, `no ${type.name} here`)
    return values.some(each => normalValue(type, each) === wanted)
}

function addValues(entry: Entry, type: AttributeType, values: Buffer[]): void {
    const all = (entry.attributes.get(type.name) ?? []).slice()
    const known = new Set(all.map(each => normalValue(type, each)))
    for (const value of values) {
        const normal = normalValue(type, value)
        if (known.has(normal)) throw new LdapError(ResultCode.attributeOrValueExists, `${type.name}: a value twice`)
        known.add(normal)
        // The message it came in is not kept for it
        all.push(Buffer.from(value))
    }
    entry.attributes.set(type.name, all)
}

function deleteValues(entry: Entry, type: AttributeType, values: Buffer[]): void {
    let left = entry.attributes.get(type.name)
    if (!left) throw new LdapError(ResultCode.noSuchAttribute, `no ${type.name} here`)
    for (const value of values) {
        const gone = normalValue(type, value)
        const before = left.length
        left = left.filter(each => normalValue(type, each) !== gone)
        if (left.length === before) throw new LdapError(ResultCode.noSuchAttribute, `${type.name}: no such value`)
    }
    if (values.length === 0 || left.length === 0) entry.attributes.delete(type.name)
    else entry.attributes.set(type.name, left)
}

function structuralClass(entry: Entry): string {
    const names = (entry.attributes.get("objectClass") ?? []).map(each => classOf(each.toString("latin1")))
    return names.find(each => each?.kind === "STRUCTURAL")?.name ?? ""
}

/** The classes that an entry names: exactly one is structural (RFC 4512 2.4.2). Throws `LdapError`. */
export function classesOf(names: Buffer[]): ObjectClass[] {
    if (names.length === 0) throw violation("an entry needs objectClass")
    const own = names.map(each => {
        const name = each.toString("latin1")
        const found = classOf(name)
        if (!found) throw new LdapError(ResultCode.invalidAttributeSyntax, `objectClass ${name} is not known here`)
        return found
    })
    if (own.filter(each => each.kind === "STRUCTURAL").length !== 1)
        throw violation("an entry has exactly one structural class")
    return own
}

function violation(message: string): LdapError {
    return new LdapError(ResultCode.objectClassViolation, message)
}

/** RFC 4512 2.4: one structural class, all that its classes demand, nothing they do not allow; the RDN's values. */
function checkSchema(entry: Entry): void {
    const own = classesOf(entry.attributes.get("objectClass") ?? [])
    const allowed = new Set(["objectClass", "createTimestamp", "modifyTimestamp"])
    for (const { must, may, name } of own) {
        for (const each of must)
            if (!entry.attributes.has(each) && each !== rdnAttribute(entry, each))
                throw violation(`${name} needs ${each}`)
        for (const each of [...must, ...may]) allowed.add(each)
    }
    for (const name of entry.attributes.keys())
        if (!allowed.has(name)) throw violation(`${name} is not allowed by the classes of this entry`)
    for (const { type, value } of entry.dn.rdns[0].parts) {
        const values = entry.attributes.get(type.name) ?? []
        const wanted = normalValue(type, value)
        if (!values.some(each => normalValue(type, each) === wanted))
            throw new LdapError(ResultCode.notAllowedOnRDN, `${type.name} of the name is not among the values`)
    }
}

/** The name of the attribute where it stands in the RDN: its absence is told as the RDN's. */
function rdnAttribute(entry: Entry, name: string): string | undefined {
    return entry.dn.rdns[0].parts.find(({ type }) => type === typeOf(name))?.type.name
}
