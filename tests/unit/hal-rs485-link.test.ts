import { beforeEach, describe, expect, it } from "vitest"
import { Code, PlombError } from "../../firmware/core/errors"
import { writeFile } from "../../firmware/core/sml-transport"
import type { UartPort } from "../../hal/ports"
import { SmlLine } from "../../hal/rs485-link"
import { codeThrown } from "../helpers/errors"
import { ModelTime } from "../helpers/model-time"

/** A port on a line of one octet a millisecond; `echo` returns what is sent. */
class FakePort implements UartPort {
    rx: number[] = []
    tx: number[] = []
    line: number[] = []
    echo: (octet: number) => number[] = () => []
    problem: Code | undefined
    opened = 0
    open() {
        ++this.opened
        this.problem = undefined
    }
    send(octets: Buffer) {
        this.tx.push(...octets)
        while (this.tx.length > 64) time.advance(1)
    }
    receive() {
        const problem = this.problem
        if (problem === Code.UartOverrun) this.problem = undefined
        if (problem !== undefined) throw new PlombError(problem, -1, "", "")
        return Buffer.from(this.rx.splice(0))
    }
    sent() {
        return this.tx.length === 0
    }
    tick() {
        const octet = this.tx.shift()
        if (octet === undefined) return
        this.line.push(octet)
        this.rx.push(...this.echo(octet))
    }
}

const request = writeFile([Buffer.alloc(37, 0x76)])
const answer = writeFile([Buffer.alloc(150, 0x77)])
let time: ModelTime
let port: FakePort
let line: SmlLine

beforeEach(() => {
    time = new ModelTime()
    time.install()
    port = new FakePort()
    time.everyMs = () => port.tick()
    line = new SmlLine(port)
    line.open()
    time.advance(50)
})

/** Lets `octets` arrive, one a millisecond, while the line is polled. */
function arrive(octets: Buffer, everyMs = 10): Buffer[] {
    const files: Buffer[] = []
    for (let i = 0; i < octets.length; ++i) {
        port.rx.push(octets[i])
        time.advance(1)
        if (i % everyMs === 0 || i === octets.length - 1) {
            const file = line.poll()
            if (file) files.push(file)
        }
    }
    return files
}

describe("SML over a half duplex line", () => {
    it("receives a file that comes in pieces, and the one after it", () => {
        expect(arrive(answer)).toEqual([answer])
        expect(arrive(Buffer.concat([Buffer.from("1b1b00", "hex"), answer]))).toEqual([answer])
    })

    it("keeps of files that nobody takes no more than one and a half of the longest", () => {
        const long = writeFile([Buffer.alloc(4000, 0x77)])
        const later = (files: Buffer[]) => {
            for (const octet of Buffer.concat(files)) {
                port.rx.push(octet)
                time.advance(1)
                if (port.rx.length === 20) (line as any).listen()
            }
            ;(line as any).listen()
        }
        later([long, long, long, answer])
        expect([line.poll(), line.poll(), line.poll()]).toEqual([long, answer, undefined])
        expect(line.unread).toBe(2)
        later([answer, answer, long])
        expect([line.poll(), line.poll()]).toEqual([long, undefined])
    })

    it("says while a file is arriving", () => {
        expect(line.receiving()).toBe(false)
        arrive(answer.subarray(0, 100))
        expect(line.receiving()).toBe(true)
        arrive(answer.subarray(100))
        expect(line.receiving()).toBe(false)
    })

    it("sends a file as it is and returns when the last stop bit has left", () => {
        line.send(request)
        expect(Buffer.from(port.line)).toEqual(request)
        expect(port.sent()).toBe(true)
    })

    it("lets the other side's transceiver go before it sends", () => {
        let firstAt = 0
        arrive(request)
        const heardAt = time.ms
        const tick = time.everyMs
        time.everyMs = () => {
            tick()
            if (port.tx.length > 0 && firstAt === 0) firstAt = time.ms
        }
        line.send(answer)
        expect(firstAt - heardAt).toBeGreaterThanOrEqual(5)
    })

    it("does not send into a line that never falls silent", () => {
        time.everyMs = () => port.rx.push(0x55)
        time.advance(1)
        expect(codeThrown(() => line.send(request))).toBe("LineBusy")
        expect(port.tx).toEqual([])
    })

    it("drops the echo of what it sent and keeps the answer behind it", () => {
        port.echo = octet => [octet]
        for (let i = 1; i <= 3; ++i) {
            line.send(request)
            expect(arrive(answer)).toEqual([answer])
            expect(line.echoes).toBe(i)
        }
        expect(line.collisions).toBe(0)
        expect(line.receiver.files).toBe(3)
        expect(line.receiver.junk).toBe(0)
    })

    it("does not take the beginning of an answer for an echo where there is none", () => {
        line.send(request)
        expect(arrive(answer, 1)).toEqual([answer])
        expect([line.echoes, line.collisions]).toEqual([0, 0])
    })

    it("counts an echo that comes back different as a collision, and reads on", () => {
        port.echo = octet => [octet]
        line.send(request)
        let n = 0
        port.echo = octet => [++n === 20 ? octet ^ 0x10 : octet]
        line.send(request)
        expect(line.collisions).toBe(1)
        expect(arrive(answer)).toEqual([answer])
        port.echo = () => []
        line.send(request)
        time.advance(400)
        expect(line.poll()).toBeUndefined()
        expect(arrive(answer)).toEqual([answer])
    })

    it("gives up a file that stops in its midst, so that the next one is whole", () => {
        arrive(answer.subarray(0, 60))
        time.advance(400)
        expect(line.poll()).toBeUndefined()
        expect(line.receiving()).toBe(false)
        expect(line.receiver.problems[Code.SmlTimeout - Code.SmlTruncated]).toBe(1)
        expect(arrive(answer)).toEqual([answer])
    })

    it("bridges the pauses of a talker that is itself polled", () => {
        arrive(answer.subarray(0, 60))
        time.advance(200)
        expect(arrive(answer.subarray(60))).toEqual([answer])
    })

    it("hands out what another fiber took in, in order, and counts what nobody fetched", () => {
        const files = [1, 2, 3, 4].map(n => writeFile([Buffer.alloc(20, n)]))
        for (const file of files) port.rx.push(...file)
        expect(line.poll()).toEqual(files[1])
        expect(line.unread).toBe(1)
        expect(line.poll()).toEqual(files[2])
        expect(line.poll()).toEqual(files[3])
        expect(line.poll()).toBeUndefined()
    })

    it("drops at a new request what came too late for the one before", () => {
        port.rx.push(...answer)
        line.send(request)
        expect(line.poll()).toBeUndefined()
    })

    it("reports each overrun, and reads the next file", () => {
        for (let i = 1; i <= 2; ++i) {
            port.problem = Code.UartOverrun
            expect(codeThrown(() => line.poll())).toBe("UartOverrun")
            expect(line.overruns).toBe(i)
        }
        expect(arrive(answer)).toEqual([answer])
    })

    it("opens a UART again that was reset", () => {
        port.problem = Code.UartReset
        expect(codeThrown(() => line.poll())).toBe("UartReset")
        expect(arrive(answer)).toEqual([answer])
        expect(port.opened).toBe(2)
        expect(line.resets).toBe(1)
    })

    it("reports the first of a series of bus faults and counts them all", () => {
        port.problem = Code.BusAddressNack
        const codes = Array.from({ length: 5 }, () => codeThrown(() => line.poll()))
        expect(codes).toEqual(["BusAddressNack", "none", "none", "none", "none"])
        expect(line.faults).toBe(5)
        port.problem = undefined
        expect(arrive(answer)).toEqual([answer])
        port.problem = Code.BusAddressNack
        expect(codeThrown(() => line.poll())).toBe("BusAddressNack")
    })

    it("gives up a port that does not send", () => {
        time.everyMs = () => {}
        expect(codeThrown(() => line.send(writeFile([Buffer.alloc(8)])))).toBe("UartBlocked")
    })
})
