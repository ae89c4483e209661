import { beforeEach, expect, test } from "vitest"
import type { SpiPort } from "../../hal/ports"
import { W5500 as Driver } from "../../hal/w5500"
import { W5500 } from "../../tools/chips/w5500"
import { codeThrown } from "../helpers/errors"
import { TestLan, type TestPeer } from "../helpers/lan-peer"
import { ModelTime } from "../helpers/model-time"

const addresses = Buffer.from("c0a80701ffffff0002504c4d4201c0a80702", "hex")
let time: ModelTime
let lan: TestLan
let chip: W5500
let driver: Driver

beforeEach(() => {
    time = new ModelTime()
    time.install()
    lan = new TestLan()
    chip = new W5500({ clock: time, network: lan })
    chip.powerOn()
    const spi: SpiPort = { transfer: (write, length) => Buffer.from(chip.transfer(write, length)) }
    driver = new Driver(spi, 443, addresses)
    driver.start()
})

/** A peer whom the driver serves. */
function peer(): TestPeer {
    driver.accept(0)
    const one = lan.connect(443)
    expect(driver.accept(20)).toBe(true)
    return one
}

const pattern = (length: number) => Buffer.from(Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 0xff))

function receiveAll(): Buffer {
    const parts: Buffer[] = []
    for (let came = driver.receive(50); came; came = driver.receive(50)) parts.push(came)
    return Buffer.concat(parts)
}

test("a part that is not there, or another one, is PartAbsent", () => {
    const absent: SpiPort = { transfer: (_, length) => Buffer.alloc(length, 0xff) }
    expect(codeThrown(() => new Driver(absent, 443, addresses).start())).toBe("PartAbsent")
})

test("nobody connects: accept waits as long as it was told", () => {
    const from = time.ms
    expect(driver.accept(500)).toBe(false)
    expect(time.ms - from).toBeGreaterThanOrEqual(500)
})

test("50 KB each way come through whole, whatever the pieces; pointers go round several times", () => {
    const one = peer()
    const data = pattern(50_000)
    let sent = 0
    let came = Buffer.alloc(0)
    for (let size = 1; sent < data.length; size = (size * 7 + 13) % 2000) {
        if (one.open) {
            one.onOctets(data.subarray(sent, sent + size))
            sent = Math.min(data.length, sent + size)
        }
        came = Buffer.concat([came, receiveAll()])
    }
    expect(came.equals(data)).toBe(true)
    driver.send(data)
    expect(one.came.equals(data)).toBe(true)
    expect(chip.violations).toEqual([])
})

test("a size read torn is not believed", () => {
    const one = peer()
    one.onOctets(pattern(0xf0))
    expect(driver.receive(0)!.length).toBe(0xf0)
    one.onOctets(pattern(0x105))
    expect(receiveAll().equals(pattern(0x105))).toBe(true)
})

test("a peer that acknowledges late is waited for, one that never does is LinkLost after 10 s", () => {
    const one = peer()
    one.slow = true
    const from = time.ms
    time.everyMs = () => {
        if (time.ms - from === 300) one.acknowledge()
    }
    driver.send(Buffer.from("late"))
    expect(time.ms - from).toBeGreaterThanOrEqual(300)
    const again = time.ms
    expect(codeThrown(() => driver.send(Buffer.from("never")))).toBe("LinkLost")
    expect(time.ms - again).toBeGreaterThanOrEqual(10_000)
    expect(chip.violations).toEqual([])
})

test("what came before the peer's FIN is handed out, then null; it can still be answered", () => {
    const one = peer()
    one.onOctets(Buffer.from("last words"))
    one.onFinish()
    expect(driver.receive(0)!.toString()).toBe("last words")
    expect(driver.receive(0)).toBeNull()
    driver.send(Buffer.from("heard"))
    expect(one.came.toString()).toBe("heard")
    time.everyMs = () => {
        if (one.finished) one.onClosed()
    }
    driver.close()
    expect(driver.receive(0)).toBeNull()
})

test("a reset of the peer ends what is being sent and received", () => {
    const one = peer()
    one.onClosed()
    expect(driver.receive(1000)).toBeNull()
    expect(codeThrown(() => driver.send(Buffer.from("x")))).toBe("LinkLost")
})

test("peers wait for each other and are served in turn, a thousand one after another", () => {
    driver.accept(0)
    const three = [lan.connect(443), lan.connect(443), lan.connect(443)]
    expect(three.map(each => each.connected)).toEqual([true, true, true])
    for (const [i, each] of three.entries()) each.onOctets(Buffer.from(`peer ${i}`))
    const heard: string[] = []
    for (let i = 0; i < 3; ++i) {
        expect(driver.accept(20)).toBe(true)
        heard.push(driver.receive(0)!.toString())
        driver.close()
    }
    expect(heard.sort()).toEqual(["peer 0", "peer 1", "peer 2"])
    for (let i = 0; i < 1000; ++i) {
        const one = peer()
        one.onOctets(Buffer.from(`${i}`))
        expect(driver.receive(0)!.toString()).toBe(`${i}`)
        one.onClosed()
        driver.close()
    }
    expect(chip.violations).toEqual([])
})

test("a peer that never closes is given up a second after we have", () => {
    const one = peer()
    const from = time.ms
    driver.close()
    expect([one.finished, one.aborted]).toEqual([true, true])
    expect(time.ms - from).toBeLessThan(1500)
    expect(lan.connect(443).connected).toBe(true)
})

test("a part that lost its supply is set up again and listens", () => {
    peer()
    chip.powerOff()
    chip.powerOn()
    expect(driver.receive(100)).toBeNull()
    driver.close()
    driver.accept(50)
    expect(lan.connect(443).connected).toBe(true)
    expect([...chip.transfer(Uint8Array.of(0, 0x0f, 0), 4)]).toEqual([192, 168, 7, 2])
})
