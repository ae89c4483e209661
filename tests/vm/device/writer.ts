import * as ds from "@devicescript/core"
import { VmBus } from "../../../hal/bus-vm"

// Writes one number into two octets of memory, then the next, for ever: they differ only in mid-write.
const bus = new VmBus()
for (;;) {
    const next = (bus.transfer(0x50, hex`00 00`, 2)[0] + 1) & 0xff
    bus.transfer(0x50, Buffer.from([0, 0, next, next]), 0)
    await ds.sleep(10)
}
