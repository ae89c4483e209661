import { connect } from "node:net"
import { beforeEach, expect, onTestFinished, test } from "vitest"
import { ManualClock } from "../../tools/chips/clock"
import { LanBridge } from "../../tools/chips/lan-bridge"
import { W5500 } from "../../tools/chips/w5500"
import { TestLan } from "../helpers/lan-peer"

// Control octets as they stand in the data sheet: block in bits 7 to 3, write in bit 2, length in bits 1 and 0.
const commonRead = 0x00
const commonWrite = 0x04
const s0Read = 0x08
const s0Write = 0x0c
const s0Tx = 0x14
const s0Rx = 0x18
const s1Read = 0x28
const s1Write = 0x2c

let clock: ManualClock
let lan: TestLan
let chip: W5500

beforeEach(() => {
    clock = new ManualClock()
    lan = new TestLan()
    chip = new W5500({ clock, network: lan })
    chip.powerOn()
    clock.advance(2)
})

function read(control: number, at: number, length = 1): number[] {
    return [...chip.transfer(Uint8Array.of(at >> 8, at & 0xff, control), length)]
}

function write(control: number, at: number, ...octets: number[]): void {
    chip.transfer(Uint8Array.of(at >> 8, at & 0xff, control, ...octets), 0)
}

const word = (control: number, at: number) => {
    read(control, at, 2)
    const [high, low] = read(control, at, 2)
    return (high << 8) | low
}

/** A peer whose connection to socket 0 is established. */
function established() {
    const peer = lan.connect(443)
    read(s0Read, 3)
    return peer
}

/** A command, and looks at Sn_CR until it is taken; how many it took. */
function command(code: number, control = s0Write): number {
    write(control, 1, code)
    for (let looks = 1; looks < 9; ++looks) if (read(control & ~4, 1)[0] === 0) return looks
    throw new Error("not taken")
}

function listen(port = 443, control = s0Write): void {
    write(control, 0, 0x01)
    write(control, 4, port >> 8, port & 0xff)
    command(0x01, control)
    command(0x02, control)
}

test("reset values: retry time 200 ms, 8 retries, version 4, link at 100 Mbit full duplex, sockets closed with 2 KB each way", () => {
    expect(read(commonRead, 0x19, 3)).toEqual([0x07, 0xd0, 0x08])
    expect(read(commonRead, 0x39)).toEqual([4])
    expect(read(commonRead, 0x2e)).toEqual([0xbf])
    chip.cable = false
    expect(read(commonRead, 0x2e)).toEqual([0xb8])
    expect(read(s0Read, 0x03)).toEqual([0])
    expect(read(s0Read, 0x16)).toEqual([0x80])
    expect(read(s0Read, 0x1e, 2)).toEqual([2, 2])
    expect(read(s0Read, 0x2c, 2)).toEqual([0xff, 0x40])
})

test("addresses go up within a frame; of a fixed length no more octets than it says", () => {
    write(commonWrite, 0x01, 10, 0, 0, 1, 255, 255, 255, 0)
    expect(read(commonRead, 0x01, 8)).toEqual([10, 0, 0, 1, 255, 255, 255, 0])
    write(commonWrite | 1, 0x01, 11, 99)
    write(commonWrite | 2, 0x05, 12, 13, 99)
    write(commonWrite | 3, 0x09, 1, 2, 3, 4, 99)
    expect(read(commonRead, 0x01, 13)).toEqual([11, 0, 0, 1, 12, 13, 255, 0, 1, 2, 3, 4, 0])
})

test("a software reset puts everything back, takes its time and answers nothing meanwhile", () => {
    write(commonWrite, 0x0f, 192, 168, 0, 2)
    listen()
    write(commonWrite, 0x00, 0x80)
    expect(read(commonRead, 0x39)).toEqual([0])
    clock.advance(2)
    expect(read(commonRead, 0x00)).toEqual([0])
    expect(read(commonRead, 0x0f, 4)).toEqual([0, 0, 0, 0])
    expect(read(s0Read, 0x03)).toEqual([0])
})

test("OPEN gives INIT and pointers that are equal and not 0, LISTEN gives LISTEN; a command stays in Sn_CR until it is taken", () => {
    write(s0Write, 0, 0x01)
    expect(command(0x02)).toBeGreaterThan(1)
    expect(read(s0Read, 3)).toEqual([0])
    command(0x01)
    expect(read(s0Read, 3)).toEqual([0x13])
    expect(word(s0Read, 0x24)).toBe(word(s0Read, 0x22))
    expect(word(s0Read, 0x28)).toBe(word(s0Read, 0x2a))
    expect(word(s0Read, 0x24)).not.toBe(0)
    command(0x02)
    expect(read(s0Read, 3)).toEqual([0x14])
    // A second command before the first was taken is lost.
    write(s0Write, 1, 0x08)
    write(s0Write, 1, 0x01)
    expect(chip.violations).toEqual(["command before the last was taken"])
})

test("a peer makes the socket SYN RECEIVED, then ESTABLISHED, tells its address, and raises CON; who finds nobody listening is refused", () => {
    listen()
    expect(lan.connect(80).connected).toBe(false)
    expect(lan.connect(443).connected).toBe(true)
    expect([read(s0Read, 3)[0], read(s0Read, 3)[0]]).toEqual([0x16, 0x17])
    expect(read(s0Read, 0x0c, 6)).toEqual([192, 168, 7, 9, 50_123 >> 8, 50_123 & 0xff])
    expect(read(s0Read, 2)).toEqual([0x01])
    expect(lan.connect(443).connected).toBe(false)
    listen(443, s1Write)
    expect(lan.connect(443).connected).toBe(true)
    expect([read(s1Read, 3)[0], read(s1Read, 3)[0]]).toEqual([0x16, 0x17])
})

test("interrupts: the socket's bit in SIR through its mask, the pin through SIMR; cleared by writing 1", () => {
    listen()
    established()
    expect(read(commonRead, 0x17)).toEqual([1])
    expect(chip.interrupt).toBe(false)
    write(commonWrite, 0x18, 0x01)
    expect(chip.interrupt).toBe(true)
    write(s0Write, 0x2c, 0xfe)
    expect(read(commonRead, 0x17)).toEqual([0])
    write(s0Write, 0x2c, 0xff)
    write(s0Write, 2, 0x01)
    expect([read(s0Read, 2)[0], chip.interrupt]).toEqual([0, false])
})

test("received octets stand in the ring at RX_RD, are counted in RX_RSR until RECV, and wrap at the end of the buffer", () => {
    listen()
    const peer = established()
    let at = word(s0Read, 0x28)
    const sent = Buffer.from(Array.from({ length: 1500 }, (_, i) => (i * 7) & 0xff))
    for (let round = 0; round < 5; ++round) {
        peer.onOctets(sent)
        expect(word(s0Read, 0x26)).toBe(1500)
        expect(read(s0Read, 2)[0] & 4).toBe(4)
        expect(Buffer.from(read(s0Rx, at, 1500)).equals(sent)).toBe(true)
        at = (at + 1500) & 0xffff
        write(s0Write, 0x28, at >> 8, at & 0xff)
        // Nothing is given free before RECV.
        expect(word(s0Read, 0x26)).toBe(1500)
        command(0x40)
        expect(word(s0Read, 0x26)).toBe(0)
    }
    expect(chip.violations).toEqual([])
})

test("a full buffer closes the window, RECV opens it; the FIN comes behind all octets", () => {
    listen()
    const peer = established()
    peer.onOctets(new Uint8Array(3000).fill(1))
    peer.onFinish()
    expect(word(s0Read, 0x26)).toBe(2048)
    expect([peer.open, read(s0Read, 3)[0]]).toEqual([false, 0x17])
    const at = (word(s0Read, 0x28) + 2048) & 0xffff
    write(s0Write, 0x28, at >> 8, at & 0xff)
    command(0x40)
    expect(word(s0Read, 0x26)).toBe(952)
    expect([peer.open, read(s0Read, 3)[0], read(s0Read, 2)[0] & 2]).toEqual([true, 0x1c, 2])
})

test("a size that has just changed reads torn once: high octet of now, low octet of before", () => {
    listen()
    const peer = established()
    peer.onOctets(new Uint8Array(0xf0))
    expect(word(s0Read, 0x26)).toBe(0xf0)
    peer.onOctets(new Uint8Array(0x20))
    expect(read(s0Read, 0x26, 2)).toEqual([0x01, 0xf0])
    expect(read(s0Read, 0x26, 2)).toEqual([0x01, 0x10])
})

test("SEND sends what lies between TX_RD and TX_WR; room and SENDOK come with the acknowledgement, a SEND before is lost", () => {
    listen()
    const peer = established()
    peer.slow = true
    const from = word(s0Read, 0x24)
    write(s0Tx, from, ...Buffer.from("hello"))
    const to = (from + 5) & 0xffff
    write(s0Write, 0x24, to >> 8, to & 0xff)
    command(0x20)
    expect(peer.came.toString()).toBe("hello")
    expect([word(s0Read, 0x20), read(s0Read, 2)[0] & 0x10, word(s0Read, 0x22)]).toEqual([2043, 0, from])
    command(0x20)
    expect(chip.violations).toEqual(["SEND before SENDOK"])
    peer.acknowledge()
    expect([word(s0Read, 0x20), read(s0Read, 2)[0] & 0x10, word(s0Read, 0x22)]).toEqual([2048, 0x10, to])
})

test("DISCON: FIN WAIT from ESTABLISHED, LAST ACK from CLOSE WAIT, closed when the peer has closed; CLOSE tells nobody", () => {
    listen()
    const first = established()
    command(0x08)
    expect([read(s0Read, 3)[0], first.finished]).toEqual([0x18, true])
    first.onClosed()
    expect(read(s0Read, 3)).toEqual([0])
    listen()
    const second = established()
    second.onFinish()
    command(0x08)
    expect(read(s0Read, 3)).toEqual([0x1d])
    second.onClosed()
    listen()
    const third = established()
    command(0x10)
    expect([read(s0Read, 3)[0], third.finished, third.aborted]).toEqual([0, false, true])
})

test("without supply it answers FF and forgets its settings", () => {
    write(commonWrite, 0x0f, 192, 168, 0, 2)
    chip.powerOff()
    expect(read(commonRead, 0x39)).toEqual([0xff])
    chip.powerOn()
    expect(read(commonRead, 0x39)).toEqual([0])
    clock.advance(2)
    expect(read(commonRead, 0x0f, 4)).toEqual([0, 0, 0, 0])
})

test("a stock client of the host reaches the chip through the bridge", async () => {
    const bridge = new LanBridge()
    onTestFinished(() => bridge.close())
    chip = new W5500({ clock, network: bridge })
    chip.powerOn()
    clock.advance(2)
    listen()
    const socket = connect(await bridge.portOf(443), "127.0.0.1")
    socket.on("error", () => {})
    let came = ""
    socket.on("data", octets => {
        came += octets
    })
    const until = async (done: () => boolean) => {
        while (!done()) await new Promise(resolve => setTimeout(resolve, 2))
    }
    await until(() => read(s0Read, 3)[0] === 0x17)
    socket.write("ping")
    await until(() => word(s0Read, 0x26) === 4)
    expect(Buffer.from(read(s0Rx, word(s0Read, 0x28), 4)).toString()).toBe("ping")
    const from = word(s0Read, 0x24)
    write(s0Tx, from, ...Buffer.from("pong"))
    write(s0Write, 0x24, ((from + 4) >> 8) & 0xff, (from + 4) & 0xff)
    command(0x20)
    await until(() => came === "pong" && (read(s0Read, 2)[0] & 0x10) !== 0)
    socket.end()
    await until(() => read(s0Read, 3)[0] === 0x1c)
    command(0x08)
    await until(() => read(s0Read, 3)[0] === 0)
    expect(chip.violations).toEqual([])
}, 20_000)
