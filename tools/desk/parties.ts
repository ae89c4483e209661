import { readFileSync } from "node:fs"
import { join } from "node:path"
import { crlsOf } from "../calibrate/issuance.ts"
import type { TlsSettings } from "../tls/settings.ts"

/** Who a party of a PKI folder ("operator", "directory", "concentrators/ID") is on TLS connections, and whom it believes. */
export function partyTls(pki: string, party: string): TlsSettings {
    const text = (...path: string[]) => readFileSync(join(pki, ...path), "utf8")
    return {
        key: text(party, "key.pem"),
        chain: text(party, "chain.pem"),
        ca: text("ca-root", "cert.pem"),
        crls: () => crlsOf(pki, ["ca-root", "manufacturer", "security-management"]),
    }
}
