import { parseCrl } from "../../firmware/core/crl.ts"
import { PlombError } from "../../firmware/core/errors.ts"
import { parseCertificate } from "../../firmware/core/x509.ts"
import { readDn } from "./dn.ts"
import { LdapError, ResultCode } from "./result.ts"

/** How values of an attribute are written and compared (RFC 4517). */
export type Syntax = "string" | "printable" | "oid" | "dn" | "time" | "certificate" | "crl"

export interface AttributeType {
    name: string
    aliases: string[]
    oid: string
    syntax: Syntax
    /** Kept by the directory; a client writes none of these and gets them only by name or "+". */
    operational: boolean
}

export interface ObjectClass {
    name: string
    oid: string
    kind: "ABSTRACT" | "STRUCTURAL" | "AUXILIARY"
    must: string[]
    may: string[]
}

/** The part of RFC 4519, RFC 4523 and RFC 4512 that the tree uses; OpenLDAP's core.schema has all of it. */
const types: AttributeType[] = (
    [
        ["objectClass", "2.5.4.0", "oid"],
        ["cn commonName", "2.5.4.3", "string"],
        ["serialNumber", "2.5.4.5", "printable"],
        ["l localityName", "2.5.4.7", "string"],
        ["o organizationName", "2.5.4.10", "string"],
        ["ou organizationalUnitName", "2.5.4.11", "string"],
        ["description", "2.5.4.13", "string"],
        ["owner", "2.5.4.32", "dn"],
        ["roleOccupant", "2.5.4.33", "dn"],
        ["seeAlso", "2.5.4.34", "dn"],
        ["userCertificate", "2.5.4.36", "certificate"],
        ["cACertificate", "2.5.4.37", "certificate"],
        ["authorityRevocationList", "2.5.4.38", "crl"],
        ["certificateRevocationList", "2.5.4.39", "crl"],
        ["createTimestamp", "2.5.18.1", "time", true],
        ["modifyTimestamp", "2.5.18.2", "time", true],
        ["subschemaSubentry", "2.5.18.10", "dn", true],
        ["attributeTypes", "2.5.21.5", "string", true],
        ["objectClasses", "2.5.21.6", "string", true],
        ["namingContexts", "1.3.6.1.4.1.1466.101.120.5", "dn", true],
        ["supportedExtension", "1.3.6.1.4.1.1466.101.120.7", "oid", true],
        ["supportedSASLMechanisms", "1.3.6.1.4.1.1466.101.120.14", "string", true],
        ["supportedLDAPVersion", "1.3.6.1.4.1.1466.101.120.15", "string", true],
        ["supportedFeatures", "1.3.6.1.4.1.4203.1.3.5", "oid", true],
        ["vendorName", "1.3.6.1.1.4", "string", true],
    ] as [string, string, Syntax, boolean?][]
).map(([names, oid, syntax, operational = false]) => {
    const [name, ...aliases] = names.split(" ")
    return { name, aliases, oid, syntax, operational }
})

const located = ["seeAlso", "ou", "l", "description"]

export const classes: ObjectClass[] = [
    { name: "top", oid: "2.5.6.0", kind: "ABSTRACT", must: ["objectClass"], may: [] },
    { name: "organization", oid: "2.5.6.4", kind: "STRUCTURAL", must: ["o"], may: ["seeAlso", "l", "description"] },
    {
        name: "organizationalUnit",
        oid: "2.5.6.5",
        kind: "STRUCTURAL",
        must: ["ou"],
        may: ["seeAlso", "l", "description"],
    },
    { name: "organizationalRole", oid: "2.5.6.8", kind: "STRUCTURAL", must: ["cn"], may: ["roleOccupant", ...located] },
    {
        name: "device",
        oid: "2.5.6.14",
        kind: "STRUCTURAL",
        must: ["cn"],
        may: ["serialNumber", "owner", "o", ...located],
    },
    { name: "pkiUser", oid: "2.5.6.21", kind: "AUXILIARY", must: [], may: ["userCertificate"] },
    {
        name: "pkiCA",
        oid: "2.5.6.22",
        kind: "AUXILIARY",
        must: [],
        may: ["cACertificate", "certificateRevocationList", "authorityRevocationList"],
    },
]

const byName = new Map<string, AttributeType>()
for (const type of types)
    for (const name of [type.name, ...type.aliases, type.oid]) byName.set(name.toLowerCase(), type)

/** The attribute type of this name, alias or OID. */
export function typeOf(name: string): AttributeType | undefined {
    return byName.get(name.toLowerCase())
}

export function classOf(name: string): ObjectClass | undefined {
    const wanted = name.toLowerCase()
    return classes.find(each => each.name.toLowerCase() === wanted || each.oid === wanted)
}

/** Certificates and lists go as `;binary` and only so (RFC 4523 2.1, RFC 4522). */
export function isBinary(type: AttributeType): boolean {
    return type.syntax === "certificate" || type.syntax === "crl"
}

/** The name under which the directory shows an attribute. */
export function descriptionOf(type: AttributeType): string {
    return isBinary(type) ? `${type.name};binary` : type.name
}

/** An attribute description (RFC 4512 2.5) taken apart; `type` is undefined where the directory does not know it. */
export function parseDescription(description: string): { type?: AttributeType; options: string[] } {
    const [name, ...options] = description.toLowerCase().split(";")
    return { type: typeOf(name), options }
}

/** The type that a client writes to. Throws `LdapError`. */
export function writableType(description: string): AttributeType {
    const { type, options } = parseDescription(description)
    if (!type) throw new LdapError(ResultCode.undefinedAttributeType, `${description} is not known here`)
    const binary = isBinary(type)
    if (options.length !== (binary ? 1 : 0) || (binary && options[0] !== "binary"))
        throw new LdapError(
            ResultCode.undefinedAttributeType,
            `${description}: ${binary ? "only as ;binary" : "without options"}`,
        )
    // RFC 4512 3.4: no user modification
    if (type.operational) throw new LdapError(ResultCode.constraintViolation, `${type.name} is kept by the directory`)
    return type
}

/** A value in the form in which equal ones are the same string; undefined where the syntax refuses it. */
export function normalValue(type: AttributeType, value: Buffer): string | undefined {
    switch (type.syntax) {
        case "certificate":
        case "crl":
            return value.toString("hex")
        case "dn":
            try {
                return readDn(value.toString("utf8")).key
            } catch (error) {
                if (error instanceof LdapError) return undefined
                throw error
            }
        case "time": {
            const match = /^(\d{14})(Z|[.,]\d+Z)$/.exec(value.toString("latin1"))
            return match?.[1]
        }
        case "printable":
            if (!/^[A-Za-z0-9 '()+,\-./:=?]+$/.test(value.toString("latin1"))) return undefined
            return folded(value.toString("latin1"))
        case "oid": {
            const name = value.toString("latin1")
            return (classOf(name) ?? typeOf(name))?.oid ?? (/^\d+(\.\d+)+$/.test(name) ? name : undefined)
        }
        default: {
            const string = utf8(value)
            return string ? folded(string) : undefined
        }
    }
}

/** The value as a client may store it, or `LdapError` invalidAttributeSyntax. */
export function checkValue(type: AttributeType, value: Buffer): void {
    try {
        if (type.syntax === "certificate") parseCertificate(value)
        else if (type.syntax === "crl") parseCrl(value)
        else if (normalValue(type, value) !== undefined) return
        else throw new LdapError(ResultCode.invalidAttributeSyntax, `${type.name}: a value that its syntax refuses`)
    } catch (error) {
        if (!(error instanceof PlombError)) throw error
        throw new LdapError(ResultCode.invalidAttributeSyntax, `${type.name}: ${error.message}`)
    }
}

/** Preparation of caseIgnoreMatch (RFC 4518), for what names of parties need: compatibility form, case, blanks. */
export function folded(text: string): string {
    return text.normalize("NFKC").toLowerCase().replace(/\s+/g, " ").trim()
}

export function utf8(value: Buffer): string | undefined {
    try {
        return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(value)
    } catch {
        return undefined
    }
}

const syntaxOids: Record<Syntax, [string, string]> = {
    string: ["1.3.6.1.4.1.1466.115.121.1.15", "caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch"],
    printable: ["1.3.6.1.4.1.1466.115.121.1.44", "caseIgnoreMatch SUBSTR caseIgnoreSubstringsMatch"],
    oid: ["1.3.6.1.4.1.1466.115.121.1.38", "objectIdentifierMatch"],
    dn: ["1.3.6.1.4.1.1466.115.121.1.12", "distinguishedNameMatch"],
    time: ["1.3.6.1.4.1.1466.115.121.1.24", "generalizedTimeMatch ORDERING generalizedTimeOrderingMatch"],
    certificate: ["1.3.6.1.4.1.1466.115.121.1.8", "certificateExactMatch"],
    crl: ["1.3.6.1.4.1.1466.115.121.1.9", "certificateListExactMatch"],
}

/** AttributeTypeDescription (RFC 4512 4.1.2) of every type. */
export function typeDescriptions(): string[] {
    return types.map(({ name, aliases, oid, syntax, operational }) => {
        const names = aliases.length > 0 ? `( ${[name, ...aliases].map(each => `'${each}'`).join(" ")} )` : `'${name}'`
        const [syntaxOid, rules] = syntaxOids[syntax]
        const usage = operational ? " NO-USER-MODIFICATION USAGE directoryOperation" : ""
        return `( ${oid} NAME ${names} EQUALITY ${rules} SYNTAX ${syntaxOid}${usage} )`
    })
}

/** ObjectClassDescription (RFC 4512 4.1.1) of every class. */
export function classDescriptions(): string[] {
    return classes.map(({ name, oid, kind, must, may }) => {
        const list = (word: string, names: string[]) => (names.length > 0 ? ` ${word} ( ${names.join(" $ ")} )` : "")
        const superior = name === "top" ? "" : " SUP top"
        return `( ${oid} NAME '${name}'${superior} ${kind}${list("MUST", must)}${list("MAY", may)} )`
    })
}
