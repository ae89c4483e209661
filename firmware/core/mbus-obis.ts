import { MBUS_DECIMAL, MBUS_INTEGER, MBUS_REAL, MBUS_TIME, type MbusRecords } from "./mbus-records"

/** Value group A of OBIS for each device type (EN 13757-7 table 13): electricity 1, heat cost allocator 4, cooling 5, heat 6, gas 7, cold water 8, hot water 9. */
const media = hex`02 01  03 07  04 06  06 09  07 08  08 04  0a 05  0b 05  0c 06  0d 06  15 09  16 08  17 09`

/**
 * Value groups C and D (OMS specification volume 2 annex A, EN 13757-1 clause 6). A row: A, table of the VIF, quantity, C, D; D for maxima is D - 1.
 */
const rows = hex`
    01 00 00 01 08  01 01 00 01 08  01 01 02 03 08  01 01 04 09 08  01 00 28 01 07  01 01 28 01 07  01 01 14 03 07  01 01 34 09 07
    01 02 40 0c 07  01 02 50 0b 07  01 01 2c 0e 07
    04 00 6e 01 00
    06 00 00 01 00  06 00 08 01 00  06 01 00 01 00  06 01 08 01 00  06 01 0c 01 00  06 00 10 02 00  06 01 10 02 00  06 00 28 08 00
    06 00 30 08 00  06 01 28 08 00  06 01 30 08 00  06 00 38 09 00  06 00 40 09 00  06 00 48 09 00  06 00 58 0a 00  06 00 5c 0b 00
    06 00 60 0c 00
    07 00 10 03 00  07 01 10 03 00
    08 00 10 01 00  08 01 10 01 00  08 00 38 02 00  08 00 40 02 00  08 00 48 02 00  08 00 58 03 00`

/**
 * The OBIS code (six octets A to F) of a record of a meter of this device type; undefined where the annex names none, or an extension changes what
 * is measured: what means something else must not pass for a register. Due-date values of heat, water and allocators have D = 2, older ones F = their storage number; those of
 * electricity and gas F = storage number. Fabrication number 0-0:96.1.0, the meter's time 0-0:1.0.0, error flags 0-0:97.97.0.
 */
export function obisOf(deviceType: number, record: MbusRecords): Buffer | undefined {
    const storage = record.storage
    if (record.subunit !== 0 || record.tariff > 63 || storage > 99) return undefined
    let medium = 0
    for (let i = 0; i < media.length; i += 2) if (media[i] === deviceType) medium = media[i + 1]
    let negative = false
    let phase = 0
    let condition = 0
    let inExtension = false
    for (let i = 0; i < record.extensions; ++i) {
        const code = record.octets[record.extensionsAt + i] & 0x7f
        if (inExtension) {
            if (code < 1 || code > 3) return undefined
            phase = code
            inExtension = false
        } else if (code === 0x7c) inExtension = true
        else if (code === 0x3c) negative = true
        else if ((code === 0x3a || code === 0x3e) && medium === 7) condition = code
        // Nothing but factors, and what forward is anyway.
        else if (code !== 0x3b && code !== 0x7d && (code & 0x78) !== 0x70) return undefined
    }
    if (record.functionField === 0 && record.tariff + storage + record.extensions === 0) {
        if (record.table === 0 && record.code === 0x78) return Buffer.from([0, 0, 96, 1, 0, 255])
        if (record.table === 0 && record.code === 0x6d && record.kind === MBUS_TIME)
            return Buffer.from([0, 0, 1, 0, 0, 255])
        if (record.table === 2 && record.code === 0x17) return Buffer.from([0, 0, 97, 97, 0, 255])
    }
    if (record.kind !== MBUS_INTEGER && record.kind !== MBUS_DECIMAL && record.kind !== MBUS_REAL) return undefined
    const row = medium === 5 ? 6 : medium === 9 ? 8 : medium
    for (let i = 0; i < rows.length; i += 5) {
        if (rows[i] !== row || rows[i + 1] !== record.table || rows[i + 2] !== record.quantity) continue
        let c = rows[i + 3]
        let d = rows[i + 4]
        if (medium === 1) {
            if (negative) {
                if (c !== 1 && c !== 3 && c !== 9) return undefined
                ++c
            }
            // The phases of a quantity stand 20 apart.
            c += 20 * phase
            if (record.functionField === 1 && d === 7) d = 6
            else if (record.functionField !== 0) return undefined
        } else if (negative || phase > 0 || record.functionField !== 0) return undefined
        if (condition === 0x3e) d = 2
        let f = storage === 0 ? 255 : storage
        if (medium !== 1 && medium !== 7 && storage > 0) {
            if (d !== 0 || (c > 2 && row === 6)) return undefined
            d = 2
            if (storage === 1) f = 255
        }
        return Buffer.from([medium, 0, c, d, record.tariff, f])
    }
    return undefined
}
