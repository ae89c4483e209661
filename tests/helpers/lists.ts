import type { Role } from "../../firmware/core/x509-role.ts"
import { x509 } from "../../tools/pki/x509.ts"
import { crlOf, type TestParty } from "./certificates.ts"

/** The role extension, version 1 and no rights. */
export function roleOf(role: Role): x509.Extension {
    return new x509.Extension("1.3.6.1.3.20556.1", false, new Uint8Array([0x30, 6, 2, 1, role, 2, 1, 1]))
}

/** A revocation list of `issuer` with this number (0 to 127). */
export async function listOf(
    issuer: TestParty,
    number: number,
    revoked: TestParty[] = [],
    options: { thisUpdate?: Date; nextUpdate?: Date; signer?: TestParty } = {},
): Promise<Buffer> {
    return crlOf(issuer, revoked, {
        ...options,
        extensions: [
            await x509.AuthorityKeyIdentifierExtension.create(issuer.keys.publicKey),
            new x509.Extension("2.5.29.20", false, new Uint8Array([2, 1, number])),
        ],
    })
}
