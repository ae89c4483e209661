import { connect } from "node:net"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { DlmsClient } from "../../firmware/core/dlms-client"
import { DlmsKeys } from "../../firmware/core/dlms-security"
import { Code, PlombError } from "../../firmware/core/errors"
import {
    HDLC_DISC,
    HDLC_SNRM,
    HdlcLink,
    HdlcReceiver,
    hdlcAddress,
    LINK_DOWN,
    LINK_MESSAGE,
    LINK_UP,
} from "../../firmware/core/hdlc"
import { IEC_XOR, iecAcknowledge, iecCommand, iecRequest } from "../../firmware/core/iec62056"
import { MBUS_ACK, mbusLongFrame, mbusShortFrame } from "../../firmware/core/mbus-frame"
import { UsageError } from "../../tools/cli/usage.ts"
import { decodeDlms } from "../../tools/decode/dlms.ts"
import { decodeIec, decodeP1 } from "../../tools/decode/iec62056.ts"
import { decodeWired } from "../../tools/decode/mbus.ts"
import { decodeSml } from "../../tools/decode/sml.ts"
import { run } from "../../tools/emulate/command.ts"
import { DlmsEmulator, type DlmsOptions } from "../../tools/emulate/dlms.ts"
import { IecEmulator, type IecOptions } from "../../tools/emulate/iec62056.ts"
import { MeterLine } from "../../tools/emulate/line.ts"
import { MbusEmulator } from "../../tools/emulate/mbus.ts"
import { decimalText, meterOf } from "../../tools/emulate/meter.ts"
import type { Port } from "../../tools/emulate/port.ts"
import { SmlEmulator, smlFile } from "../../tools/emulate/sml.ts"

beforeEach(() => void vi.useFakeTimers({ now: 1_700_000_000_000 }))
afterEach(() => void vi.useRealTimers())

const meter = meterOf()

/** A port in memory: what the meter says, and which bauds it went to. */
function memoryPort(errors = 0) {
    const said: Buffer[] = []
    const bauds: number[] = []
    const port: Port = {
        name: "memory",
        onData: () => {},
        write: octets => void said.push(octets),
        setBaud: baud => void bauds.push(baud),
        close: async () => {},
    }
    const line = new MeterLine(port, errors, 1, () => {})
    const taken = () => Buffer.concat(said.splice(0))
    return { line, bauds, taken }
}

const wanted = [
    ["1-0:1.8.0*255", "12345678", "Wh"],
    ["1-0:2.8.0*255", "250000", "Wh"],
    ["1-0:16.7.0*255", "1500", "W"],
    ["1-0:32.7.0*255", "230.1", "V"],
    ["1-0:31.7.0*255", "6.52", "A"],
    ["1-0:14.7.0*255", "50.01", "Hz"],
]
const shown = (readings: { obis: string; value?: string; unit?: string }[] = []) =>
    readings.filter(each => wanted.some(([obis]) => obis === each.obis)).map(each => [each.obis, each.value, each.unit])

describe("an emulated SML meter", () => {
    it("pushes a file each second that is strict SML", () => {
        const { line, taken } = memoryPort()
        const emulated = new SmlEmulator(meter, line, 1000)
        vi.advanceTimersByTime(3000)
        emulated.stop()
        const { files, problems, junkOctets } = decodeSml(taken(), "strict")
        expect([files.length, problems, junkOctets]).toEqual([3, [], 0])
        expect(shown(files[0].readings)).toEqual(wanted)
    })

    it("its registers grow as the profile says", () => {
        const [file] = decodeSml(smlFile(meter, 2 * 3_600_000, 1), "strict").files
        expect(shown(file.readings)[0]).toEqual(["1-0:1.8.0*255", "12348678", "Wh"])
    })

    it("damages the share of its frames that is asked for, and no other", () => {
        const { line, taken } = memoryPort(0.2)
        const emulated = new SmlEmulator(meter, line, 1000)
        vi.advanceTimersByTime(500_000)
        emulated.stop()
        const { files } = decodeSml(taken(), "strict")
        expect(line.sent).toBe(500)
        expect(line.damaged).toBeGreaterThan(70)
        expect(line.damaged).toBeLessThan(130)
        expect(files.length).toBe(line.sent - line.damaged)
    })
})

describe("emulated M-Bus slaves", () => {
    function bus(count: number) {
        const { line, bauds, taken } = memoryPort()
        const meters = Array.from({ length: count }, (_, i) => ({ ...meter, id: String(10000001 + i) }))
        const emulated = new MbusEmulator(meters, 1, line)
        const ask = (frame: Buffer) => {
            emulated.take(frame)
            return taken()
        }
        const select = (digits: string) =>
            ask(mbusLongFrame(0x53, 253, Buffer.concat([Buffer.of(0x52), Buffer.from(digits, "hex")])))
        return { ask, select, bauds }
    }
    const ack = Buffer.of(MBUS_ACK)
    const idOf = (frame: Buffer) => decodeWired(frame, undefined).telegrams[0].meter?.id

    it("answer SND_NKE and REQ_UD2 at their primary address", () => {
        const { ask } = bus(3)
        expect(ask(mbusShortFrame(0x40, 2))).toEqual(ack)
        const [telegram] = decodeWired(ask(mbusShortFrame(0x7b, 2)), undefined).telegrams
        expect([telegram.primary, telegram.meter?.id]).toEqual([2, "10000002"])
        // The sum of all phases has no code of its own here.
        expect(shown(telegram.readings)).toEqual([wanted[0], wanted[1], wanted[5]])
        expect(telegram.records?.map(each => Number(each.value))).toEqual([12345678, 250000, 1500, 230.1, 6.52, 50.01])
        expect(ask(mbusShortFrame(0x40, 9)).length).toBe(0)
    })

    it("with the same frame count bit say the same again, with the other one the next", () => {
        const { ask } = bus(1)
        ask(mbusShortFrame(0x40, 1))
        const first = ask(mbusShortFrame(0x7b, 1))
        expect(ask(mbusShortFrame(0x7b, 1))).toEqual(first)
        expect(ask(mbusShortFrame(0x5b, 1))).not.toEqual(first)
    })

    it("are found by wildcards; who answer at once disturb each other", () => {
        const { ask, select } = bus(3)
        expect(select("ffffffffffffffff")).toEqual(ack)
        const together = ask(mbusShortFrame(0x7b, 253))
        expect(decodeWired(together, undefined).telegrams[0].error?.name).toBe("MbusFrame")
        expect(select("02000010ffffffff")).toEqual(ack)
        expect(idOf(ask(mbusShortFrame(0x7b, 253)))).toBe("10000002")
        expect(select("09000010ffffffff").length).toBe(0)
        expect(ask(mbusShortFrame(0x7b, 253)).length).toBe(0)
        // PLB, version 1, electricity
        expect(select("f3ffff1082410102")).toEqual(ack)
        expect(idOf(ask(mbusShortFrame(0x7b, 253)))).toBe("10000003")
        expect(ask(mbusShortFrame(0x40, 253))).toEqual(ack)
        expect(ask(mbusShortFrame(0x7b, 253)).length).toBe(0)
    })

    it("take another address and other bauds, and obey broadcasts in silence", () => {
        const { ask, bauds } = bus(1)
        expect(ask(mbusLongFrame(0x53, 1, Buffer.from("51017a2a", "hex")))).toEqual(ack)
        expect(ask(mbusShortFrame(0x40, 1)).length).toBe(0)
        expect(ask(mbusShortFrame(0x40, 42))).toEqual(ack)
        expect(ask(mbusLongFrame(0x53, 42, Buffer.of(0xbd)))).toEqual(ack)
        expect(bauds).toEqual([9600])
        expect(ask(mbusShortFrame(0x40, 255)).length).toBe(0)
        expect(ask(mbusShortFrame(0x40, 254))).toEqual(ack)
    })

    it("split what is too much for a telegram", () => {
        const { line, taken } = memoryPort()
        const many = Array.from({ length: 60 }, (_, i) => ({ ...meter.registers[0], raw: i }))
        const emulated = new MbusEmulator([{ ...meter, registers: many }], 1, line)
        const values: number[] = []
        for (let bit = 1, more = true; more; bit ^= 1) {
            emulated.take(mbusShortFrame(0x5b | (bit << 5), 1))
            const [{ records = [] }] = decodeWired(taken(), undefined).telegrams
            more = records.at(-1)?.moreFollow === true
            values.push(...records.filter(each => each.raw !== undefined).map(each => Number(each.value)))
        }
        expect(values).toEqual(Array.from({ length: 60 }, (_, i) => i))
    })
})

describe("an emulated meter of IEC 62056-21", () => {
    const basis: IecOptions = {
        mode: "c",
        baudCharacter: "5",
        parity: false,
        password: "123",
        everyMs: 1000,
        reactionMs: 0,
        patienceMs: 2000,
    }
    function device(options: Partial<IecOptions> = {}) {
        const { line, bauds, taken } = memoryPort()
        const emulated = new IecEmulator(meter, line, { ...basis, ...options })
        const ask = (octets: Buffer) => {
            emulated.take(octets)
            return taken()
        }
        return { emulated, ask, bauds, taken }
    }

    it("signs on at 300 bauds, goes to those agreed, and reads out", () => {
        const { ask, bauds } = device()
        expect(ask(iecRequest("")).toString()).toBe("/PLB5EMULATED\r\n")
        const [readout] = decodeIec(ask(iecAcknowledge(0x35, 0, 0)), false)
        expect(bauds).toEqual([300, 9600])
        expect(readout.blockCheck?.kind).toBe("xor")
        expect(shown(readout.readings)).toEqual(wanted)
    })

    it("answers to its own address alone, whatever zeros stand in front", () => {
        const { ask } = device()
        expect(ask(iecRequest("10000001")).length).toBeGreaterThan(0)
        expect(ask(iecRequest("0010000001")).length).toBeGreaterThan(0)
        expect(ask(iecRequest("10000002")).length).toBe(0)
    })

    it("repeats after NAK, and reads out at 300 bauds where nobody acknowledges", () => {
        const { ask, bauds, taken } = device()
        ask(iecRequest(""))
        vi.advanceTimersByTime(2000)
        const readout = taken()
        expect(bauds).toEqual([300])
        expect(ask(Buffer.of(21))).toEqual(readout)
    })

    it("programming mode: P0, password, reading and writing, refusal of a wrong block check, break", () => {
        const { ask } = device()
        ask(iecRequest(""))
        const operand = ask(iecAcknowledge(0x35, 1, 0))
        expect(decodeIec(operand, false)[0]).toMatchObject({
            command: "P0",
            dataSets: [{ values: [{ value: "10000001" }] }],
        })
        const read = iecCommand("R1", Buffer.from("1.8.0()"), IEC_XOR)
        expect(decodeIec(ask(read), false)[0].readings?.[0]).toMatchObject({ value: "12345678" })
        const write = iecCommand("W1", Buffer.from("C.1(1)"), IEC_XOR)
        expect(ask(write).toString()).toContain("ERR3")
        expect(ask(iecCommand("P1", Buffer.from("(12)"), IEC_XOR)).toString()).toContain("ERR1")
        expect(ask(iecCommand("P1", Buffer.from("(123)"), IEC_XOR))).toEqual(Buffer.of(6))
        expect(ask(write)).toEqual(Buffer.of(6))
        const damaged = Buffer.from(read)
        damaged[5] ^= 1
        expect(ask(damaged)).toEqual(Buffer.of(21))
        ask(iecCommand("B0", Buffer.alloc(0), IEC_XOR))
        expect(ask(read).length).toBe(0)
    })

    it("modes A and B read out at once, B at its own bauds; parity on request", () => {
        const plain = device({ mode: "a" }).ask(iecRequest(""))
        expect(shown(decodeIec(plain, false)[0].readings)).toEqual(wanted)
        const { ask, bauds } = device({ mode: "b", baudCharacter: "E", parity: true })
        const octets = ask(iecRequest(""))
        expect(octets.some(octet => octet > 127)).toBe(true)
        expect(decodeIec(octets, false)[0].mode).toBe("B")
        expect(bauds).toEqual([300, 9600])
    })

    it("mode D pushes P1 telegrams", () => {
        const { emulated, taken } = device({ mode: "d" })
        vi.advanceTimersByTime(2000)
        emulated.stop()
        const telegrams = decodeP1(taken(), false)
        expect(telegrams.map(each => each.crc?.ok)).toEqual([true, true])
        expect(shown(telegrams[0].readings)).toEqual(wanted)
    })
})

describe("an emulated meter of DLMS/COSEM", () => {
    const keys = new DlmsKeys(Buffer.alloc(16, 1), Buffer.alloc(16, 2))
    const title = Buffer.from("434c490000000001", "hex")
    const energy = Buffer.from("0100010800ff", "hex")

    /** A reader: HDLC link and client against the meter, every message at once. */
    function reader(options: Partial<DlmsOptions>, client: DlmsClient, segment = 128) {
        const { line, taken } = memoryPort()
        const emulated = new DlmsEmulator(meter, line, { pushMs: 0, ...options })
        const link = new HdlcLink(hdlcAddress(16, 0, 1), hdlcAddress(1, 17, 2), segment, 8192)
        let event = 0
        const receiver = new HdlcReceiver(2100, frame => {
            event = link.take(frame)
        })
        /** Sends what the link has to send until it has nothing more; gives the last event. */
        const turn = () => {
            while (link.toSend.length > 0) {
                const frame = link.toSend
                link.toSend = Buffer.alloc(0)
                emulated.take(frame)
                receiver.feed(taken())
            }
            return event
        }
        link.command(HDLC_SNRM)
        expect(turn()).toBe(LINK_UP)
        /** Sends an APDU and all that follows from the answers. */
        const exchange = (apdu: Buffer) => {
            for (let next = apdu; next.length > 0; ) {
                link.send(Buffer.concat([Buffer.from("e6e600", "hex"), next]))
                expect(turn()).toBe(LINK_MESSAGE)
                next = client.take(Buffer.from(link.message.subarray(3)))
            }
        }
        return { exchange, link, turn }
    }
    const none = () => new DlmsClient(0, Buffer.alloc(0), undefined, title, 0, -1, 8192)
    const gmac = (secret = keys, last = -1) => new DlmsClient(5, Buffer.alloc(16, 7), secret, title, 5, last, 8192)
    const codeOf = (action: () => void) => {
        try {
            action()
        } catch (error) {
            if (error instanceof PlombError) return Code[error.code]
        }
        return ""
    }

    it("association none: value, scaler and unit of a register, and what it has not", () => {
        const client = none()
        const { exchange, link, turn } = reader({}, client)
        exchange(client.start())
        exchange(client.get(3, energy, 2))
        expect(client.data.toString("hex")).toBe("0600bc614e")
        exchange(client.get(3, energy, 3))
        expect(client.data.toString("hex")).toBe("02020f00161e")
        exchange(client.get(3, Buffer.from("0100630800ff", "hex"), 2))
        expect([client.refusal, client.data.length]).toEqual([4, 0])
        link.command(HDLC_DISC)
        expect(turn()).toBe(LINK_DOWN)
    })

    it("GMAC: both prove their key, everything is ciphered, a long list comes in blocks and segments", () => {
        const client = gmac()
        const { exchange } = reader({ keys }, client, 64)
        exchange(client.start())
        expect(client.associated).toBe(true)
        exchange(client.get(15, Buffer.from("0000280000ff", "hex"), 2))
        expect(client.data.subarray(0, 4).toString("hex")).toBe("01820009")
        exchange(client.get(3, energy, 2))
        expect(client.data.toString("hex")).toBe("0600bc614e")
        expect(client.lastHeard()).toBeGreaterThan(3)
    })

    it("another key is refused by the meter, and an old counter of the meter by the client", () => {
        const wrong = gmac(new DlmsKeys(Buffer.alloc(16, 9), keys.authentication))
        expect(codeOf(() => reader({ keys }, wrong).exchange(wrong.start()))).toBe("MeterRefused")
        const late = gmac(keys, 1000)
        expect(codeOf(() => reader({ keys }, late).exchange(late.start()))).toBe("DlmsReplayed")
    })

    it("low: the password is asked for", () => {
        const low = (password: string) => new DlmsClient(1, Buffer.from(password), undefined, title, 0, -1, 8192)
        const [good, bad] = [low("12345678"), low("87654321")]
        reader({ password: "12345678" }, good).exchange(good.start())
        expect(good.associated).toBe(true)
        expect(codeOf(() => reader({ password: "12345678" }, bad).exchange(bad.start()))).toBe("MeterRefused")
    })

    it("a push is a list with units, ciphered where there are keys", () => {
        for (const secret of [undefined, keys]) {
            const { line, taken } = memoryPort()
            const emulated = new DlmsEmulator(meter, line, { keys: secret, pushMs: 1000 })
            vi.advanceTimersByTime(1000)
            emulated.stop()
            const { apdus } = decodeDlms(taken(), { keys: secret, title: Buffer.alloc(0), last: -1 })
            expect(shown(apdus[0].readings)).toEqual(wanted)
            expect(apdus[0].ciphering?.proof).toBe(secret ? "mac" : undefined)
        }
    })
})

describe("plomb emulate", () => {
    it("wrong words are a usage error, and a name in no folder is told in one line", async () => {
        vi.useRealTimers()
        for (const words of [
            "",
            "gas --listen 0",
            "sml",
            "sml --listen x",
            "sml --listen 0 --errors 5",
            "mbus --listen 0 --meters 0",
            "iec62056 --listen 0 --mode e",
            "iec62056 --listen 0 --baud-character 9",
            "dlms --listen 0 --key 00",
            "sml --listen 0 --profile /nowhere",
        ])
            await expect(run(words.split(" ").filter(Boolean))).rejects.toBeInstanceOf(UsageError)
        const said = vi.spyOn(console, "error").mockImplementation(() => {})
        expect(await run(["sml", "--port", "/no/such/folder/meter"])).toBe(1)
        expect(said.mock.calls.length).toBe(1)
        said.mockRestore()
    })

    it("serves over TCP and says how many frames were damaged", async () => {
        vi.useRealTimers()
        const printed: string[] = []
        const log = vi.spyOn(console, "log").mockImplementation(text => void printed.push(text))
        const ended = run(["sml", "--listen", "0", "--every", "20", "--for", "1.5"])
        while (printed.length === 0) await new Promise(resolve => setTimeout(resolve, 5))
        const port = Number(/:(\d+)$/.exec(printed[0])?.[1])
        const heard = await new Promise<Buffer>(resolve => {
            let got = Buffer.alloc(0)
            const socket = connect(port, "127.0.0.1")
            socket.on("data", octets => {
                got = Buffer.concat([got, octets])
                if (got.length > 600) socket.end(() => resolve(got))
            })
        })
        expect(await ended).toBe(0)
        log.mockRestore()
        expect(decodeSml(heard, "strict").files.length).toBeGreaterThan(0)
        expect(printed.at(-1)).toMatch(/^\d+ frames sent, 0 of them damaged$/)
    })
})

describe("profile of an emulated meter", () => {
    it("says what is wrong with it", () => {
        const good = {
            id: "00000001",
            manufacturer: "ABC",
            registers: [{ obis: "7-0:3.0.0*255", value: "12.5", unit: "m3" }],
        }
        expect(meterOf(good).registers[0]).toMatchObject({ unit: 13, scaler: -1, raw: 125 })
        for (const bad of [
            { ...good, id: "1" },
            { ...good, manufacturer: "abc" },
            { ...good, registers: [] },
            { ...good, registers: [{ ...good.registers[0], unit: "furlong" }] },
            { ...good, registers: [{ ...good.registers[0], value: "many" }] },
            { ...good, registers: [{ ...good.registers[0], obis: "1.8.0" }] },
        ])
            expect(() => meterOf(bad)).toThrow("profile")
    })

    it("prints numbers exactly", () => {
        expect(decimalText(12345678, 0, true, 6)).toBe("012345.678")
        expect(decimalText(-5, -1, false)).toBe("-0.5")
        expect(decimalText(7, 2, false)).toBe("700")
    })
})
