import { expect, test } from "vitest"
import { Code } from "../../firmware/core/errors"
import { Ssd1306 as Driver } from "../../hal/ssd1306"
import { Ssd1306 } from "../../tools/chips/ssd1306"
import { ModelBus } from "../helpers/model-bus"
import { ModelTime } from "../helpers/model-time"
import { seeded } from "../helpers/random"

const on = [0x8d, 0x14, 0xa1, 0xc8, 0xaf]
function panelWith(...commands: number[]): Ssd1306 {
    const panel = new Ssd1306()
    panel.powerOn()
    for (let page = 0; page < 8; page++) {
        panel.write(0x3c, Uint8Array.of(0x00, 0xb0 + page, 0x00, 0x10))
        panel.write(0x3c, Uint8Array.from([0x40, ...new Array(128).fill(0)]))
    }
    panel.write(0x3c, Uint8Array.from([0x00, ...on, ...commands]))
    return panel
}
const data = (panel: Ssd1306, ...octets: number[]) => panel.write(0x3c, Uint8Array.from([0x40, ...octets]))
/** Lit pixels as "x,y". */
const lit = (panel: Ssd1306) =>
    [...Array(128 * 64).keys()]
        .filter(i => panel.pixel(i % 128, i >> 7))
        .map(i => `${i % 128},${i >> 7}`)
        .join(" ")

test("page mode: the column wraps in its page, low and high nibble set it", () => {
    const panel = panelWith(0xb3, 0x0f, 0x17)
    data(panel, 0x01, 0x80)
    expect(lit(panel)).toBe("127,24 0,31")
})

test("horizontal mode: row by row inside the window, and from its beginning again", () => {
    const panel = panelWith(0x20, 0x00, 0x21, 10, 11, 0x22, 2, 3)
    data(panel, 1, 2, 4, 8)
    expect(lit(panel)).toBe("10,16 11,17 10,26 11,27")
    data(panel, 0)
    expect(lit(panel)).toBe("11,17 10,26 11,27")
})

test("vertical mode: page by page inside the window", () => {
    const panel = panelWith(0x20, 0x01, 0x21, 10, 11, 0x22, 2, 3)
    data(panel, 1, 2, 4)
    expect(lit(panel)).toBe("10,16 11,18 10,25")
})

test("one octet behind a control octet with Co, all of them without", () => {
    const panel = panelWith(0x20, 0x00, 0x22, 0, 7)
    panel.write(0x3c, Uint8Array.of(0x80, 0x21, 0x80, 5, 0x80, 9, 0xc0, 0x01, 0x40, 0x02, 0x04))
    expect(lit(panel)).toBe("5,0 6,1 7,2")
})

test("off, without pump, without supply nothing is seen; all on and inverse show what they say", () => {
    const panel = panelWith(0xb0)
    data(panel, 1)
    const count = () => lit(panel).split(" ").filter(Boolean).length
    const seen = [[0xae], [0xaf], [0xa7], [0xa6], [0xa5], [0xa4]].map(command => {
        panel.write(0x3c, Uint8Array.from([0, ...command]))
        return count()
    })
    expect(seen).toEqual([0, 1, 8191, 1, 8192, 1])
    panel.write(0x3c, Uint8Array.of(0, 0x8d, 0x10))
    expect(count()).toBe(0)
    panel.write(0x3c, Uint8Array.of(0, 0x8d, 0x14, 0x81, 0x20))
    expect([count(), panel.contrast]).toEqual([1, 0x20])
    panel.powerOff()
    expect([count(), panel.answers(0x3c)]).toEqual([0, false])
})

test("without A1 the picture is mirrored, without C8 it stands on its head", () => {
    const panel = panelWith(0xa0, 0xc0, 0xb0)
    data(panel, 1)
    expect(lit(panel)).toBe("127,63")
})

function board() {
    const panel = new Ssd1306()
    const bus = new ModelBus(new ModelTime(), [panel])
    return { panel, driver: new Driver(bus) }
}
const picture = (seed: number) => seeded(seed).octets(1024)
function shows(panel: Ssd1306, expected: Buffer): boolean {
    for (let i = 0; i < 128 * 64; ++i)
        if (panel.pixel(i % 128, i >> 7) !== (((expected[(i >> 10) * 128 + (i % 128)] >> ((i >> 7) & 7)) & 1) === 1))
            return false
    return true
}

test("the driver shows any picture upright, is dark until the first is whole, and then writes what differs", () => {
    const { panel, driver } = board()
    driver.start()
    expect(panel.visible).toBe(false)
    const [first, second] = [picture(1), picture(1)]
    driver.show(first)
    expect(shows(panel, first)).toBe(true)
    const before = panel.written
    second[5 * 128 + 17] ^= 4
    driver.show(second)
    expect([shows(panel, second), panel.written - before]).toEqual([true, 128])
    driver.show(second)
    expect(panel.written - before).toBe(128)
})

test("a panel that was reset comes back with the next start, one that is not there is said to be absent", () => {
    const { panel, driver } = board()
    driver.start()
    driver.show(picture(2))
    panel.reset()
    expect(panel.visible).toBe(false)
    driver.start()
    driver.show(picture(3))
    expect(shows(panel, picture(3))).toBe(true)
    panel.powerOff()
    expect(() => driver.start()).toThrow(expect.objectContaining({ code: Code.PartAbsent }))
})
