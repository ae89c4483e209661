import * as ds from "@devicescript/core"
import { ecdhP256, publicKeyP256, signP256, verifyP256 } from "../../../firmware/core/ecdsa"
import { platform } from "../../../firmware/core/platform"
import { hostCall } from "../../../hal/bus-vm"
import { installDevicePlatform } from "../../../hal/runtime"

// Tells the host at each yield (call 20), so that it can count the steps between two.

installDevicePlatform(verifyP256)
const none = Buffer.alloc(0)
const machine = platform() as any
const plain = machine.yieldNow
machine.yieldNow = () => {
    hostCall(20, 0, none, 0)
    plain()
}

function begins() {
    ;(ds as any).sleep(0)
    hostCall(21, 0, none, 0)
}

const key = hex`c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721`
const digest = hex`af2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf`
begins()
const publicKey = publicKeyP256(key)
hostCall(20, 0, none, 0)
begins()
const signature = signP256(key, digest)
hostCall(20, 0, none, 0)
begins()
const holds = verifyP256(publicKey, digest, signature)
hostCall(20, 0, none, 0)
begins()
ecdhP256(key, publicKey)
hostCall(20, 0, none, 0)
console.log(holds)
ds.restart()
