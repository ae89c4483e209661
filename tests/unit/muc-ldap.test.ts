import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { PlombError } from "../../firmware/core/errors"
import { LdapReader } from "../../firmware/muc/ldap"
import { bindRequest, messageLength, readMessage, readRequest, unbindRequest } from "../../firmware/muc/ldap-message"
import type { Uplink } from "../../hal/ports"
import { codeThrown } from "../helpers/errors"

/** Octets by hand after RFC 4511; blanks are for the eye. */
const octets = (digits: string) => Buffer.from(digits.replace(/\s/g, ""), "hex")
const ascii = (text: string) => Buffer.from(text).toString("hex")

function ber(tag: number, ...parts: (Buffer | string)[]): Buffer {
    const content = Buffer.concat(parts.map(part => (typeof part === "string" ? octets(part) : part)))
    const { length } = content
    const size = length < 128 ? [length] : [0x82, length >> 8, length & 255]
    return Buffer.concat([Buffer.from([tag, ...size]), content])
}

const success = "0a0100 0400 0400"
const bound = (id = 1) => ber(0x30, ber(2, Buffer.from([id])), ber(0x61, success))
const done = (id = 2, result = "00") => ber(0x30, ber(2, Buffer.from([id])), ber(0x65, `0a01${result} 0400 0400`))
const entryOf = (values: Buffer[], id = 2) =>
    ber(
        0x30,
        ber(2, Buffer.from([id])),
        ber(
            0x64,
            ber(4, ascii("cn=a")),
            ber(0x30, ber(0x30, ber(4, ascii("x;binary")), ber(0x31, ...values.map(value => ber(4, value))))),
        ),
    )

describe("requests are the octets of RFC 4511", () => {
    test("anonymous bind of version 3", () => {
        // 4.2: [APPLICATION 0] version 3, name "", simple [0] ""
        expect(bindRequest(1)).toEqual(octets("300c 020101 6007 020103 0400 8000"))
    })

    test("search of one object for one attribute", () => {
        // 4.5.1: [APPLICATION 3] base, baseObject 0, neverDerefAliases 0, size 2, time 30, typesOnly false, present [7]
        const search = `6328 0404 ${ascii("cn=a")} 0a0100 0a0100 020102 02011e 010100 870b ${ascii("objectClass")} 3004 0402 ${ascii("cn")}`
        expect(readRequest(5, "cn=a", "cn")).toEqual(octets(`302d 020105 ${search}`))
    })

    test("unbind, and an id of two octets", () => {
        expect(unbindRequest(3)).toEqual(octets("3005 020103 4200"))
        expect(unbindRequest(300)).toEqual(octets("3006 0202012c 4200"))
    })
})

describe("messages of the directory", () => {
    test("bind response, entry and end of a search", () => {
        const bind = readMessage(octets("300c 020101 6107 0a0100 0400 0400"))
        expect([bind.id, bind.op, bind.resultCode]).toEqual([1, 0x61, 0])
        const entry = readMessage(entryOf([octets("0102"), octets("03")]))
        expect([entry.id, entry.op, entry.resultCode]).toEqual([2, 0x64, -1])
        expect(entry.values).toEqual([octets("0102"), octets("03")])
        expect(readMessage(done(2, "20")).resultCode).toBe(32)
    })

    test("lengths in more octets than needed are BER and taken; the indefinite form is refused", () => {
        const long = octets("30 84 0000000f 02 82 0001 01 61 81 07 0a0100 0400 0400")
        expect(messageLength(long, long.length, 100)).toBe(long.length)
        expect(readMessage(long).op).toBe(0x61)
        expect(codeThrown(() => messageLength(octets("3080"), 2, 100))).toBe("LdapForm")
        expect(codeThrown(() => readMessage(octets("3080 020101 6107 0a0100 0400 0400 0000")))).toBe("LdapForm")
    })

    test("a control that nobody asked for has its own code", () => {
        const control = ber(0xa0, ber(0x30, ber(4, ascii("1.2.3")), "0101ff"))
        expect(codeThrown(() => readMessage(ber(0x30, "020101", ber(0x61, success), control)))).toBe("LdapControl")
    })

    test("the length is told as soon as it is there, and one above the limit is refused before its octets come", () => {
        expect([0, 1].map(held => messageLength(octets("3003"), held, 100))).toEqual([0, 0])
        expect(messageLength(octets("3003"), 2, 100)).toBe(5)
        expect(messageLength(octets("308201"), 3, 100)).toBe(0)
        expect(codeThrown(() => messageLength(octets("30820100"), 4, 100))).toBe("LdapTooLarge")
        expect(codeThrown(() => messageLength(octets("3084ffffffff"), 6, 100))).toBe("LdapTooLarge")
        expect(codeThrown(() => messageLength(octets("16"), 1, 100))).toBe("LdapForm")
    })

    test("an entry of very many attributes or values is refused: they would take heap and steps", () => {
        const empty = octets("3004 0400 3100")
        const attributes = (count: number) =>
            ber(0x30, "020102", ber(0x64, "0400", ber(0x30, ...Array.from({ length: count }, () => empty))))
        expect(readMessage(attributes(16)).values).toEqual([])
        expect(codeThrown(() => readMessage(attributes(17)))).toBe("LdapForm")
        const value = Buffer.alloc(0)
        expect(readMessage(entryOf(Array.from({ length: 16 }, () => value))).values).toHaveLength(16)
        expect(codeThrown(() => readMessage(entryOf(Array.from({ length: 17 }, () => value))))).toBe("LdapForm")
    })

    test("any octets give a message or a PlombError, also whole messages with one octet changed", () => {
        const either = (input: Buffer) => {
            try {
                readMessage(input)
                messageLength(input, input.length, 4096)
            } catch (error) {
                if (!(error instanceof PlombError)) throw error
            }
        }
        fc.assert(
            fc.property(fc.uint8Array({ maxLength: 60 }), any => either(Buffer.from(any))),
            { numRuns: 2000 },
        )
        for (const sound of [bound(), done(), entryOf([octets("010203")])])
            for (let at = 0; at < sound.length; ++at)
                for (let value = 0; value < 256; ++value) {
                    const changed = Buffer.from(sound)
                    changed[at] = value
                    either(changed)
                }
    })
})

/** A link whose other end says `script` in order, one item a receive; `undefined` is silence, `null` the end. */
function linkOf(...script: (Buffer | undefined | null)[]): { link: Uplink; sent: Buffer[] } {
    const sent: Buffer[] = []
    const link: Uplink = {
        connect: () => {},
        close: () => {},
        send: each => void sent.push(each),
        receive: () => (script.length > 0 ? script.shift() : undefined),
    }
    return { link, sent }
}

describe("a reader", () => {
    const readBy = (...script: (Buffer | undefined | null)[]) => {
        const reader = new LdapReader(linkOf(...script).link, 300)
        reader.bind()
        return reader.read("cn=a", "x;binary")
    }

    test("binds, reads an attribute and says goodbye, whatever pieces the answers come in", () => {
        const answers = Buffer.concat([entryOf([octets("aabb")]), done()])
        for (const size of [1, 7, 1000]) {
            const pieces: Buffer[] = [bound()]
            for (let at = 0; at < answers.length; at += size) pieces.push(answers.subarray(at, at + size))
            const { link, sent } = linkOf(...pieces)
            const reader = new LdapReader(link, 300)
            reader.bind()
            expect(reader.read("cn=a", "x;binary")).toEqual([octets("aabb")])
            reader.unbind()
            expect(sent.map(each => each[5])).toEqual([0x60, 0x63, 0x42])
        }
    })

    const notice = ber(0x30, "020100", ber(0x78, "0a0134 0400 0400", ber(0x8a, ascii("1.3.6.1.4.1.1466.20036"))))
    const reference = ber(0x30, "020102", ber(0x73, ber(4, ascii("ldap://other"))))
    const referral = ber(0x30, "020102", ber(0x65, "0a010a 0400 0400", ber(0xa3, ber(4, ascii("ldap://other")))))
    test.each<[what: string, code: string, answers: (Buffer | undefined | null)[]]>([
        ["no such entry", "LdapMissing", [done(2, "20")]],
        ["an entry without the attribute", "LdapMissing", [entryOf([]), done()]],
        ["a referral as result", "LdapReferral", [referral]],
        ["a reference in the search", "LdapReferral", [reference]],
        ["a notice of disconnection", "LdapNotice", [notice]],
        ["a message with another id", "LdapId", [done(3)]],
        ["the answer of another operation", "LdapUnexpected", [bound(2)]],
        ["two entries for one object", "LdapUnexpected", [entryOf([octets("01")]), entryOf([octets("02")])]],
        ["insufficient access rights", "LdapRefused", [done(2, "32")]],
        ["no LDAP at all", "LdapForm", [Buffer.from("HTTP/1.1 400")]],
        ["a message above the limit", "LdapTooLarge", [entryOf([Buffer.alloc(400)])]],
        ["silence", "LinkTimeout", [undefined]],
        ["the end", "LinkLost", [entryOf([octets("01")]), null]],
    ])("%s has its own code", (_what, code, answers) => {
        expect(codeThrown(() => readBy(bound(), ...answers))).toBe(code)
    })

    test("a bind that is refused, or referred, ends it", () => {
        const refused = (digits: string) => ber(0x30, "020101", ber(0x61, digits))
        expect(codeThrown(() => readBy(refused("0a0131 0400 0400")))).toBe("LdapRefused")
        expect(codeThrown(() => readBy(refused("0a010a 0400 0400")))).toBe("LdapReferral")
    })
})
