import * as ds from "@devicescript/core"
import { hostCall, VmBus } from "../../../hal/bus-vm"
import { VmSettings } from "../../../hal/settings-vm"

console.log("setting", new VmSettings().get("name"))
const bus = new VmBus()
console.log("read", bus.transfer(0x50, hex`00 10`, 4))
try {
    bus.transfer(0x51, hex`00`, 0)
} catch (e: any) {
    console.log("code", e.code, e.message)
}
const reply = hostCall(16, 7, hex`01 02 03`, 0)
console.log("reply", reply)
ds.restart()
