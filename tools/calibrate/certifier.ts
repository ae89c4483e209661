import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Signer } from "../authority/signer.ts"
import { openKey } from "../pki/keys.ts"
import { splitPem } from "../verify/certificate.ts"
import { crlsOf, issuanceOf } from "./issuance.ts"
import type { Certifier } from "./station.ts"

/** The calibration authority of a PKI folder (`plomb pki init`); `passphrase` opens its key where it has one. */
export function certifierOf(pki: string, passphrase?: string): Certifier {
    const certificate = (folder: string) => readFileSync(join(pki, folder, "cert.pem"), "utf8")
    return {
        instituteRoot: certificate("institute-root"),
        calibrationAuthority: certificate("calibration-authority"),
        manufacturer: certificate("manufacturer"),
        ...issuanceOf(pki, "meter", "institute-root", passphrase),
        command: (serverId, requests) => {
            const folder = join(pki, "calibration-authority")
            const chain = readFileSync(join(folder, "chain.pem"), "utf8")
            // The counter that `plomb operator` uses too: a signer has one.
            const counterFile = join(folder, "command-counter.json")
            const signer = new Signer({ key: openKey(join(folder, "key.pem"), passphrase), chain, counterFile })
            const target = Buffer.from(serverId, "hex")
            const messages = requests.map((request, i) => request(target, Buffer.of(i + 1)))
            // The meter holds the certificate: it was calibrated with it.
            const file = signer.command(target, messages, { withCertificate: false })
            return { file, chain: splitPem(chain, "CERTIFICATE") }
        },
    }
}

/** The institute's revocation lists as they stand now, PEM, those under former keys included. */
export function instituteCrls(pki: string): string[] {
    return crlsOf(pki, ["institute-root", "calibration-authority"])
}
