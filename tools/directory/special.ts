import { type Dn, readDn } from "./dn.ts"
import type { Entry } from "./entry.ts"
import { classDescriptions, typeDescriptions } from "./schema.ts"
import { suffix } from "./tree.ts"

/** "Who am I?" (RFC 4532), the one extended operation. */
export const whoAmI = "1.3.6.1.4.1.4203.1.11.3"

const subschema = readDn("cn=Subschema")

/** The root DSE (RFC 4512 5.1) and the subschema (RFC 4512 4.2), which are in no naming context. */
export function specialEntry(dn: Dn, external: boolean): Entry | undefined {
    if (dn.rdns.length === 0)
        return entry(dn, {
            objectClass: ["top"],
            namingContexts: [suffix.text],
            subschemaSubentry: [subschema.text],
            supportedLDAPVersion: ["3"],
            supportedExtension: [whoAmI],
            // RFC 3673: "+" asks for the operational attributes
            supportedFeatures: ["1.3.6.1.4.1.4203.1.5.1"],
            ...(external && { supportedSASLMechanisms: ["EXTERNAL"] }),
            vendorName: ["Plomb"],
        })
    if (dn.key !== subschema.key) return undefined
    return entry(dn, {
        objectClass: ["top"],
        cn: ["Subschema"],
        attributeTypes: typeDescriptions(),
        objectClasses: classDescriptions(),
    })
}

function entry(dn: Dn, attributes: Record<string, string[]>): Entry {
    const values = Object.entries(attributes).map(
        ([name, list]) => [name, list.map(each => Buffer.from(each))] as const,
    )
    return { dn, attributes: new Map(values) }
}
