import { verifyHss, verifyLmots, verifyLms } from "../../../firmware/core/lms"
import { cut, uintBE } from "../../../firmware/core/octets"
import { platform } from "../../../firmware/core/platform"

/**
 * Kind U8 (0 HSS, 1 LMS, 2 LM-OTS), lengths of public key and message U16 BE, public key, message, signature: one
 * octet, 1 if the signature holds.
 */
export function answer(request: Buffer): Buffer {
    platform().yieldNow()
    const kind = request[0]
    const keyLength = uintBE(request, 1, 2)
    const length = uintBE(request, 3, 2)
    const key = cut(request, 5, keyLength)
    const message = [cut(request, 5 + keyLength, length)]
    const at = 5 + keyLength + length
    const signature = cut(request, at, request.length - at)
    const holds =
        kind === 0
            ? verifyHss(key, message, signature)
            : kind === 1
              ? verifyLms(key, message, signature)
              : verifyLmots(key, message, signature)
    return Buffer.from([holds ? 1 : 0])
}
