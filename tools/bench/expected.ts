import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Held } from "../../firmware/core/inventory.ts"
import { readPem } from "../pki/pem.ts"
import type { Holding } from "./holdings.ts"
import { fingerprintOf } from "./scan.ts"

/**
 * What stands in each device after initialisation: the table of design.md section 6, with the fingerprints of one PKI.
 * Private keys are not in it, as no device tells them; that they are where they belong is shown apart.
 */

/** A meter's: certificates and symmetric keys. `radio` are the addresses (hex) of its radio sub-meters. */
export function meterHoldings(pki: string, serverId: string, radio: readonly string[] = []): Holding[] {
    return [
        certificate(pki, Held.Own, "CERT_EM", `meters/${serverId}`),
        certificate(pki, Held.CalibrationAuthority, "its issuer, calibration authority", "calibration-authority"),
        certificate(pki, Held.InstituteRoot, "institute root", "institute-root"),
        certificate(pki, Held.Manufacturer, "CERT_MFC", "manufacturer"),
        certificate(pki, Held.SecurityManagement, "CERT_SM", "security-management"),
        ...radioKeys(radio),
    ]
}

/** A MUC's. Its chain is CERT_MUC, CERT_MFC, CA root. */
export function mucHoldings(pki: string, serverId: string, radio: readonly string[]): Holding[] {
    return [
        certificate(pki, Held.Own, "CERT_MUC", `mucs/${serverId}`),
        certificate(pki, Held.Manufacturer, "CERT_MFC", "manufacturer"),
        certificate(pki, Held.CaRoot, "CA root", "ca-root"),
        certificate(pki, Held.InstituteRoot, "institute root", "institute-root"),
        certificate(pki, Held.SecurityManagement, "CERT_SM", "security-management"),
        ...radioKeys(radio),
        { kind: Held.DisplayKey, what: "KEY1PLC", id: "" },
        { kind: Held.UserKey, what: "KEY2PLC", id: "" },
        { kind: Held.UserPassword, what: "verifier of the user's password", id: "" },
    ]
}

/** A concentrator's: CERT_CN with its chain up to the CA root, which is its anchor. */
export function concentratorHoldings(pki: string, serverId: string): Holding[] {
    return [
        certificate(pki, Held.Own, "CERT_CN", `concentrators/${serverId}`),
        certificate(pki, Held.Manufacturer, "its issuer, CERT_MFC", "manufacturer"),
        certificate(pki, Held.CaRoot, "CA root", "ca-root"),
    ]
}

/** The lists that a device holds of these issuers (folders of the PKI), those of today. */
export function listHoldings(pki: string, issuers: readonly string[]): Holding[] {
    return issuers.map(issuer => ({
        kind: Held.RevocationList,
        what: `revocation list of ${issuer}`,
        id: fingerprintOf(derIn(pki, issuer, "crl.pem")),
    }))
}

function certificate(pki: string, kind: Held, what: string, party: string): Holding {
    return { kind, what, id: fingerprintOf(derIn(pki, party, "cert.pem")) }
}

function radioKeys(addresses: readonly string[]): Holding[] {
    return addresses.map(id => ({ kind: Held.MBusKey, what: `K_MBus of ${id}`, id }))
}

function derIn(pki: string, party: string, file: string): Buffer {
    return readPem(readFileSync(join(pki, party, file), "utf8"))[0].der
}
