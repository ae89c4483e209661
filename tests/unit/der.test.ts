import { generateKeyPairSync, sign, verify } from "node:crypto"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { DerReader, ecdsaFromDer } from "../../firmware/core/der"
import { ecdsaToDer, element } from "../../firmware/core/der-write"
import { PlombError } from "../../firmware/core/errors"
import { daysInMonth, utcSeconds } from "../../firmware/core/time"
import { readTime } from "../../firmware/core/x509-parts"
import { codeThrown } from "../helpers/errors"

function reader(hexText: string): DerReader {
    const data = Buffer.from(hexText.replace(/ /g, ""), "hex")
    return new DerReader(data, 0, data.length)
}

/** What reading `hexText` with one method of the reader comes to. */
function reading(hexText: string, method: "natural" | "bits" | "oid" | "flag" | "small"): string {
    return codeThrown(() => reader(hexText)[method]())
}

describe("DER reader", () => {
    it("takes a length in its shortest form only", () => {
        const length = (octets: string, size: number) => codeThrown(() => reader(octets + "00".repeat(size)).read(4))
        expect(length("0405", 5)).toBe("none")
        expect(length("0481 80", 128)).toBe("none")
        expect(length("0482 0100", 256)).toBe("none")
        expect(length("0483 010000", 65536)).toBe("none")
        expect(length("0481 05", 5)).toBe("DerLength")
        expect(length("0482 0080", 128)).toBe("DerLength")
        expect(length("0484 00000001", 1)).toBe("DerLength")
        expect(length("0480", 2)).toBe("DerLength")
        expect(length("04ff", 200)).toBe("DerLength")
    })

    it("tells where an element leaves what contains it", () => {
        const error = (() => {
            const der = reader("3003 0402 aa bb")
            der.enter(0x30)
            try {
                der.read(4)
            } catch (thrown) {
                return thrown as PlombError
            }
        })()
        expect(error).toBeInstanceOf(PlombError)
        expect(error?.at).toBe(4)
        expect(codeThrown(() => reader("30").read(0x30))).toBe("DerTruncated")
        expect(codeThrown(() => reader("0482 01").read(4))).toBe("DerTruncated")
    })

    it("lets nobody leave an element with octets left", () => {
        const der = reader("3004 0500 0500")
        const outer = der.enter(0x30)
        der.read(5)
        expect(codeThrown(() => der.leave(outer))).toBe("DerTrailing")
        der.read(5)
        der.leave(outer)
        expect(der.more()).toBe(false)
    })

    it("takes natural numbers in the fewest octets", () => {
        expect(["020100", "02017f", "02020080"].map(each => reading(each, "natural"))).toEqual(["none", "none", "none"])
        for (const wrong of ["0200", "020180", "0202007f", "02020000"])
            expect(reading(wrong, "natural")).toBe("DerValue")
        expect(reading("02020080", "small")).toBe("DerValue")
    })

    it("takes TRUE as FF and FALSE as absence", () => {
        expect(reader("0101ff").flag()).toBe(true)
        expect(reader("0500").flag()).toBe(false)
        for (const wrong of ["010100", "010101", "0100", "0102ffff"]) expect(reading(wrong, "flag")).toBe("DerValue")
    })

    it("takes bit strings whose unused bits are zero", () => {
        expect(["030100", "030200ff", "03020780"].map(each => reading(each, "bits"))).toEqual(["none", "none", "none"])
        for (const wrong of ["0300", "030101", "03020881", "030207c0"]) expect(reading(wrong, "bits")).toBe("DerValue")
    })

    it("takes object identifiers whose arcs are whole", () => {
        expect(["06012a", "06032a8648"].map(each => reading(each, "oid"))).toEqual(["none", "none"])
        for (const wrong of ["0600", "060180", "06022a86", "06032a8001"]) expect(reading(wrong, "oid")).toBe("DerValue")
    })

    it("gives a value or a typed error for any octets", () => {
        fc.assert(
            fc.property(
                fc.uint8Array({ maxLength: 40 }),
                fc.constantFrom("natural", "bits", "oid", "flag", "small"),
                (octets, method) => {
                    const der = new DerReader(Buffer.from(octets), 0, octets.length)
                    expect(codeThrown(() => der[method as "natural"]())).toMatch(/^none$|^Der/)
                },
            ),
        )
    })

    it("writes the elements it reads", () => {
        for (const size of [0, 1, 127, 128, 255, 256, 40_000]) {
            const written = element(4, [Buffer.alloc(size, 7)])
            const der = new DerReader(written, 0, written.length)
            der.read(4)
            expect([der.stop - der.start, der.more()]).toEqual([size, false])
        }
    })
})

describe("demand 12: r|s and DER are one signature in two forms", () => {
    const number = fc
        .tuple(fc.nat({ max: 31 }), fc.uint8Array({ minLength: 32, maxLength: 32 }))
        .map(([zeros, octets]) => {
            const value = Buffer.from(octets).fill(0, 0, zeros)
            if (value.every(octet => octet === 0)) value[31] = 1
            return value
        })

    it("10,000 random signatures with leading zeros and high bits come back", () => {
        fc.assert(
            fc.property(number, number, (r, s) => {
                const raw = Buffer.concat([r, s])
                const der = ecdsaToDer(raw)
                expect(ecdsaFromDer(new DerReader(der, 0, der.length))).toEqual(raw)
            }),
            { numRuns: 10_000 },
        )
    })

    it("is the form OpenSSL writes and reads", () => {
        const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
        for (let i = 0; i < 500; ++i) {
            const message = Buffer.from(`message ${i}`)
            const der = sign("sha256", message, privateKey)
            const raw = ecdsaFromDer(new DerReader(der, 0, der.length))
            expect(verify("sha256", message, { key: publicKey, dsaEncoding: "ieee-p1363" }, raw)).toBe(true)
            expect(ecdsaToDer(raw)).toEqual(der)
        }
    })

    it("integers that are negative, padded or too long are refused", () => {
        const one = "020101"
        for (const bad of ["020180", "02020001", "0200", `0221${"01".repeat(33)}`, `022200${"ff".repeat(33)}`])
            for (const order of [bad + one, one + bad]) {
                const der = element(0x30, [Buffer.from(order, "hex")])
                expect(codeThrown(() => ecdsaFromDer(new DerReader(der, 0, der.length)))).toBe("DerValue")
            }
        const three = element(0x30, [Buffer.from(one + one + one, "hex")])
        expect(codeThrown(() => ecdsaFromDer(new DerReader(three, 0, three.length)))).toBe("DerTrailing")
    })
})

describe("Times of certificates", () => {
    const time = (text: string) => {
        const der = element(text.length === 13 ? 0x17 : 0x18, [Buffer.from(text)])
        return readTime(new DerReader(der, 0, der.length))
    }

    it("agree with the calendar of the machine for every day of 1970 to 2199", () => {
        for (let seconds = 0; seconds < Date.UTC(2200, 0, 1) / 1000; seconds += 86_400) {
            const date = new Date(seconds * 1000)
            const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth() + 1, date.getUTCDate()]
            expect(utcSeconds(year, month, day, 0, 0, 0)).toBe(seconds)
            expect(daysInMonth(year, month)).toBe(new Date(Date.UTC(year, month, 0)).getUTCDate())
        }
    })

    it("are UTCTime through 2049 and GeneralizedTime from 2050", () => {
        expect(time("491231235959Z")).toBe(Date.UTC(2049, 11, 31, 23, 59, 59) / 1000)
        expect(time("20500101000000Z")).toBe(Date.UTC(2050, 0, 1) / 1000)
        expect(time("99991231235959Z")).toBe(Date.UTC(9999, 11, 31, 23, 59, 59) / 1000)
        expect(time("700101000000Z")).toBe(0)
        expect(codeThrown(() => time("20491231235959Z"))).toBe("DerValue")
    })

    it("are refused where they are no time or not the one form", () => {
        const wrong =
            "250229000000Z 251301000000Z 250001000000Z 250100000000Z 250131240000Z 250131006000Z 250131000060Z"
        const forms = "2501310000Z 250131000000 2501310000000 25013100000aZ 20500101000000.5Z 20500101000000+0100"
        for (const text of [...wrong.split(" "), ...forms.split(" ")])
            expect([text, codeThrown(() => time(text))]).toEqual([text, "DerValue"])
    })
})
