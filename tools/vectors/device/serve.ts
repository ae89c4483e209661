import { PlombError } from "../../../firmware/core/errors"
import { serveCases } from "../../vm/device/serve"

/**
 * The VM's side of `plomb vectors --in vm`: answers requests of at most `capacity` octets. A reply is one octet 0 and
 * the answer; 1, error code U32 LE and offset I32 LE; or 2 and the text of whatever else escaped.
 */
export function serve(capacity: number, answer: (request: Buffer) => Buffer): void {
    serveCases(capacity, request => reply(request, answer))
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
