import { SML_OCTETS, SML_UNSIGNED, type SmlValue } from "./sml-write"

/** Parameter paths that meters and MUCs of this project answer (GetProcParameter); 6-octet OBIS codes. */
export const identificationPath = hex`8181c78201ff`
export const publicKeyPath = hex`8181c78205ff`
export const statusPath = hex`810060050000`
export const timePath = hex`8181c78810ff`
export const activeMetersPath = hex`81811106ffff`
export const certificateChainPath = hex`8181c7f010ff`
/** What the device holds (`inventory.ts`). */
export const inventoryPath = hex`8181c7f020ff`
/** Where certificates and revocation lists are put, in parts (SetProcParameter; firmware/meter/README.md). */
export const certificatesPath = hex`8181c7f021ff`

/** A tree without children whose value is an octet string. */
export function octetsLeaf(name: Buffer, value: Buffer): SmlValue[] {
    return [name, [1, [SML_OCTETS, value]], undefined]
}

/** A tree without children whose value is an Unsigned32. */
export function numberLeaf(name: Buffer, value: number): SmlValue[] {
    return [name, [1, [SML_UNSIGNED + 4, value]], undefined]
}

/** A tree with children and no value of its own. */
export function branch(name: Buffer, children: SmlValue[][]): SmlValue[] {
    return [name, undefined, children]
}

/** Name of the `index`-th child of the list `name`: the list's own with the last octet counted from 1. */
export function childName(name: Buffer, index: number): Buffer {
    return Buffer.from([name[0], name[1], name[2], name[3], name[4], index & 0xff])
}
