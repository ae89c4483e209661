import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { verifyChain } from "../../firmware/core/chain"
import { parseCrl } from "../../firmware/core/crl"
import { Code, PlombError } from "../../firmware/core/errors"
import { parseCertificate } from "../../firmware/core/x509"
import { Authority, readRegister } from "../pki/authority.ts"
import { readCertificates, serialOf } from "../pki/certificates.ts"
import { locked, PkiError } from "../pki/files.ts"
import { issueDevice } from "../pki/issue.ts"
import { newKey } from "../pki/keys.ts"
import { roles } from "../pki/parties.ts"
import { pem, readPem } from "../pki/pem.ts"
import { publicKeyOf } from "../pki/x509.ts"

/** How devices of one kind get their certificate. */
export interface Issuance {
    /** Throws what `certify` would throw or the device would refuse, before anything final is done. */
    rehearse(serverId: string, now: Date): Promise<void>
    /** The certificate in force for this device, PEM, if there is one. */
    issued(serverId: string): string | undefined
    /** Certifies the key of a PKCS#10 request after checking it; the same request gives the same certificate again. */
    certify(request: Buffer, serverId: string): Promise<string>
}

/**
 * The issuer of devices of `role` ("meter", "muc") in a PKI folder (`plomb pki init`), who stands under `root`;
 * `passphrase` opens its key where it has one.
 */
export function issuanceOf(pki: string, role: "meter" | "muc", root: string, passphrase?: string): Issuance {
    const party = roles[role]
    const issuer = join(pki, party.issuer)
    return {
        issued: serverId => {
            const path = join(pki, party.folder, serverId, "cert.pem")
            if (!existsSync(path)) return undefined
            const serial = serialOf(readCertificates(path)[0])
            if (readRegister(issuer).issued.some(each => each.serial === serial && each.revoked)) return undefined
            return readFileSync(path, "utf8")
        },
        rehearse: async (serverId, now) => {
            // A certificate for a key that is thrown away: it is in no register and leaves no trace.
            const authority = await locked(pki, async () => Authority.open(issuer, passphrase))
            const publicKey = publicKeyOf(newKey().key)
            const trial = await authority.certify({ party, commonName: serverId, publicKey, now })
            const parse = (der: ArrayBuffer) => parseCertificate(Buffer.from(der))
            try {
                verifyChain({
                    chain: [trial, ...authority.chain].map(each => parse(each.rawData)),
                    anchors: readCertificates(join(pki, root, "cert.pem")).map(each => parse(each.rawData)),
                    crls: crlsOf(pki, [root, party.issuer]).map(text => parseCrl(readPem(text)[0].der)),
                    crlRequired: true,
                    atSeconds: Math.floor(now.getTime() / 1000),
                })
            } catch (error) {
                if (!(error instanceof PlombError)) throw error
                const advice =
                    error.code === Code.CrlStale ? `: sign new revocation lists with plomb pki crl ${pki}` : ""
                throw new PkiError(
                    `a certificate of ${issuer} would not be accepted (E${error.code} ${Code[error.code]})${advice}`,
                )
            }
        },
        certify: async (request, serverId) => {
            const { folder } = await issueDevice(pki, role, request, serverId, { passphrase })
            return readFileSync(join(folder, "cert.pem"), "utf8")
        },
    }
}

/** The revocation lists of these parties as they stand now, PEM, those under former keys included. */
export function crlsOf(pki: string, parties: string[]): string[] {
    return parties
        .flatMap(party => readPem(readFileSync(join(pki, party, "crl.pem"), "utf8")))
        .map(({ label, der }) => pem(label, der))
}
