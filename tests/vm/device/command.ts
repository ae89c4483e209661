import { verifyP256 } from "../../../firmware/core/ecdsa"
import { cut, join } from "../../../firmware/core/octets"
import { installDevicePlatform } from "../../../hal/runtime"
import { serveCases } from "../../../tools/vm/device/serve"
import { CommandDevice, storeSize } from "./command-device"

// The gate in the VM, over a store in its heap; the answers' signature is the digest twice.

installDevicePlatform(verifyP256)
const cells = Buffer.alloc(storeSize)
const store = {
    size: storeSize,
    read: (address: number, length: number) => cut(cells, address, length),
    write: (address: number, data: Buffer) => {
        cells.blitAt(address, data, 0, data.length)
    },
}
const device = new CommandDevice(store, hex`0a01504c420100000001`, digest => join([digest, digest]))
serveCases(4096, request => {
    const reply = device.answer(request)
    // The harness wants an octet at least.
    return reply.length > 0 ? reply : hex`00`
})
