import { platform } from "../../../firmware/core/platform"
import { Atecc608 } from "../../../hal/atecc608"
import { hostCall, VmBus } from "../../../hal/bus-vm"
import { ElementCustody } from "../../../hal/keys-element"
import { installDevicePlatform } from "../../../hal/runtime"

/** One operation of the secure element after the other; hypercall 20 before each and after the last. */
const custody = new ElementCustody(new Atecc608(new VmBus(), 0x60), 0)
installDevicePlatform((key, digest, signature) => custody.verify(key, digest, signature))

const digest = hex`af2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf`
const none = Buffer.alloc(0)

function mark(): void {
    hostCall(20, 0, none, 0)
    // Sleeps count from the beginning of a slice: each operation has one of its own.
    platform().sleepMs(5)
}

const key = custody.publicKey()

platform().sleepMs(5)
mark()
const signature = custody.sign(digest)
mark()
if (!custody.verify(key, digest, signature)) throw new Error("a good signature was refused")
mark()
custody.part.genKey(0, true)
mark()
custody.incrementCounter()
mark()
