import { CborReader, checkCbor, Major } from "../../../firmware/core/cbor"
import { join } from "../../../firmware/core/octets"
import { platform } from "../../../firmware/core/platform"

/**
 * One item of strict CBOR: all its items flat, in order, each as major type U8, argument U64 BE and, for a string,
 * its content.
 */
export function answer(request: Buffer): Buffer {
    platform().yieldNow()
    checkCbor(request, 0, request.length)
    const reader = new CborReader(request, 0, request.length)
    const parts: Buffer[] = []
    while (reader.at < reader.end) {
        reader.next()
        const isString = reader.major === Major.Octets || reader.major === Major.Text
        const length = reader.stop - reader.start
        const part = Buffer.alloc(isString ? 9 + length : 9)
        part[0] = reader.major
        if (reader.argument < 0) part.blitAt(1, request, reader.start, 8)
        else {
            let rest = reader.argument
            for (let i = 8; i > 0; --i) {
                part[i] = rest & 0xff
                rest = Math.floor(rest / 256)
            }
        }
        if (isString) part.blitAt(9, request, reader.start, length)
        parts.push(part)
        if ((parts.length & 127) === 0) platform().yieldNow()
    }
    return join(parts)
}
