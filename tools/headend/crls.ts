import { derOfPem, readCertificate, readCrl } from "../verify/certificate.ts"
import { DerDamage } from "../verify/der.ts"

/** Those of the revocation lists whose issuer is one of the certificates; all PEM. */
export function crlsOf(crls: readonly string[], certificates: readonly string[]): string[] {
    const names = read(certificates, pem => readCertificate(derOfPem(pem, "CERTIFICATE")).subject).map(
        ([, name]) => name,
    )
    const lists = read(crls, pem => readCrl(derOfPem(pem, "X509 CRL")).issuer)
    return lists.filter(([, issuer]) => names.some(name => name.equals(issuer))).map(([pem]) => pem)
}

/** What cannot be read says nothing here; the judge names it. */
function read(pems: readonly string[], name: (pem: string) => Buffer): [string, Buffer][] {
    return pems.flatMap(pem => {
        try {
            return [[pem, name(pem)] as [string, Buffer]]
        } catch (error) {
            if (error instanceof DerDamage) return []
            throw error
        }
    })
}
