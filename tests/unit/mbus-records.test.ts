import { describe, expect, it } from "vitest"
import { obisOf } from "../../firmware/core/mbus-obis"
import { MbusRecords, mbusTime } from "../../firmware/core/mbus-records"
import { quantityName } from "../../tools/decode/mbus-names.ts"
import { decimalValue, extensionNames, textOf, timeText } from "../../tools/decode/mbus-values.ts"
import { obisText } from "../../tools/decode/obis.ts"
import { unitName } from "../../tools/decode/units.ts"
import { codeThrown } from "../helpers/errors.ts"

/** The one record of these octets. */
function record(hex: string): MbusRecords {
    const octets = Buffer.from(hex, "hex")
    const records = new MbusRecords(octets, 0, octets.length)
    expect(records.next()).toBe(true)
    return records
}

const value = (hex: string) => {
    const one = record(hex)
    return decimalValue(one.octets, one)
}

const shown = (hex: string) => {
    const one = record(hex)
    return `${quantityName(one)} ${decimalValue(one.octets, one)} ${unitName(one.unit) ?? one.unit}`
}

const obis = (deviceType: number, hex: string) => {
    const code = obisOf(deviceType, record(hex))
    return code && obisText(code)
}

describe("data records (EN 13757-3)", () => {
    it("storage, tariff, subunit and function come from DIF and DIFEs, to the last bit", () => {
        const { storage, tariff, subunit, functionField } = record("f1" + "ff".repeat(9) + "7f0300")
        expect([functionField, storage, subunit]).toEqual([3, 2 ** 41 - 1, 1023])
        expect(tariff).toBe(2 ** 20 - 1)
        const simple = record("8491100301020304")
        expect([simple.storage, simple.tariff, simple.subunit]).toEqual([2, 5, 0])
    })

    it("numbers: binary with and without sign, decimal with sign, real", () => {
        expect(value("0103ff")).toBe("-1")
        expect(value("01fd17ff")).toBe("255")
        expect(value("0203fe7f")).toBe("32766")
        expect(value("0303ffffff")).toBe("-1")
        expect(value("0613000000000080")).toBe("-140737488355.328")
        expect(value("0713ffffffffffffff7f")).toBe("9223372036854775.807")
        expect(value("0c13785634f2")).toBe("-2345.678")
        expect(value("0e13907856341200")).toBe("1234567.890")
        expect(value("0513cdcccc3d")).toBe("0.0001")
        expect(value("051e0000807f")).toBeUndefined()
    })

    it("a double holds the number exactly, or the record says that it does not", () => {
        const exact = record("0713ffffffffffff1f00")
        expect([exact.exact, exact.value]).toEqual([true, 2 ** 53 - 1])
        expect(record("07130000000000002000").exact).toBe(false)
        expect(record("0713010000000000e0ff").value).toBe(1 - 2 ** 53)
    })

    it("digits above 9 mark an error and give no number, but the octets", () => {
        const one = record("0c13ee34e2a1")
        expect([one.exact, decimalValue(one.octets, one), one.dataAt, one.length]).toEqual([false, undefined, 2, 4])
    })

    it("variable length: text, decimal and binary numbers of any size, octets of containers", () => {
        const text = record("0dfd110568656c6c6f")
        expect(textOf(text.octets, text.dataAt, text.length)).toBe("olleh")
        expect(value("0d13c27856")).toBe("5.678")
        expect(value("0d13d27856")).toBe("-5.678")
        expect(value("0d13c9998877665544332211")).toBe("112233445566778.899")
        expect(value("0d13d9998877665544332211")).toBe("-112233445566778.899")
        expect(value("0d13e3ffffff")).toBe("-0.001")
        expect(record("0d13f0" + "00".repeat(16)).length).toBe(16)
        expect(record("0d13f6" + "00".repeat(64)).length).toBe(64)
        expect(record("0dfd3b0200ff").kind).toBe(6)
    })

    it("units and powers of ten of each table", () => {
        expect(shown("01077f")).toBe("energy 1270000 Wh")
        expect(shown("010b01")).toBe("energy 1000 J")
        expect(shown("012201")).toBe("on time 1 h")
        expect(shown("01fb0001")).toBe("energy 100000 Wh")
        expect(shown("01fb0b01")).toBe("reserved FB a 1 no unit")
        expect(shown("01fb1b01")).toBe("relative humidity 1 %")
        expect(shown("01fb2d01")).toBe("frequency 0.01 Hz")
        expect(shown("01fd4801")).toBe("voltage 0.1 V")
        expect(shown("01fd5901")).toBe("current 0.001 A")
        expect(shown("01fd6f01")).toBe("operating time of battery 1 a")
        expect(shown("01fd3201")).toBe("duration of tariff 1 h")
        expect(shown("01fd71a6")).toBe("reception level -90 dBm")
        expect(shown("01fdfd0303")).toBe("remaining battery life 3 a")
    })

    it("combinable extensions: factors, constants, qualifiers, what the manufacturer adds", () => {
        expect(value("01937401")).toBe("0.00001")
        expect(value("01937d05")).toBe("5")
        expect(value("01937901")).toBe("0.011")
        const phase = record("01a8fc0105")
        expect(extensionNames(phase.octets, phase)).toEqual(["phase L1"])
        const own = record("01a8ff8105aa")
        expect(extensionNames(own.octets, own)).toEqual([])
        const duration = record("04be5058f40200")
        expect([duration.unit, duration.exponent]).toEqual([7, 0])
    })

    it("plain-text units, with the text in front of the extensions or behind them", () => {
        const [field, newer] = [record("02fc0348522574d411"), record("02fc7403485225d411")]
        for (const one of [field, newer]) {
            expect(textOf(one.octets, one.textAt, one.textLength)).toBe("%RH")
            expect(decimalValue(one.octets, one)).toBe("45.64")
        }
    })

    it("points in time of types F, G, I and J; what is invalid is none", () => {
        const time = (hex: string) => {
            const parts = mbusTime(Buffer.from(hex, "hex"), 0, hex.length / 2)
            return parts.length > 0 ? timeText(parts) : undefined
        }
        expect(time("32371f15")).toBe("2008-05-31T23:50")
        expect(time("bf1c")).toBe("2013-12-31")
        expect(time("3b092cf72100")).toBe("2023-01-23T12:09:59")
        expect(time("3b3b17")).toBe("23:59:59")
        expect(time("ffff")).toBeUndefined()
        expect(time("0000")).toBeUndefined()
        expect(time("b2371f15")).toBeUndefined()
        expect(time("e1ff")).toBe("--------01")
    })

    it("fill octets are passed over; manufacturer specific data reach to the end, and say whether more follow", () => {
        const octets = Buffer.from("2f2f0113052f2f1f0102", "hex")
        const records = new MbusRecords(octets, 0, octets.length)
        expect([records.next(), records.value, records.next()]).toEqual([true, 5, true])
        expect([records.moreFollow, records.dataAt, records.length, records.next()]).toEqual([true, 8, 2, false])
    })

    it("what is cut short, has too many extensions or a reserved field is refused", () => {
        for (const cut of ["04", "0413", "04130102", "84", "0493", "0d13", "0d130501", "02fc03", "04fb", "04fdfd"])
            expect(
                codeThrown(() => record(cut)),
                cut,
            ).toBe("MbusRecordTruncated")
        for (const form of [
            "3f",
            "8f",
            "0d13ca",
            "0d13f7",
            "84" + "80".repeat(10) + "0013",
            "0493" + "84".repeat(10) + "0401",
        ])
            expect(
                codeThrown(() => record(form)),
                form,
            ).toBe("MbusRecordForm")
    })
})

describe("OBIS codes of records (OMS volume 2 annex A)", () => {
    it("registers, tariffs, due dates and momentary values", () => {
        expect(obis(2, "0c0301000000")).toBe("1-0:1.8.0*255")
        expect(obis(2, "8c100301000000")).toBe("1-0:1.8.1*255")
        expect(obis(2, "0c833c01000000")).toBe("1-0:2.8.0*255")
        expect(obis(2, "4c0301000000")).toBe("1-0:1.8.0*1")
        expect(obis(2, "02fdc8fc020100")).toBe("1-0:52.7.0*255")
        expect(obis(2, "122b0100")).toBe("1-0:1.6.0*255")
        expect(obis(3, "0c1401000000")).toBe("7-0:3.0.0*255")
        expect(obis(3, "0c943e01000000")).toBe("7-0:3.2.0*255")
        expect(obis(4, "4c0601000000")).toBe("6-0:1.2.0*255")
        expect(obis(4, "8c040601000000")).toBe("6-0:1.2.0*8")
        expect(obis(6, "0c1301000000")).toBe("9-0:1.0.0*255")
        expect(obis(7, "023b0100")).toBe("8-0:2.0.0*255")
        expect(obis(8, "026e0100")).toBe("4-0:1.0.0*255")
        expect(obis(10, "0c0601000000")).toBe("5-0:1.0.0*255")
    })

    it("none where a qualifier, the subunit or the function makes it something else", () => {
        for (const [type, hex] of [
            [2, "8c400301000000"],
            [2, "3c0301000000"],
            [2, "0c832001000000"],
            [2, "0c837901000000"],
            [7, "1c1301000000"],
            [7, "0c934001000000"],
            [4, "42590100"],
            [27, "02650100"],
        ] as [number, string][])
            expect(obis(type, hex), hex).toBeUndefined()
    })
})
