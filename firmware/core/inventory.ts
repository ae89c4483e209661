import type { Crl } from "./crl"
import { cut, join } from "./octets"
import { platform } from "./platform"

/**
 * What a device says it holds (GetProcParameter, path 81 81 C7 F0 20 FF): one child a thing, its value an octet string
 * kind U8, state U8, then
 * - of a certificate: SHA-256 of its DER, 32 octets;
 * - of a revocation list: the same, then the issuer's key identifier (length U8, octets), then cRLNumber (the rest);
 * - of a symmetric key: its id, never a value.
 * Numbers are part of the interface and never change.
 */
export enum Held {
    /** The device's own certificate. */
    Own = 1,
    CalibrationAuthority = 2,
    InstituteRoot = 3,
    Manufacturer = 4,
    SecurityManagement = 5,
    CaRoot = 6,
    RevocationList = 16,
    /** Key of a radio meter; id: the meter's. */
    MBusKey = 32,
    /** Keys of the display's and of the user's PLC link. */
    DisplayKey = 33,
    UserKey = 34,
    /** Verifier of the user's password. */
    UserPassword = 35,
}

/** Second octet of an item. What a slot does not hold is not listed. */
export enum HeldState {
    InForce = 0,
    /** Treated as absent. */
    Revoked = 1,
}

/** The item of a certificate. */
export function certificateItem(kind: Held, der: Buffer, state: HeldState): Buffer {
    return join([Buffer.from([kind, state]), platform().sha256([der])])
}

/** The item of a revocation list. */
export function listItem(crl: Crl): Buffer {
    const keyId = crl.authorityKeyId || Buffer.alloc(0)
    const digest = certificateItem(Held.RevocationList, crl.der, HeldState.InForce)
    return join([digest, Buffer.from([keyId.length]), keyId, crl.number])
}

const digestAt = 2
const keyIdAt = 34

/** An item read: `id` of a key, `issuerKeyId` and `number` of a list; empty where the kind has none. */
export interface HeldItem {
    kind: number
    state: number
    fingerprint: Buffer
    issuerKeyId: Buffer
    number: Buffer
    id: Buffer
}

/** Reads an item. Throws `OutOfRange` where it is too short for its kind. */
export function readItem(item: Buffer): HeldItem {
    const none: Buffer = Buffer.alloc(0)
    const head = cut(item, 0, digestAt)
    const read: HeldItem = {
        kind: head[0],
        state: head[1],
        fingerprint: none,
        issuerKeyId: none,
        number: none,
        id: none,
    }
    if (read.kind >= Held.MBusKey) read.id = cut(item, digestAt, item.length - digestAt)
    else read.fingerprint = cut(item, digestAt, 32)
    if (read.kind === Held.RevocationList) {
        const length = cut(item, keyIdAt, 1)[0]
        read.issuerKeyId = cut(item, keyIdAt + 1, length)
        const at = keyIdAt + 1 + length
        read.number = cut(item, at, item.length - at)
    }
    return read
}
