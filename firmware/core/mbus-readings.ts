import { fixedRecord } from "./mbus-fixed"
import { obisOf } from "./mbus-obis"
import { MBUS_TIME, MbusRecords, mbusTime } from "./mbus-records"
import { MBUS_FIXED, MBUS_RECORDS, type MbusTelegram } from "./mbus-telegram"
import { cut } from "./octets"
import { platform } from "./platform"
import { Reading } from "./reading"

/** What the records of an opened telegram say in OBIS codes, in order; others are left out. Errors of `MbusRecords`. */
export function mbusReadings(telegram: MbusTelegram): Reading[] {
    const readings: Reading[] = []
    if (telegram.content === MBUS_FIXED)
        for (let i = 0; i < 2; ++i) addReading(readings, telegram, fixedRecord(telegram, i))
    if (telegram.content !== MBUS_RECORDS) return readings
    const records = new MbusRecords(telegram.octets, telegram.at, telegram.end)
    while (records.next()) {
        addReading(readings, telegram, records)
        platform().yieldNow()
    }
    return readings
}

function addReading(readings: Reading[], telegram: MbusTelegram, record: MbusRecords): void {
    const obis = telegram.meter.length > 0 ? obisOf(telegram.meter[7], record) : undefined
    if (obis === undefined) return
    const reading = new Reading(obis, cut(record.octets, record.dataAt, record.length), record.dataAt)
    reading.unit = record.unit
    reading.exponent = record.exponent
    if (record.kind === MBUS_TIME) reading.time = mbusTime(record.octets, record.dataAt, record.length)
    else {
        reading.exact = record.exact
        reading.value = record.value
    }
    readings.push(reading)
}
