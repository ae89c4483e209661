import { expect, test } from "vitest"
import { compile } from "../../tools/vm/compile.ts"
import { logOfImage } from "../helpers/log-of.ts"

const main = "probe/main.ts"

/** The board's port over a controller and a select pin that tell what is done with them. */
const program = `
import * as ds from "@devicescript/core"
import { BoardSpi } from "../hal/spi-board"
const runtime: any = ds
runtime.spiConfigure = (miso: number, mosi: number, sck: number, mode: number, hz: number) => {
    console.log("configure " + miso + " " + mosi + " " + sck + " " + mode + " " + hz)
}
let broken = false
runtime.spiXfer = (write: any, read: any) => {
    if (broken) throw new Error("broken")
    if (write) console.log("write " + write.toString("hex"))
    if (read) {
        for (let i = 0; i < read.length; ++i) read[i] = 0x50 + i
        console.log("read " + read.length)
    }
}
const select: any = { setMode: (mode: number) => console.log(mode === ds.GPIOMode.OutputLow ? "low" : mode === ds.GPIOMode.OutputHigh ? "high" : "?" + mode) }
const port = new BoardSpi({ gpio: 13 }, { gpio: 14 }, { gpio: 12 }, select)
console.log("came " + port.transfer(hex\`000104\`, 2).toString("hex"))
console.log("came " + port.transfer(hex\`00000480\`, 0).toString("hex"))
broken = true
try {
    port.transfer(hex\`aa\`, 1)
} catch (e: any) {
    console.log("threw " + e.message)
}
console.log("end")
`

test("chip select is low from a frame's first octet to its last, and high again also where the controller fails", async () => {
    const image = await compile(main, { files: { [main]: program }, distinct: true })
    expect(await logOfImage(image)).toEqual([
        "high",
        "configure 13 14 12 0 8000000",
        ...["low", "write 000104", "read 2", "high", "came 5051"],
        ...["low", "write 00000480", "high", "came "],
        ...["low", "high", "threw broken"],
        "end",
    ])
})
