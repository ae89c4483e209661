/**
 * The MUC's FRAM map (MB85RC1MT, 131,072 octets); regions start on 4 KB boundaries. 0x00800 to 0x009FF belong to
 * `hal/keys-software.ts`, where the board has no secure element.
 */

/** Meters found on the RS-485 line: one switched record. */
export const metersAt = 0x00000
/** Most meters on one line: the unit loads of RS-485. */
export const mostMeters = 32

/** Identity, and how far installation has come (4 KB). */
export const identityAt = 0x01000

/** Certificates, one slot each. */
export const trustAt = 0x02000
export const trustSlotSize = 0x400
export const trustSlots = 8

/** What each slot of the trust store holds; design: the MUC holds these certificates and no others. */
export enum TrustSlot {
    Muc = 0,
    Manufacturer = 1,
    CaRoot = 2,
    InstituteRoot = 3,
    /** The provider's stands here or in the slot behind it (`Holdings`). */
    SecurityManagement = 4,
}

/** Symmetric keys: the first 30 (4 KB), and 70 more (0x4000 to 0x645E). */
export const moreKeysAt = 0x04000
export const symmetricKeysAt = 0x08000

/** Revocation lists: a slot for each issuer and a spare one, into which the next list is written while the old one stands. */
export const crlsAt = 0x09000
export const crlSlotSize = 0x1000
export const crlSlots = 6

/** The last judgement over a peer of the uplink, and over the directory. */
export const judgementsAt = 0x0f000
export const judgementSize = 0x40
export const judgements = 2

/** Which slot is the provider's, and the key of one that was deleted. */
export const providerAt = 0x0f200
/** Addresses, and the label of the place. */
export const addressesAt = 0x0f300
export const labelAt = 0x0f500

/** Access table. */
export const accessAt = 0x10000
/** Counters of signers: they outlast an erase, so that no command comes again. */
export const signersAt = 0x10400
export const signersEnd = 0x11000

/** Wrong passwords in a row: 11 octets. */
export const lockoutAt = 0x16100

/** PLC links (`muc_plc`): the display's and the user's, 191 octets each, and the register at the beginning of the display's day. */
export const displayLinkAt = 0x16200
export const userLinkAt = 0x16300
export const displayDayAt = 0x16400
/** The MUC's own invocation counter of DLMS: 17 octets. */
export const dlmsCounterAt = 0x16500

/**
 * Software (`muc_modules`, `SoftwareArea`). Packages lie where other images have their lists: what those leave of one fails its check before it starts.
 */
export const softwareAt = 0x16540

/** Signed lists kept for the customer, a place each: where an image with field buses has its telegrams. No image has both. */
export const keptAt = 0x1ac00
export const keptSize = 0x400
export const keptPlaces = 18

/** Logbook, a ring. */
export const logbookAt = 0x11000
export const logbookEntries = 250

/**
 * Certificates and lists that come in parts over the uplink: CERT_SM, the CA's certificate, a list. Octets that prove themselves when a
 * command names them, so they may outlast a power cut; in the heap they would be its largest piece. From here to the end: the part
 * itself refuses more than these 3 KB.
 */
export const broughtAt = 0x1f400

/**
 * Meters of the field buses (`muc_field`): who they are, when they are read (`BusSchedule`), the list of telegrams that is being filled
 * and the one being signed, and the newest signed lists, a ring.
 */
export const fieldMetersAt = 0x06800
export const mostFieldMeters = 250
export const fieldPlanAt = 0x17000
export const openListsAt = 0x1a000
export const openListSize = 0x600
export const telegramListsAt = 0x1ac00
export const telegramListSize = 0x800
export const telegramLists = 9
