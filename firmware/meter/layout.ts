/**
 * The meter's FRAM map (MB85RC1MT, 131,072 octets). Regions start on 4 KB boundaries so that a dump is
 * easy to read; nothing else in the image names an
 * address. 0x00800 to 0x009FF belong to `hal/keys-software.ts`, where the board has no secure element.
 */

/** Identity, calibration constants, progress of calibration: one switched record. */
export const identityAt = 0x00000
export const identitySize = 128
/** Time quality and when the time was last set: one switched record. */
export const timeAt = 0x00400
export const timeSize = 16

/** Energy registers, one record a second. */
export const journalAt = 0x01000
export const journalCount = 64
export const journalSize = 56

/** Certificates and revocation lists, one slot each (`TrustSlot`). */
export const trustAt = 0x02000
export const trustSlotSize = 0x400
export const trustSlots = 8

/** What each slot of the trust store holds; design: the meter holds these certificates and no others. */
export enum TrustSlot {
    Meter = 0,
    CalibrationAuthority = 1,
    InstituteRoot = 2,
    Manufacturer = 3,
    SecurityManagement = 4,
}

/** Revocation lists, at most 1,018 octets each: of the CA and of the provider, two slots each, the newer one counts. */
export const listsOfRevokedAt = 0x11000

/** Head of the hash chain: pagination and digest of each signed list, newest last. */
export const chainAt = 0x04000
export const chainCount = 16
export const chainSize = 40
/** Octets of the newest signed lists, so that one lost on the way can be had again unchanged. */
export const listsAt = 0x04400
export const listSlotSize = 0x300
export const listSlots = 9

/** Load profile: signed 15-minute rows. */
export const profileAt = 0x06000
export const profileCount = 96
export const profileSize = 332
