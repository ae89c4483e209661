import { cut } from "../../../firmware/core/octets"
import { passwordHolds } from "../../../firmware/core/password"
import { installDevicePlatform } from "../../../hal/runtime"
import { serveCases } from "../../../tools/vm/device/serve"

installDevicePlatform(() => false)

/** Verifier (52) and password: 01 where it holds. */
function answer(request: Buffer): Buffer {
    return Buffer.from([passwordHolds(cut(request, 0, 52), cut(request, 52, request.length - 52)) ? 1 : 0])
}
serveCases(256, answer)
