import { PlombError } from "../../../firmware/core/errors"
import { hostCall } from "../../../hal/bus-vm"

/**
 * The VM's side of `plomb vectors --in vm`: takes requests of at most `capacity` octets from the host one by one
 * until there are none, and hands each reply over. Call after `installDevicePlatform`.
 */
export function serve(capacity: number, answer: (request: Buffer) => Buffer): void {
    const none = Buffer.alloc(0)
    for (;;) {
        const request = hostCall(16, 0, none, capacity)
        if (request.length === 0) return
        hostCall(17, 0, reply(request, answer), 0)
    }
}

function reply(request: Buffer, answer: (request: Buffer) => Buffer): Buffer {
    try {
        const octets = answer(request)
        const framed = Buffer.alloc(1 + octets.length)
        framed.blitAt(1, octets, 0, octets.length)
        return framed
    } catch (error: any) {
        if (error instanceof PlombError) {
            const framed = Buffer.alloc(9)
            framed[0] = 1
            framed.setAt(1, "u32", error.code)
            framed.setAt(5, "i32", error.at)
            return framed
        }
        return Buffer.from("\u0002" + error.message)
    }
}
