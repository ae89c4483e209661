import { expect, test } from "vitest"
import { Code, PlombError } from "../../firmware/core/errors"
import { messageLength, readMessage, readRequest } from "../../firmware/muc/ldap-message"
import { runCases } from "../../tools/vm/harness.ts"

function ber(tag: number, ...parts: Buffer[]): Buffer {
    const content = Buffer.concat(parts)
    const { length } = content
    const size = length < 128 ? [length] : [0x82, length >> 8, length & 255]
    return Buffer.concat([Buffer.from([tag, ...size]), content])
}

const id = ber(2, Buffer.from([2]))

function entry(...attributes: Buffer[]): Buffer {
    return ber(0x30, id, ber(0x64, ber(4, Buffer.from("cn=a")), ber(0x30, ...attributes)))
}

function attribute(...values: Buffer[]): Buffer {
    return ber(0x30, ber(4, Buffer.from("x;binary")), ber(0x31, ...values.map(value => ber(4, value))))
}

/** What the program answers, by the same code in Node. */
function expected(request: Buffer): string {
    try {
        if (request.length === 1) return readRequest(5, "cn=a", "cn").toString("hex")
        messageLength(request, request.length, 4602)
        const { id, op, resultCode, values } = readMessage(request)
        const total = values.reduce((sum, value) => sum + value.length, 0)
        return Buffer.from([id, op, resultCode & 255, values.length, total >> 8, total & 255]).toString("hex")
    } catch (error) {
        if (!(error instanceof PlombError)) throw error
        return Buffer.from([255, error.code >> 8, error.code & 255]).toString("hex")
    }
}

test("messages of a directory are read in the VM as in Node, the largest and the worst without a panic", async () => {
    const sound = entry(attribute(Buffer.from("0102", "hex"), Buffer.from("03", "hex")))
    const result = (op: number, code: number) => ber(0x30, id, ber(op, Buffer.from([10, 1, code, 4, 0, 4, 0])))
    const repeated = (piece: Buffer, length: number) =>
        Array.from({ length: Math.floor(length / piece.length) }, () => piece)
    const cases = [
        Buffer.alloc(1),
        result(0x61, 0),
        result(0x65, 32),
        sound,
        entry(attribute(Buffer.alloc(4090, 7))),
        entry(...repeated(Buffer.from("300404003100", "hex"), 4400)),
        entry(attribute(...Array.from({ length: 2000 }, () => Buffer.alloc(0)))),
        Buffer.alloc(4600, 0x30),
        ber(0x30, id, ber(0x73, ...repeated(ber(4, Buffer.from("ldap://a")), 4000))),
        ...Array.from({ length: sound.length }, (_, at) => {
            const changed = Buffer.from(sound)
            changed[at] ^= 0x80
            return changed
        }),
    ]
    const outcomes = await runCases("tests/vm/device/ldap.ts", cases)
    const came = outcomes.map(outcome =>
        "failure" in outcome ? outcome.failure : Buffer.from(outcome.octets).toString("hex"),
    )
    expect(came).toEqual(cases.map(expected))
    expect(came[5]).toBe(`ff${Code.LdapForm.toString(16).padStart(4, "0")}`)
})
