import { ecdhP256, publicKeyP256, signP256, verifyP256 } from "../../../firmware/core/ecdsa"
import { cut } from "../../../firmware/core/octets"
import { negMul, negSquare } from "../../../firmware/core/p256-field"
import { limbsFromOctets, zeroLimbs } from "../../../firmware/core/p256-scalar"
import { installDevicePlatform } from "../../../hal/runtime"
import { serveCases } from "../../vm/device/serve"

/** Operation U8: 0 nothing, 1 field multiply, 2 field square, 3 public key, 4 sign, 5 verify, 6 ECDH; then the octets it takes. */
function answer(request: Buffer): Buffer {
    const kind = request[0]
    if (kind === 3) return publicKeyP256(cut(request, 1, 32))
    if (kind === 4) return signP256(cut(request, 1, 32), cut(request, 33, 32))
    if (kind === 5)
        return Buffer.from([verifyP256(cut(request, 1, 64), cut(request, 65, 32), cut(request, 97, 64)) ? 1 : 0])
    if (kind === 6) return ecdhP256(cut(request, 1, 32), cut(request, 33, 64))
    const a = limbsFromOctets(request, 1)
    const b = limbsFromOctets(request, 33)
    const r = zeroLimbs()
    if (kind === 1) negMul(r, a, b)
    else if (kind === 2) negSquare(r, a)
    return request
}

installDevicePlatform(verifyP256)
serveCases(161, answer)
