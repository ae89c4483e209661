import { BoardCipher } from "../../hal/cipher-board"
import type { Machine } from "../../hal/machine"
import { Mb85rc1mt } from "../../hal/mb85rc1mt"
import { framAddress, startPart, uartAddress, uartCrystalHz } from "../../hal/parts"
import { PlcUart } from "../../hal/plc-uart"
import { Sc16is752 } from "../../hal/sc16is752"
import { Ssd1306 } from "../../hal/ssd1306"
import { Code, PlombError } from "../core/errors"
import { PlcLink, PlcWay } from "../core/plc-link"
import { Display } from "./display"
import { linkAt } from "./layout"
import { Screen } from "./screen"

/** Address on the line where none is set, and that of the MUC. */
const usualAddress = 2
const mucAddress = 1

/** The consumption display. Its key is brought to it on the spot: setting `key1plc`, 64 hex digits. */
export function start(machine: Machine): void {
    const uart = new Sc16is752(machine.bus, uartAddress, uartCrystalHz)
    startPart(() => {
        uart.start()
    })
    let link: PlcLink
    let fault = Code.KeyAbsent
    try {
        const fram = new Mb85rc1mt(machine.bus, framAddress)
        fram.start()
        const address = parseInt(machine.settings.get("plc_address")) || usualAddress
        const held = new PlcLink(fram, linkAt, new BoardCipher(), PlcWay.ToMuc, address, mucAddress)
        const key = machine.settings.get("key1plc")
        if (key.length > 0) held.give(Buffer.from(key, "hex"))
        console.log("display " + address + " holds " + held.keys() + " keys")
        if (held.keys() > 0) link = held
    } catch (e: any) {
        if (!(e instanceof PlombError)) throw e
        fault = e.code
        console.log(e.message)
    }
    const panel = new Ssd1306(machine.bus)
    const screen = new Screen(machine.softwareIdentification)
    const display = new Display(new PlcUart(uart.port(0)), panel, screen, link, fault)
    while (true) display.round()
}
