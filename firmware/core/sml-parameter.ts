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

/** First request of a signed command: its value is the header (`command.ts`). */
export const commandPath = hex`8181c7f030ff`
/** First message of a signed answer (`command-answer.ts`). */
export const answerPath = hex`8181c7f031ff`
/** Parameters of measuring; calibration constants; parameters that concern no measuring. */
export const meteringPath = hex`8181c7f040ff`
export const calibrationPath = hex`8181c7f041ff`
export const labelPath = hex`8181c7f042ff`
/** The access table, whole (`access.ts`). */
export const accessPath = hex`8181c7f043ff`
/** Orders: another provider, no provider, erase, steps of a key rollover. */
export const changeProviderPath = hex`8181c7f044ff`
export const deleteProviderPath = hex`8181c7f045ff`
export const erasePath = hex`8181c7f046ff`
export const rolloverPath = hex`8181c7f047ff`
/** Addresses and symmetric keys of a MUC. */
export const addressesPath = hex`8181c7f048ff`
export const keysPath = hex`8181c7f049ff`
/** Logbooks (`logbook.ts`): read, with the first number wanted as second element of the path (00 00 and U32 BE); reset with the number last seen. */
export const metrologicalLogbookPath = hex`8181c7f050ff`
export const metrologicalResetPath = hex`8181c7f051ff`
export const logbookPath = hex`8181c7f052ff`
export const logbookResetPath = hex`8181c7f053ff`
/** Identification and checksums of the software, in a signed answer. */
export const attestationPath = hex`8181c7f060ff`
/**
 * Software in slots (firmware/meter/README.md): read; a package announced; a block of it (two octets of number, octets); put on trial and
 * confirmed by its SHA-256; back to what ran before.
 */
export const softwarePath = hex`8181c7f061ff`
export const announcePath = hex`8181c7f062ff`
export const blockPath = hex`8181c7f063ff`
export const activatePath = hex`8181c7f064ff`
export const confirmPath = hex`8181c7f065ff`
export const rollbackPath = hex`8181c7f066ff`
/** Meters of a MUC's field buses (firmware/muc/README.md). */
export const fieldMetersPath = hex`8181c7f070ff`

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
