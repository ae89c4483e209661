import { beforeEach, describe, expect, it } from "vitest"
import { IecLink } from "../../hal/iec62056-link"
import { Sc16is752 } from "../../hal/sc16is752"
import { IecMeter, type IecMeterOptions } from "../../tools/chips/iec-meter"
import { Rs485Wire } from "../../tools/chips/rs485-wire"
import { Sc16is752 as Sc16Model } from "../../tools/chips/sc16is752"
import { codeThrown } from "../helpers/errors"
import { ModelBus } from "../helpers/model-bus"
import { ModelTime } from "../helpers/model-time"
import { seeded } from "../helpers/random"

const data = "0.0.0(12345678)\r\n1.8.0(000123.45*kWh)\r\n2.8.0(000000.00*kWh)\r\n"
let time: ModelTime

beforeEach(() => {
    time = new ModelTime()
    time.install()
})

function head(options: Partial<IecMeterOptions> = {}, { echo = false, parityInUart = true } = {}) {
    const wire = new Rs485Wire({ clock: time })
    const model = new Sc16Model({ clock: time })
    model.channels[0].connect(wire, { echo })
    const part = new Sc16is752(new ModelBus(time, [model], 400_000), 0x4d, 14745600)
    part.start()
    const meter = new IecMeter(wire, { address: "12345678", identification: "ABC5meter", data: () => data, ...options })
    return { meter, link: new IecLink(part.port(0), parityInUart, 2048) }
}

function readout(link: IecLink, address = "", most = 19200): [string, string] {
    let came: [string, string] = ["", ""]
    link.read(address, most, (identification, message) => {
        const text = message.octets.toString("utf8")
        came = [identification.mode(), text.slice(message.at, message.end)]
    })
    return came
}

describe("IEC 62056-21 at the line", () => {
    it.each([
        ["C", "ABC5meter", true, false, 19200],
        ["C", "ABC5meter", false, true, 19200],
        ["C", "ABC6meter", true, true, 4800],
        ["C", "ABC0meter", false, false, 19200],
        ["B", "ABCEmeter", true, true, 19200],
        ["B", "ABCEmeter", false, false, 19200],
    ])(
        "reads a meter of mode %s, %s, parity in the UART: %s, echo: %s",
        (mode, identification, parityInUart, echo, most) => {
            const { link } = head({ identification }, { echo, parityInUart })
            for (let round = 0; round < 2; ++round) expect(readout(link, "", most)).toEqual([mode, data])
            expect(link.repeats).toBe(0)
        },
    )

    it("reads a meter of mode A at 300 Bd without acknowledging", () => {
        const { link } = head({ identification: "ABC:old" })
        expect(readout(link)[1]).toBe(data)
        expect(link.repeats).toBe(0)
    })

    it.each([30, 1480])("waits for a meter that takes %d ms", reactionMs => {
        expect(readout(head({ reactionMs }).link)).toEqual(["C", data])
    })

    it("says in bounded time that nobody answers to this address", () => {
        const { link } = head()
        expect(codeThrown(() => readout(link, "99"))).toBe("MeterSilent")
        expect(time.ms).toBeLessThan(3 * 3000)
        expect(readout(link, "12345678")[0]).toBe("C")
    })

    it("reads again what came damaged, and says so where it always does", () => {
        const { below } = seeded(4)
        let count = 0
        const damage = (octets: Uint8Array) => {
            const spoilt = Uint8Array.from(octets)
            if (++count % 3 === 0) spoilt[below(octets.length - 1)] ^= 0x22
            return spoilt
        }
        const { link } = head({ damage })
        for (let round = 0; round < 4; ++round) expect(readout(link)).toEqual(["C", data])
        expect(link.repeats).toBeGreaterThan(0)
        const bad = head({ damage: octets => octets.map((octet, i) => (i === 3 ? octet ^ 0x11 : octet)) })
        expect(codeThrown(() => readout(bad.link))).toBe("MeterGarbled")
    })

    it("has what was cut off end with silence", () => {
        const { link } = head({ damage: octets => (octets.length > 30 ? octets.slice(0, 40) : octets) })
        expect(codeThrown(() => readout(link))).toBe("MeterGarbled")
        expect(time.ms).toBeLessThan(3 * 8000)
    })

    it.each([true, false])(
        "works in the programming mode: password, registers, refusal, repeat, break; parity in the UART: %s",
        parityInUart => {
            let spoil = 0
            const damage = (octets: Uint8Array) =>
                octets.map((octet, i) => (i === 2 && spoil-- > 0 ? octet ^ 3 : octet))
            const registers = { "1.8.0()": "1.8.0(000123.45*kWh)" }
            const { link, meter } = head({ password: "00000000", registers, damage }, { parityInUart, echo: true })
            expect(link.program("", 9600).commandAt).toBe(1)
            expect(link.command("P1", Buffer.from("(00000000)")).octets.toString("hex")).toBe("06")
            const said = (request: string) => {
                const message = link.command("R1", Buffer.from(request))
                return message.octets.toString("utf8").slice(message.at, message.end)
            }
            expect(said("1.8.0()")).toBe("1.8.0(000123.45*kWh)")
            expect(said("9.9.9()")).toBe("(ERR01)")
            spoil = 1
            expect(said("1.8.0()")).toBe("1.8.0(000123.45*kWh)")
            expect(meter.again).toBe(1)
            expect(codeThrown(() => link.command("P1", Buffer.from("(1)")))).toBe("none")
            link.breakOff()
            expect(meter.baud).toBe(300)
            expect(readout(link)).toEqual(["C", data])
        },
    )
})
