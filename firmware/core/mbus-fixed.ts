import { MBUS_DECIMAL, MBUS_INTEGER, MbusRecords } from "./mbus-records"
import type { MbusTelegram } from "./mbus-telegram"

/** First unit code of EN 1434-3 table 5 that counts up powers of ten of: VIF row, unit, first power of ten. */
const units = hex`02 00 1e 00  0b 08 19 03  14 28 1b 00  1d 30 1a 03  26 10 0d fa  2f 38 0f fa  38 58 09 fd  39 6e ff 00  3a 6f ff 00`

/** Counter `which` (0, 1) of a telegram with the fixed data structure, as a record; "same, but historic" (3E) stands as storage 1 of the first counter's unit. */
export function fixedRecord(telegram: MbusTelegram, which: number): MbusRecords {
    const octets = telegram.octets
    const record = new MbusRecords(octets, telegram.end, telegram.end)
    const own = octets[telegram.at + 1 + which] & 63
    const code = own === 0x3e ? octets[telegram.at + 1] & 63 : own
    // Status bit 1: the counters are those of the due date.
    record.storage = own === 0x3e || (telegram.status & 2) !== 0 ? 1 : 0
    record.table = 0
    record.code = record.quantity = 0x6f
    for (let i = 0; i < units.length; i += 4)
        if (code >= units[i]) {
            record.code = record.quantity = units[i + 1]
            record.unit = units[i + 2]
            record.exponent = units.getAt(i + 3, "i8") + code - units[i]
        }
    if (record.quantity === 0x6f) record.exponent = 0
    record.start = telegram.at + 3 + 4 * which
    record.end = record.start + 4
    record.extensionsAt = record.start
    record.readAs((telegram.status & 1) === 0 ? MBUS_DECIMAL : MBUS_INTEGER, record.start, 4)
    return record
}
