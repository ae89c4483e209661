import { createPublicKey, X509Certificate } from "node:crypto"
import { readFileSync, statSync } from "node:fs"
import { parseCrl } from "../../firmware/core/crl.ts"
import { Held, type HeldItem, HeldState } from "../../firmware/core/inventory.ts"
import { parseCertificate } from "../../firmware/core/x509.ts"
import { Role, readRole } from "../../firmware/core/x509-role.ts"
import { type PemObject, pem, readPem } from "../pki/pem.ts"
import { filesBelow } from "./memories.ts"
import { fingerprintOf } from "./scan.ts"

/** What lies in the folder of a concentrator, the device that has files for a memory. */
export interface ConcentratorFiles {
    /** Each thing once, however many files have it. */
    items: HeldItem[]
    /** Does its one private key belong to its one certificate, in a file that only its owner reads? Else what is wrong. */
    key: string
    /** All octets that are not PEM files: what it keeps for its providers. */
    rest: Buffer
}

const kinds = new Map<Role, Held>([
    [Role.concentrator, Held.Own],
    [Role.manufacturer, Held.Manufacturer],
    [Role.certificationAuthority, Held.CaRoot],
    [Role.institute, Held.InstituteRoot],
    [Role.calibrationAuthority, Held.CalibrationAuthority],
    [Role.securityManagement, Held.SecurityManagement],
])

/** Reads everything below a folder. */
export function readConcentrator(folder: string): ConcentratorFiles {
    const paths = filesBelow(folder)
    const items = new Map<string, HeldItem>()
    const keys: { path: string; object: PemObject }[] = []
    const rest: Buffer[] = []
    let own: Buffer | undefined
    for (const path of paths) {
        const content = readFileSync(path)
        const objects = readPem(content.toString("latin1"))
        if (objects.length === 0) rest.push(content)
        for (const object of objects) {
            const { label, der } = object
            if (label === "CERTIFICATE") {
                const item = certificateItem(der)
                if (item.kind === Held.Own) own = der
                items.set(fingerprintOf(der), item)
            } else if (label === "X509 CRL") items.set(fingerprintOf(der), listItem(der))
            else keys.push({ path, object })
        }
    }
    return { items: [...items.values()], key: judgeKey(keys, own), rest: Buffer.concat(rest) }
}

function judgeKey(keys: { path: string; object: PemObject }[], own: Buffer | undefined): string {
    if (keys.length !== 1 || !own) return `${keys.length} private keys`
    const [{ path, object }] = keys
    if ((statSync(path).mode & 0o077) !== 0) return "a private key that others may read"
    const given = createPublicKey(pem(object.label, object.der)).export({ type: "spki", format: "der" })
    const wanted = new X509Certificate(own).publicKey.export({ type: "spki", format: "der" })
    return given.equals(wanted) ? "" : "the private key of another certificate"
}

/** A certificate whose role has no place in a device's inventory counts as the concentrator's own, and so as one too many. */
function certificateItem(der: Buffer): HeldItem {
    const kind = kinds.get(readRole(parseCertificate(der))?.role ?? -1) ?? Held.Own
    return { ...nothing(kind), fingerprint: Buffer.from(fingerprintOf(der), "hex") }
}

function listItem(der: Buffer): HeldItem {
    const { number, authorityKeyId } = parseCrl(der)
    return {
        ...nothing(Held.RevocationList),
        fingerprint: Buffer.from(fingerprintOf(der), "hex"),
        issuerKeyId: authorityKeyId ?? Buffer.alloc(0),
        number,
    }
}

function nothing(kind: Held): HeldItem {
    const none = Buffer.alloc(0)
    return { kind, state: HeldState.InForce, fingerprint: none, issuerKeyId: none, number: none, id: none }
}
