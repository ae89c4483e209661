import { readFileSync } from "node:fs"
import { join } from "node:path"
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
    }
}

/** The institute's revocation lists as they stand now, PEM, those under former keys included. */
export function instituteCrls(pki: string): string[] {
    return crlsOf(pki, ["institute-root", "calibration-authority"])
}
