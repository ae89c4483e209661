/**
 * The meter's FRAM map (MB85RC1MT, 131,072 octets). Regions start on 4 KB boundaries so that a dump is
 * easy to read; nothing else in the image names an
 * address. 0x00800 to 0x009FF belong to `hal/keys-software.ts` (two keys), where the board has no secure element.
 */

/** Identity, calibration constants, progress of calibration: one switched record. */
export const identityAt = 0x00000
export const identitySize = 128
/** Time quality, when the time was last set, how far it was corrected since: one switched record. */
export const timeAt = 0x00400
export const timeSize = 16
/** Parameters that commands set: one switched record. */
export const parametersAt = 0x00500
/** Which key and which slots of the trust store are in force: one switched record. */
export const placesAt = 0x00600
/** Keys of a board without a secure element. */
export const custodyAt = 0x00800
export const custodyEnd = 0x00a00
/** The access table, and the counters of those who sign commands. */
export const accessAt = 0x00a00
export const signersAt = 0x00c00
export const signersEnd = 0x01000

/** Energy registers and the metrological module's state, one record a second. */
export const journalAt = 0x01000
export const journalCount = 32
export const journalSize = 108

/** Certificates and revocation lists, one slot each (`TrustSlot`). */
export const trustAt = 0x02000
export const trustSlotSize = 0x400
export const trustSlots = 8

/**
 * What each slot of the trust store holds; design: the meter holds these certificates and no others. CERT_EM and CERT_SM each have
 * a second slot, into which the next one is written; `Places` says which counts.
 */
export enum TrustSlot {
    Meter = 0,
    CalibrationAuthority = 1,
    InstituteRoot = 2,
    Manufacturer = 3,
    SecurityManagement = 4,
    SecurityManagementNext = 5,
    MeterNext = 6,
}

/** The metrological logbook (99 entries, 8 KB) and the other one, a ring (49 entries, 4 KB). */
export const metrologicalAt = 0x0e000
export const metrologicalEntries = 99
export const logbookAt = 0x10000
export const logbookEntries = 49

/**
 * Revocation lists, at most 1,018 octets each: of the CA, the provider, the institute's root and the calibration authority, two slots
 * each, the newer one counts.
 */
export const listsOfRevokedAt = 0x11000
export const listsOfRevokedSlots = 8

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

/**
 * Images that have no slots for software (`master.ts`) keep at their end what they know of the meters they read. Each signed list is longer then, so the
 * store has room for fewer.
 */
export const subMetersAt = 0x1f000
export const subMeterSpace = 0x400
export const subMeterSize = 280
export const mostSubMeters = 4
export const masterListSlotSize = 0x900
export const masterListSlots = 3

/** Software: what the slots hold, the delivery under way, the floor, the packages (`firmware/core/slots.ts`, `floor.ts`). */
export const softwareAt = 0x13000
export const receivingAt = 0x13400
export const floorAt = 0x13800
export const packagesAt = 0x14000
