import { readFileSync } from "node:fs"
import { join } from "node:path"
import { issueMeterCertificate } from "../pki/issue.ts"
import type { Certifier } from "./station.ts"

/** The calibration authority of a PKI folder (`plomb pki init`); `passphrase` opens its key where it has one. */
export function certifierOf(pki: string, passphrase?: string): Certifier {
    const certificate = (party: string) => readFileSync(join(pki, party, "cert.pem"), "utf8")
    return {
        instituteRoot: certificate("institute-root"),
        calibrationAuthority: certificate("calibration-authority"),
        manufacturer: certificate("manufacturer"),
        certify: async (request, serverId) => {
            const issued = await issueMeterCertificate(pki, request, serverId, { passphrase })
            return readFileSync(join(issued.folder, "cert.pem"), "utf8")
        },
    }
}

/** The institute's revocation lists as they stand now, PEM. */
export function instituteCrls(pki: string): string[] {
    return ["institute-root", "calibration-authority"].map(party => readFileSync(join(pki, party, "crl.pem"), "utf8"))
}
