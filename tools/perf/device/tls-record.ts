import { verifyP256 } from "../../../firmware/core/ecdsa"
import { cut } from "../../../firmware/core/octets"
import { Traffic } from "../../../firmware/tls/schedule"
import { chachaSuite, gcmSuite } from "../../../firmware/tls/suites"
import { installDevicePlatform } from "../../../hal/runtime"
import { serveCases } from "../../vm/device/serve"

const header = hex`1703030411`
const secret = hex`000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f`

/** Operation U8: 0 nothing, 1 keys alone, 2 keys and seal; then the suite U8, 1 AES-128-GCM, and the octets. */
function answer(request: Buffer): Buffer {
    const octets = cut(request, 2, request.length - 2)
    if (request[0] === 0) return request
    const traffic = new Traffic(request[1] === 1 ? gcmSuite : chachaSuite, secret)
    return request[0] === 1 ? octets : traffic.seal(header, octets)
}

installDevicePlatform(verifyP256)
serveCases(1100, answer)
