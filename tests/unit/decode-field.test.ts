import { createCipheriv } from "node:crypto"
import { afterEach, describe, expect, it, vi } from "vitest"
import { cipherApdu, DlmsKeys } from "../../firmware/core/dlms-security"
import { hdlcAddress, hdlcFrame } from "../../firmware/core/hdlc"
import { iecChecked, iecParity } from "../../firmware/core/iec62056"
import { p1Crc } from "../../firmware/core/p1"
import { run } from "../../tools/decode/command.ts"

afterEach(() => vi.restoreAllMocks())

/** Exit code, JSON and what was printed on the error output. */
async function call(...args: string[]) {
    vi.restoreAllMocks()
    const out = vi.spyOn(console, "log").mockImplementation(() => {})
    const err = vi.spyOn(console, "error").mockImplementation(() => {})
    const code = await run(args)
    return { code, json: JSON.parse(out.mock.calls.flat().join("")), err: err.mock.calls.flat().join("") }
}

const text = "/ABC5\\2METER\r\n\r\n1-0:1.8.0(001234.567*kWh)\r\n0-1:24.2.1(230101120000W)(00012.5*m3)\r\n!"
const telegram = (() => {
    const octets = Buffer.from(text)
    return Buffer.from(text + p1Crc(octets, 0, octets.length).toString(16).padStart(4, "0") + "\r\n")
})()

const keys = new DlmsKeys(Buffer.alloc(16, 1), Buffer.alloc(16, 2))
const keyWords = ["--key", "01".repeat(16), "--auth-key", "02".repeat(16)]
const title = Buffer.from("4142430000000001", "hex")
const push = Buffer.from("0f000000010c07e80101010c0000ff800000020109060100010800ff", "hex")
const list = Buffer.concat([
    push.subarray(0, 18),
    Buffer.from("020309060100010800ff060001e2400202" + "0f00161e", "hex"),
])
const ciphered = cipherApdu(list, 0xdb, 0x30, keys, title, 77)

/** The same by the machine's own AES-GCM. */
function sealed(plain: Buffer, counter: number): Buffer {
    const number = Buffer.alloc(4)
    number.writeUInt32BE(counter)
    const cipher = createCipheriv("aes-128-gcm", keys.encryption, Buffer.concat([title, number]), { authTagLength: 12 })
    cipher.setAAD(Buffer.concat([Buffer.of(0x30), keys.authentication]))
    const body = Buffer.concat([Buffer.of(0x30), number, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
    const length = body.length < 128 ? [body.length] : [0x82, body.length >> 8, body.length & 0xff]
    return Buffer.concat([Buffer.of(0xdb, 8), title, Buffer.from(length), body])
}

describe("plomb decode p1", () => {
    it("gives data sets, and readings with unit and time", async () => {
        const { code, json } = await call("p1", telegram.toString("hex"))
        expect(code).toBe(0)
        expect(json.telegrams[0].readings).toEqual([
            { obis: "1-0:1.8.0*255", value: "1234567", unit: "Wh" },
            { obis: "0-1:24.2.1*255", value: "12.5", unit: "m3", time: "2023-01-01T12:00:00" },
        ])
        expect(json.telegrams[0].crc.ok).toBe(true)
    })

    it("a telegram with a changed digit is damaged; as it is, it is read all the same", async () => {
        const damaged = Buffer.from(telegram.toString("latin1").replace("1234", "1235")).toString("hex")
        const { code, json, err } = await call("p1", damaged)
        expect([code, json.telegrams[0].error.cause, json.telegrams[0].error.name]).toEqual([1, "damaged", "P1Crc"])
        expect(err).toContain("damaged")
        expect((await call("p1", damaged, "--as-is")).json.telegrams[0].readings[0].value).toBe("1235567")
    })

    it("several telegrams in one stream, one of them cut off", async () => {
        const stream = Buffer.concat([telegram, telegram.subarray(0, 40), Buffer.from("\r\n"), telegram])
        const { json } = await call("p1", stream.toString("hex"))
        expect(json.telegrams.map((each: any) => each.readings.length)).toEqual([2, 2])
    })

    it("an encrypted telegram opens with its keys, and with no other", async () => {
        const octets = sealed(telegram, 5).toString("hex")
        expect((await call("p1", octets, ...keyWords)).json.telegrams[0].readings.length).toBe(2)
        expect((await call("p1", octets)).json.telegrams[0].error.cause).toBe("no key")
        expect((await call("p1", octets, "--key", "03".repeat(16))).json.telegrams[0].error.cause).toBe("wrong key")
    })
})

describe("plomb decode iec62056", () => {
    const readout = Buffer.concat([
        Buffer.from("/ABC5METER\r\n"),
        iecChecked(Buffer.from("\u00021.8.0(0012.5*kWh)\r\nC.1(12345)\r\n!\r\n\u0003"), 0),
    ])

    it("a readout of mode C, in seven bits and with parity alike", async () => {
        for (const octets of [readout, iecParity(readout)]) {
            const [decoded] = (await call("iec62056", octets.toString("hex"))).json.telegrams
            expect(decoded.identification).toMatchObject({ manufacturer: "ABC", baud: 9600, id: "METER" })
            expect([decoded.mode, decoded.blockCheck.kind]).toEqual(["C", "xor"])
            expect(decoded.readings.map((each: any) => [each.obis, each.value])).toEqual([
                ["1-0:1.8.0*255", "12500"],
                ["0-0:96.1.0*255", "12345"],
            ])
        }
    })

    it("a wrong block check and a wrong parity are damage", async () => {
        const changed = Buffer.from(readout)
        changed[20] ^= 1
        const causes = []
        for (const octets of [
            changed,
            Buffer.from(iecParity(readout).map((octet, i) => (i === 20 ? octet ^ 1 : octet))),
        ])
            causes.push((await call("iec62056", octets.toString("hex"))).json.telegrams[0].error)
        expect(causes.map(each => [each.cause, each.name])).toEqual([
            ["damaged", "IecCheck"],
            ["damaged", "IecParity"],
        ])
    })
})

describe("plomb decode dlms", () => {
    const hdlc = (information: Buffer, segmented = false) =>
        hdlcFrame(hdlcAddress(16, 0, 1), hdlcAddress(1, 17, 2), 0x13, information, segmented)
    const cause = async (...args: string[]) => {
        const { json } = await call("dlms", ...args)
        return (json.apdus[0]?.error ?? json.error).cause
    }

    it("a ciphered push, segmented in HDLC frames, gives readings and its proof", async () => {
        const pdu = Buffer.concat([Buffer.from("e6e700", "hex"), ciphered])
        const stream = Buffer.concat([hdlc(pdu.subarray(0, 30), true), hdlc(pdu.subarray(30))]).toString("hex")
        const { code, json } = await call("dlms", stream, ...keyWords)
        expect([code, json.frames.length, json.apdus.length]).toEqual([0, 2, 1])
        expect(json.apdus[0].readings).toEqual([{ obis: "1-0:1.8.0*255", value: "123456", unit: "Wh" }])
        expect(json.apdus[0].ciphering).toMatchObject({ invocationCounter: 77, proof: "mac" })
    })

    it("is what the machine's own AES-GCM makes", () => {
        expect(ciphered.toString("hex")).toBe(sealed(list, 77).toString("hex"))
    })

    it("without the authentication key the proof is less", async () => {
        const { json } = await call("dlms", ciphered.toString("hex"), "--key", "01".repeat(16))
        expect(json.apdus[0].ciphering.proof).toBe("decrypted")
    })

    it("no key, wrong key, damage, another suite and replay are told apart", async () => {
        const octets = ciphered.toString("hex")
        const changed = Buffer.from(ciphered)
        changed[40] ^= 4
        const suite = Buffer.from(ciphered)
        suite[11] |= 1
        expect(await cause(octets)).toBe("no key")
        expect(await cause(octets, "--key", "02".repeat(16), "--auth-key", "02".repeat(16))).toBe("wrong key")
        expect(await cause(changed.toString("hex"), ...keyWords)).toBe("damaged")
        expect(await cause(suite.toString("hex"), ...keyWords)).toBe("unsupported")
        expect(await cause(octets, ...keyWords, "--last", "77")).toBe("replayed")
        expect((await call("dlms", octets, ...keyWords, "--last", "76")).code).toBe(0)
        const frame = hdlc(ciphered)
        frame[30] ^= 1
        expect(await cause(frame.toString("hex"), ...keyWords)).toBe("damaged")
    })

    it("over wired M-Bus, in two segments", async () => {
        const long = (ci: number, part: Buffer) => {
            const body = Buffer.concat([Buffer.of(0x53, 0xff, ci, 1, 0x67), part])
            const sum = body.reduce((total, octet) => total + octet, 0) & 0xff
            return Buffer.concat([Buffer.of(0x68, body.length, body.length, 0x68), body, Buffer.of(sum, 0x16)])
        }
        const stream = Buffer.concat([long(0, ciphered.subarray(0, 25)), long(0x11, ciphered.subarray(25))])
        expect((await call("dlms", stream.toString("hex"), ...keyWords)).json.apdus[0].readings.length).toBe(1)
    })
})
