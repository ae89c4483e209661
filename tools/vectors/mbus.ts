import { existsSync, readFileSync } from "node:fs"
import { basename, dirname } from "node:path"
import { MBUS_REAL, MBUS_TEXT, VIF_MANUFACTURER, VIF_PLAIN_TEXT } from "../../firmware/core/mbus-records"
import { MBUS_ERROR, MBUS_FIXED } from "../../firmware/core/mbus-telegram"
import { manufacturerText } from "../decode/mbus-values.ts"
import { unitName } from "../decode/units.ts"
import { answer } from "./device/mbus-answer.ts"
import type { Case, Format } from "./format.ts"
import { close, refused, same } from "./judge.ts"
import { type DumpedRecord, type DumpedTelegram, mbusRequest, opened } from "./mbus-dump.ts"

/** Wired M-Bus: libmbus's frames with its XML, and those of MBusParser with its JSON. */
export const mbus: Format = {
    name: "wired M-Bus",
    recognises: (json, path) => isParserFile(json) || isMbusXml(path) || isMbusHex(path),
    cases: (json, path) => (isParserFile(json) ? [parserCase(json, path)] : [libmbusCase(path)]),
    answer,
    program: "tools/vectors/device/mbus.ts",
    capacity: 8192,
}

interface ParserFile {
    frame: string
    expected: { Datagram?: any; Error?: string }
}

function isParserFile(json: unknown): json is ParserFile {
    const { frame, expected } = (json ?? {}) as Partial<ParserFile>
    return typeof frame === "string" && typeof expected === "object" && expected !== null
}

const isMbusXml = (path: string) => path.endsWith(".xml") && /<MBusData>/.test(readFileSync(path, "latin1"))
const isMbusHex = (path: string) => path.endsWith(".hex") && /^[0-9a-f\s]+$/i.test(readFileSync(path, "latin1"))

const functions = ["Instantaneous value", "Maximum value", "Minimum value", "Value during error state"]

/** Of units of time: how many seconds. */
const seconds: Record<number, number> = { 4: 86400, 5: 3600, 6: 60, 7: 1 }

const stripped = (text: string) => text.replace(/^0+(?=.)/, "")

function meterOf(meter: string) {
    const octets = Buffer.from(meter, "hex")
    return {
        id: Buffer.from(octets.subarray(2, 6)).reverse().toString("hex").toUpperCase(),
        manufacturer: manufacturerText(octets.readUInt16LE(0)),
        version: octets[6],
        deviceType: octets[7],
    }
}

function libmbusCase(path: string): Case {
    const id = basename(path)
    const hex = path.replace(/(\.norm)?\.(xml|hex)$/, ".hex")
    if (!existsSync(hex)) throw new Error(`${path}: no frame beside it`)
    const digits = readFileSync(hex, "latin1").replace(/\s+/g, "")
    const request = mbusRequest(0, undefined, Buffer.from(digits, "hex"))
    if (path === hex) {
        if (!/(error|unsupported)-frames$/.test(dirname(path)))
            return { id, unsupported: "no expected result stands beside it" }
        return refused(id, request)
    }
    const xml = readFileSync(path, "latin1")
    const error = field(xml, "Error")
    if (error !== undefined)
        return opened(id, request, telegram => {
            same("content", telegram.content, MBUS_ERROR)
        })
    return opened(id, request, telegram => {
        compareLibmbus(telegram, xml)
    })
}

/** Content of an element of libmbus's XML. */
function field(xml: string, name: string): string | undefined {
    const found = new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)
    const entities: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"' }
    return found?.[1].replace(/&(amp|lt|gt|quot);/g, (_, entity) => entities[entity])
}

function compareLibmbus(telegram: DumpedTelegram, xml: string): void {
    const meter = meterOf(telegram.meter)
    same("id", stripped(meter.id), stripped(field(xml, "Id")!.toUpperCase()))
    if (telegram.content !== MBUS_FIXED) {
        same("manufacturer", meter.manufacturer, field(xml, "Manufacturer"))
        same("version", meter.version, Number(field(xml, "Version")))
    }
    same("access", telegram.access, Number(field(xml, "AccessNumber")))
    const records = xml.split("<DataRecord").slice(1)
    same("records", telegram.records.length, records.length)
    records.forEach((each, i) => {
        compareLibmbusRecord(`record ${i}`, telegram.records[i], each, telegram.content === MBUS_FIXED)
    })
}

function compareLibmbusRecord(what: string, record: DumpedRecord, xml: string, fixed: boolean): void {
    const value = field(xml, "Value") ?? ""
    const functionText = field(xml, "Function")
    if (functionText === "Manufacturer specific" || functionText === "More records follow") {
        same(`${what} more follow`, record.moreFollow, functionText === "More records follow")
        same(what, record.hex, value.replace(/\s/g, "").toLowerCase())
        return
    }
    if (!fixed) {
        same(`${what} function`, functions[record.functionField], functionText)
        same(`${what} storage`, record.storage, Number(field(xml, "StorageNumber")))
        same(`${what} tariff`, record.tariff, Number(field(xml, "Tariff") ?? 0))
        same(`${what} subunit`, record.subunit, Number(field(xml, "Device") ?? 0))
    }
    // libmbus passes extensions over, and with them what they make of the unit.
    const unit = field(xml, "Unit")!
    const known: Record<string, string> = { "m^3": "m3", "Â°C": "degC", "m^3/h": "m3/h", s: "time" }
    if (
        /^(Wh|J|W|J\/h|V|A|K|s|m\^3|m\^3\/h|Â°C)$/.test(unit) &&
        record.table !== VIF_PLAIN_TEXT &&
        record.extensions === 0
    )
        same(`${what} unit`, record.unit in seconds ? "time" : unitName(record.unit), known[unit] ?? unit)
    // What libmbus prints of octets that are no date.
    if (/^\d{4}-(\d\d-00|00-\d\d)/.test(value)) same(what, record.time, undefined)
    else if (/^\d{4}-\d\d-\d\dT/.test(value)) same(what, record.time, value.slice(0, 16))
    else if (/^\d{4}-\d\d-\d\d$/.test(value)) same(what, record.time, value)
    else if (record.time !== undefined) throw new Error(`${what}: expected ${value}, came ${record.time}`)
    else if (record.kind === MBUS_TEXT) same(what, record.text.trim(), value.trim())
    // libmbus computes a number also of digits that mark an error.
    else if (record.number === undefined) same(`${what} digits`, /[a-f]|^$/.test(record.hex), true)
    else close(what, record.number, Number(value), seconds[record.unit] ?? 1)
}

const parserUnits: Record<string, string> = {
    "m³": "m3",
    "m³/h": "m3/h",
    "°C": "degC",
    day: "d",
    hour: "h",
    month: "mo",
    minute: "min",
    second: "s",
}
const parserFunctions = ["Instantaneous", "Maximum", "Minimum", "Error state"]

function parserCase({ frame, expected }: ParserFile, path: string): Case {
    const id = basename(path)
    const octets = Buffer.from(frame, "hex")
    const datagram = expected.Datagram
    if (!datagram) return refused(id, mbusRequest(0, undefined, octets))
    // Its headers say "encrypted" of what converters have decrypted: the octets are taken as they are.
    return opened(id, mbusRequest(0, Buffer.alloc(0), octets), telegram => {
        const { Information: information, Header: header } = datagram
        const meter = meterOf(telegram.meter)
        same("C", telegram.control, Number(information["C field"]))
        same("address", telegram.primary, information["Primary address"])
        same("CI", telegram.ci, Number(information["CI field"]))
        same("id", stripped(meter.id), stripped(String(header["Identification number"]).toUpperCase()))
        same("manufacturer", meter.manufacturer, header.Manufacturer)
        same("version", meter.version, header.Version)
        same("device type", meter.deviceType, header["Device type"])
        same("access", telegram.access, header["Access number"])
        const records: any[] = datagram["Data records"]
        const own = records.findIndex(each => /^Manufacturer specific/.test(each.Dib["Data type"]))
        // What it reads behind DIF 0F, as some converters put it there, is manufacturer specific data all the same.
        const within = own < 0 ? [] : records.splice(own + 1)
        same("records", telegram.records.length, records.length)
        for (const [i, each] of records.entries())
            compareParserRecord(`record ${i + 1}`, telegram, telegram.records[i], each)
        for (const each of within) same("own data", telegram.records[own].hex.includes(octetsOf(each.Data)), true)
    })
}

const octetsOf = (data: string | null) => (data ?? "").replace(/0x|\s/g, "").toLowerCase()

function compareParserRecord(what: string, telegram: DumpedTelegram, record: DumpedRecord, expected: any): void {
    const { Dib: dib, Vib: vib } = expected
    const data = octetsOf(expected.Data)
    same(
        `${what} data`,
        dib["Data type"] === "Variable length" ? data.endsWith(record.hex) : record.hex,
        dib["Data type"] === "Variable length" ? true : data,
    )
    same(`${what} DIF`, telegram.octets[record.start], Number(dib["Dif byte"]))
    same(`${what} storage`, record.storage, dib["Storage number"] ?? 0)
    same(`${what} tariff`, record.tariff, dib.Tariff ?? 0)
    same(`${what} subunit`, record.subunit, dib.Subunit ?? 0)
    if (dib["Function field"]) {
        const name = parserFunctions[record.functionField]
        same(`${what} function`, dib["Function field"].startsWith(name.slice(0, 7)), true)
    }
    if (vib?.Unit && vib.Unit !== "RF level unit" && record.table !== VIF_MANUFACTURER)
        same(`${what} unit`, unitName(record.unit), parserUnits[vib.Unit] ?? vib.Unit)
    const number = expected["Numeric value"]
    const text: string | null = expected["Text value"]
    // Real numbers are printed with few decimals.
    if (typeof number === "number" && record.kind === MBUS_REAL)
        same(what, Math.abs(Number(record.number) - number) < 0.006 + Math.abs(number) * 1e-6, true)
    else if (typeof number === "number") close(what, record.number, number)
    else if (text && /^\d{4}-\d\d-\d\d/.test(text))
        same(what, record.time, text.replace(" ", "T").slice(0, record.time?.length))
    else if (expected.Comment === "Invalid date value")
        same(
            what,
            record.time === undefined || /--/.test(record.time) || !Number.isFinite(Date.parse(record.time)),
            true,
        )
    else if (expected.Comment === "Numeric value is NaN") same(what, record.number, undefined)
    else if (text && record.kind === MBUS_TEXT) same(what, record.text.trim(), text.trim())
}
