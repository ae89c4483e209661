import { KeyObject } from "node:crypto"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { Fn } from "../../firmware/core/access"
import { getListReq, getProcParameterReq, setProcParameterReq } from "../../firmware/core/sml-messages"
import { octetsLeaf } from "../../firmware/core/sml-parameter"
import { Role } from "../../firmware/core/x509-role"
import { Signer, type SignerOptions } from "../../tools/authority/signer.ts"
import { roleExtensionOf } from "../../tools/pki/role.ts"
import { x509 } from "../../tools/pki/x509.ts"
import { party, type TestParty, type TestPartyOptions } from "./certificates.ts"

/** The server id of a meter in tests. */
export const meterId = Buffer.from("0a01504c420100000001", "hex")

/** Signs with the key of a party of a PKI's folder, e.g. `security-management`. */
export function signerFrom(pki: string, folder: string, options: Partial<SignerOptions> = {}): Signer {
    const read = (name: string) => readFileSync(join(pki, folder, name), "utf8")
    return new Signer({ key: read("key.pem"), chain: read("chain.pem"), ...options })
}

/** Signs with the key of a party made for a test; its issuers behind it where a device does not hold them. */
export function signerOf(of: TestParty, issuers: TestParty[] = [], options: Partial<SignerOptions> = {}): Signer {
    const key = KeyObject.from(of.keys.privateKey)
    return new Signer({ key, chain: [of, ...issuers].map(each => each.der), ...options })
}

/** Bits of `rights` or of a row of the access table. */
export function bits(...numbers: (Fn | Role)[]): number {
    return numbers.reduce((sum: number, bit) => sum | (1 << bit), 0)
}

const { digitalSignature, keyCertSign, cRLSign } = x509.KeyUsageFlags

/** A party with a role: a certification authority that signs commands too, or an end entity. */
export function roleParty(
    role: Role | undefined,
    options: TestPartyOptions & { version?: number; rights?: number } = {},
): Promise<TestParty> {
    const { version = 1, rights = -1, more = [], ...rest } = options
    const extension = role === undefined ? [] : [roleExtensionOf({ role, version, rights })]
    return party({
        usage: rest.ca ? digitalSignature | keyCertSign | cRLSign : digitalSignature,
        ...rest,
        more: [...extension, ...more],
    })
}

/** Both trees with one party of each role; names are those of the PKI's folders where there are such. */
export async function commandParties() {
    const root = await party({ name: "Institute Root", more: [roleExtensionOf({ role: 0, version: 1, rights: -1 })] })
    const caRoot = await party({ name: "CA Root", more: [roleExtensionOf({ role: 20, version: 1, rights: -1 })] })
    const ca = (role: Role, issuer: TestParty, name: string) =>
        roleParty(role, { issuer, ca: true, pathLength: 0, name })
    const calibration = await ca(Role.calibrationAuthority, root, "Calibration")
    const manufacturer = await ca(Role.manufacturer, caRoot, "Manufacturer")
    const provider = await ca(Role.securityManagement, caRoot, "Provider")
    const under = (role: Role, issuer: TestParty) => roleParty(role, { issuer, ca: false })
    return {
        root,
        caRoot,
        calibration,
        manufacturer,
        provider,
        institute: await under(Role.institute, root),
        operator: await under(Role.operator, provider),
        dataCollection: await under(Role.dataCollection, provider),
        energyProvider: await under(Role.energyProvider, provider),
        localOperator: await under(Role.localOperator, provider),
        inspector: await under(Role.localOperator, calibration),
        customer: await under(Role.customer, provider),
        indicator: await under(Role.indicator, provider),
    }
}

export type CommandParties = Awaited<ReturnType<typeof commandParties>>

/** What a meter holds of them to judge commands. */
export function heldByMeter(parties: CommandParties): TestParty[] {
    return [parties.root, parties.calibration, parties.manufacturer, parties.provider]
}

let transactions = 0

function transactionId(): Buffer {
    const id = Buffer.alloc(4)
    id.writeUInt32BE(++transactions)
    return id
}

/** Requests to put into a command. */
export function readCurrent(server = meterId): Buffer {
    const id = transactionId()
    return getListReq(id, id, server, undefined)
}

export function getParameter(path: Buffer, server = meterId): Buffer {
    return getProcParameterReq(transactionId(), server, [path])
}

export function setParameter(path: Buffer, value: Buffer, server = meterId): Buffer {
    return setProcParameterReq(transactionId(), server, [path], octetsLeaf(path, value))
}
