/** The MUC's FRAM map (MB85RC1MT, 131,072 octets); regions start on 4 KB boundaries. */

/** Meters found on the RS-485 line: one switched record. */
export const metersAt = 0x00000
/** Most meters on one line: the unit loads of RS-485. */
export const mostMeters = 32
