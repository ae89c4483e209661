/**
 * Tables of EN 13757-3 clause 6.4: value information. A row is four octets: first code; which low bits of the code count up the power of ten
 * or the unit of time, with the flags below; unit (the DLMS code of IEC 62056-6-2, or one of the own ones below); power of ten, signed. A row reaches to the next.
 */

/** The low bits count seconds, minutes, hours and days. */
export const VIF_TIME = 0x10
/** The value is a point in time. */
export const VIF_POINT = 0x20
/** A binary value has no sign. */
export const VIF_UNSIGNED = 0x40
/** The low bits count hours, days, months and years. */
export const VIF_LONG_TIME = 0x80

// Units from 128 on, which DLMS has not: m3/min, m3/s, kg/h, calories, cubic feet, US gallons, gallons a minute, gallons an hour, degrees
// Fahrenheit, bauds, bit times, 1/4096.

/** Table 10: the VIF. */
const primary = hex`
    00 07 1e fd  08 07 19 00  10 07 0d fa  18 07 14 fd  20 13 07 00  24 13 07 00  28 07 1b fd  30 07 1a 00
    38 07 0f fa  40 07 80 f9  48 07 81 f7  50 07 82 fd  58 03 09 fd  5c 03 09 fd  60 03 34 fd  64 03 09 fd
    68 03 18 fd  6c 20 ff 00  6d 20 ff 00  6e 00 ff 00  6f 00 ff 00  70 13 07 00  74 13 07 00  78 40 ff 00
    79 40 ff 00  7a 40 ff 00  7b 00 ff 00  7c 00 ff 00  7d 00 ff 00  7e 00 ff 00  7f 00 ff 00`

/** Table 14: behind VIF FB. */
const extensionB = hex`
    00 01 1e 05  02 01 20 03  04 01 1f 03  06 00 ff 00  08 01 19 08  0a 00 ff 00  0c 03 83 05  10 01 0d 02
    12 00 ff 00  14 03 1d 00  18 01 14 05  1a 01 38 ff  1c 00 ff 00  20 00 84 00  21 00 84 ff  22 00 85 ff
    23 00 85 00  24 00 86 fd  25 00 86 00  26 00 87 00  27 00 ff 00  28 01 1b 05  2a 00 08 ff  2b 00 08 ff
    2c 03 2c fd  30 01 1a 08  32 00 ff 00  34 03 1c 00  38 00 ff 00  58 03 88 fd  5c 03 88 fd  60 03 88 fd
    64 03 88 fd  68 40 8b 00  69 40 1b 00  6a 40 8b 00  6b 40 8b 00  6c 40 8b 00  6d 40 8b 00  6e 40 8b 00
    6f 00 ff 00  70 03 88 fd  74 03 09 fd  78 07 1b fd`

/** Table 12: behind VIF FD. */
const extensionD = hex`
    00 03 0a fd  04 03 0a fd  08 40 ff 00  09 40 ff 00  0a 40 ff 00  0b 40 ff 00  0c 40 ff 00  0d 40 ff 00
    0e 40 ff 00  0f 40 ff 00  10 40 ff 00  11 40 ff 00  12 40 ff 00  13 40 ff 00  14 40 ff 00  15 40 ff 00
    16 40 ff 00  17 40 ff 00  18 40 ff 00  19 40 ff 00  1a 40 ff 00  1b 40 ff 00  1c 40 89 00  1d 40 8a 00
    1e 40 ff 00  1f 40 ff 00  20 40 ff 00  21 40 ff 00  22 40 ff 00  23 40 ff 00  24 13 07 00  28 00 02 00
    29 00 01 00  2a 40 ff 00  2b 40 07 00  2c 13 07 00  30 20 ff 00  31 13 07 00  34 13 07 00  38 00 02 00
    39 00 01 00  3a 00 ff 00  3b 00 ff 00  3c 13 07 00  40 0f 23 f7  50 0f 21 f4  60 40 ff 00  61 40 ff 00
    62 40 ff 00  63 40 ff 00  64 40 ff 00  65 20 ff 00  66 40 ff 00  67 40 ff 00  68 83 05 00  6c 83 05 00
    70 20 ff 00  71 00 46 00  72 40 ff 00  73 40 ff 00  74 40 04 00  75 40 ff 00  76 00 ff 00  77 00 ff 00`

/** Table 13: behind VIF FD FD. */
const extensionDD = hex`00 40 ff 00  01 00 ff 00  02 40 02 00  03 40 01 00  04 00 ff 00`

/** Where the row of `code` (7 bits) of table 0 (VIF), 1 (FB), 2 (FD) or 3 (FD FD) begins in `vifTable(table)`. */
export function vifRow(table: number, code: number): number {
    const rows = vifTable(table)
    let at = 0
    while (at + 4 < rows.length && rows[at + 4] <= code) at += 4
    return at
}

export function vifTable(table: number): Buffer {
    return table === 0 ? primary : table === 1 ? extensionB : table === 2 ? extensionD : extensionDD
}

/** Octets of data for each data field of a DIF (table 4); D is counted by the data itself. */
export const difLengths = hex`00 01 02 03 04 04 06 08 00 01 02 03 04 00 06 00`
