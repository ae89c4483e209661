import { PlombError } from "../../../firmware/core/errors"
import { floorOf, Indicator } from "../../../firmware/core/indicator"
import { platform } from "../../../firmware/core/platform"
import { PlcLink, PlcWay, plcLinkSize } from "../../../firmware/core/plc-link"
import { hostCall, VmBus } from "../../../hal/bus-vm"
import { BoardCipher } from "../../../hal/cipher-board"
import { Mb85rc1mt } from "../../../hal/mb85rc1mt"
import { framAddress, uartAddress, uartCrystalHz } from "../../../hal/parts"
import { PlcUart } from "../../../hal/plc-uart"
import { installDevicePlatform } from "../../../hal/runtime"
import { Sc16is752 } from "../../../hal/sc16is752"
import { VmSettings } from "../../../hal/settings-vm"

/** The MUC's side of the display's link, as the MUC image will have it: readings come from the host (call 40). */
installDevicePlatform(() => false)
const bus = new VmBus()
const fram = new Mb85rc1mt(bus, framAddress)
fram.start()
const uart = new Sc16is752(bus, uartAddress, uartCrystalHz)
uart.start()
const link = new PlcLink(fram, 0, new BoardCipher(), PlcWay.FromMuc, 1, 2)
link.give(Buffer.from(new VmSettings().get("key1plc"), "hex"))
const indicator = new Indicator(fram, 0x200, 60)
const line = new PlcUart(uart.port(0))
console.log("link of " + plcLinkSize + " octets, keys " + link.keys())

let readAt = -10000
let asked = true
for (;;) {
    const now = platform().millis()
    if (now - readAt >= 10000) {
        readAt = now
        // Seconds, flags (1 there is a reading, 2 time trusted, 4 sound), power, register.
        const r = hostCall(40, 0, Buffer.alloc(20), 20)
        if ((r[4] & 1) > 0)
            indicator.take(r.getAt(0, "u32"), (r[4] & 2) > 0, r.getAt(8, "i32"), r.getAt(12, "u64"), (r[4] & 4) > 0)
    }
    const message = indicator.due(asked)
    asked = false
    if (message) {
        line.send(link.seal(message))
        console.log("sent")
    }
    for (const frame of line.receive()) {
        try {
            link.raise(floorOf(link.open(frame)))
            asked = true
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            console.log(e.message)
        }
    }
}
