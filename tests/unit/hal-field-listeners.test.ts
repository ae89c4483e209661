import { beforeEach, describe, expect, it } from "vitest"
import { HdlcReceiver, hdlcAddress, hdlcFrame } from "../../firmware/core/hdlc"
import { IecReceiver } from "../../firmware/core/iec62056"
import { SmlReceiver } from "../../firmware/core/sml-receive"
import { writeFile } from "../../firmware/core/sml-transport"
import { PushListener } from "../../hal/push-listener"
import { Sc16is752 } from "../../hal/sc16is752"
import {
    RADIO_AMB8465,
    RADIO_C1,
    RADIO_C1_T1,
    RADIO_IM871A,
    RADIO_S1,
    RADIO_T1,
    WmbusReceiver,
} from "../../hal/wmbus-receiver"
import { Rs485Wire } from "../../tools/chips/rs485-wire"
import { Sc16is752 as Sc16Model } from "../../tools/chips/sc16is752"
import { plainFormat } from "../../tools/chips/uart-frame"
import { WmbusModule } from "../../tools/chips/wmbus-module"
import { codeThrown } from "../helpers/errors"
import { ModelBus } from "../helpers/model-bus"
import { ModelTime } from "../helpers/model-time"
import { seeded } from "../helpers/random"

let time: ModelTime
let wire: Rs485Wire

beforeEach(() => {
    time = new ModelTime()
    time.install()
    wire = new Rs485Wire({ clock: time })
})

function uart() {
    const model = new Sc16Model({ clock: time })
    model.channels[0].connect(wire)
    const part = new Sc16is752(new ModelBus(time, [model], 400_000), 0x4d, 14745600)
    part.start()
    return { port: part.port(0), model }
}

function wait(poll: () => void, ms: number, every = 5): void {
    for (let waited = 0; waited < ms; waited += every) {
        time.advance(every)
        poll()
    }
}

describe.each([
    ["im871a", RADIO_IM871A, [3, 6, 0, 10], 125, -60],
    ["amb8465", RADIO_AMB8465, [8, 14, 3, 9], 0xf0, -82],
] as const)("wireless M-Bus module %s", (kind, number, numbers, raw, dBm) => {
    const telegrams = Array.from({ length: 20 }, (_, i) => {
        const telegram = seeded(i).octets(12 + i * 12)
        telegram[0] = telegram.length - 1
        return telegram
    })

    function radio() {
        const { port, model } = uart()
        const module = new WmbusModule(wire, time, kind)
        const heard: string[] = []
        const receiver = new WmbusReceiver(port, number, (telegram, strength) =>
            heard.push(`${telegram.toString("hex")} ${strength}`),
        )
        return { module, receiver, heard, model }
    }

    it("is reset and set to its mode; telegrams come whole, with the strength of their signal", () => {
        for (const [i, mode] of [RADIO_T1, RADIO_C1, RADIO_S1, RADIO_C1_T1].entries()) {
            const { module, receiver, heard } = radio()
            receiver.start(mode)
            expect([module.resets, module.mode]).toEqual([1, numbers[i]])
            for (const telegram of telegrams) {
                module.air(telegram, raw)
                wait(() => receiver.poll(), 400)
            }
            expect(heard).toEqual(telegrams.map(t => `${t.toString("hex")} ${dBm}`))
            expect([receiver.junk, receiver.overruns]).toEqual([0, 0])
            module.mode = undefined
            wire = new Rs485Wire({ clock: time })
        }
    })

    it("repeats a command that was not heard, and says that nobody answers", () => {
        const { module, receiver } = radio()
        module.deaf = 2
        receiver.start(RADIO_T1)
        expect(module.mode).toBe(numbers[0])
        module.deaf = 3
        expect(codeThrown(() => receiver.start(RADIO_T1))).toBe("PartAbsent")
    })

    it("finds the next telegram behind noise and behind one cut off", () => {
        const { module, receiver, heard } = radio()
        receiver.start(RADIO_T1)
        const noise = wire.tap({ format: plainFormat(number === RADIO_IM871A ? 57_600 : 9600) })
        for (const bad of ["ffa50303", "a5820360441234", "ff03f0440102", "000000ff"]) {
            noise.send(Buffer.from(bad, "hex"))
            wait(() => receiver.poll(), 100)
            module.air(telegrams[3], raw)
            wait(() => receiver.poll(), 400)
        }
        expect(heard.length).toBe(4)
        expect(receiver.junk).toBeGreaterThan(10)
    })

    it("hands up nothing damaged", () => {
        const { module, receiver, heard } = radio()
        receiver.start(RADIO_T1)
        wire.noise = { seed: 3, flip: 0.005, drop: 0.002, insert: 0.002 }
        for (let i = 0; i < 60; ++i) {
            module.air(telegrams[i % 8], raw)
            wait(() => receiver.poll(), 250)
        }
        const good = new Set(telegrams.map(t => t.toString("hex")))
        expect(heard.length).toBeGreaterThan(20)
        // An exclusive or misses two errors in the same bit; a CRC does not.
        const wrong = heard.filter(line => !good.has(line.split(" ")[0])).length
        expect(wrong).toBeLessThanOrEqual(number === RADIO_IM871A ? 0 : 2)
    })
})

describe("meters that send unasked", () => {
    it("reads SML at 9600 Bd, joins in the midst, and goes on behind a telegram cut off and a loss", () => {
        const { port, model } = uart()
        const files: Buffer[] = []
        const listener = new PushListener(
            port,
            new SmlReceiver(
                2048,
                true,
                raw => files.push(raw),
                () => {},
            ),
            150,
            false,
        )
        listener.open(9600, 0)
        const meter = wire.tap({ format: plainFormat(9600) })
        const sent = Array.from({ length: 4 }, (_, i) => writeFile([Buffer.alloc(300, 0x60 + i)]))
        const send = (octets: Buffer) => {
            meter.send(octets)
            wait(() => listener.poll(), 1000, 20)
        }
        send(sent[0].subarray(100))
        send(sent[1])
        send(sent[2].subarray(0, 200))
        send(sent[3])
        expect(files).toEqual([sent[1], sent[3]])
        expect(listener.silences).toBe(4)
        // Nobody looked for too long.
        meter.send(sent[0])
        time.advance(1000)
        listener.poll()
        model.channels[0].reset()
        // Silence is checked now and then only.
        wait(() => listener.poll(), 6000, 20)
        send(sent[1])
        send(sent[2])
        expect(files.slice(2)).toContainEqual(sent[2])
        expect([listener.overruns, listener.resets]).toEqual([1, 1])
    })

    it.each([
        [115200, 0, false, "none"],
        [2400, 2, false, "even"],
        [2400, 0, true, "even"],
    ] as const)(
        "reads P1 and mode D at %d Bd, parity setting %d, parity taken off here: %s",
        (baud, parity, sevenBits, sent) => {
            const { port } = uart()
            const telegrams: string[] = []
            const receiver = new IecReceiver(true, 2048, octets => telegrams.push(octets.toString("utf8")))
            const listener = new PushListener(port, receiver, 500, sevenBits)
            listener.open(baud, parity)
            const meter = wire.tap({ format: { baud, dataBits: sent === "even" ? 7 : 8, parity: sent, stopBits: 1 } })
            const text = "/ABC5meter\r\n\r\n1-0:1.8.0(000123.45*kWh)\r\n!\r\n"
            for (const part of [text.slice(20), text, text.slice(0, 30), text]) {
                meter.send(Buffer.from(part))
                wait(() => listener.poll(), 2000, 4)
            }
            expect(telegrams).toEqual([text, text])
        },
    )

    it("reads DLMS push frames, several in a row, and goes on behind one cut off", () => {
        const { port } = uart()
        const controls: number[] = []
        const receiver = new HdlcReceiver(2048, frame => controls.push(frame.octets.length))
        const listener = new PushListener(port, receiver, 150, false)
        listener.open(2400, 1)
        const meter = wire.tap({ format: { baud: 2400, dataBits: 8, parity: "even", stopBits: 1 } })
        const frame = hdlcFrame(hdlcAddress(16, 0, 1), hdlcAddress(1, 0, 1), 0x13, Buffer.alloc(120, 0x0f), false)
        const send = (octets: Buffer) => {
            meter.send(octets)
            wait(() => listener.poll(), 2500, 20)
        }
        send(Buffer.concat([frame, frame]))
        expect(controls).toEqual([frame.length - 2, frame.length - 2])
        send(frame.subarray(0, 60))
        send(frame)
        expect(controls.length).toBe(3)
    })
})
