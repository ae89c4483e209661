import { decryptCbc } from "../../../firmware/core/aes-decrypt"
import { ChaCha20Poly1305 } from "../../../firmware/core/chacha20poly1305"
import { verifyP256 } from "../../../firmware/core/ecdsa"
import { AesGcm } from "../../../firmware/core/gcm"
import { cut } from "../../../firmware/core/octets"
import { platform } from "../../../firmware/core/platform"
import { hostCall } from "../../../hal/bus-vm"
import { installDevicePlatform } from "../../../hal/runtime"
import { serveCases } from "../../../tools/vm/device/serve"

// Tells the host at each yield (call 20), so that it can count the steps between two. A request says which cipher (0
// ChaCha20-Poly1305, 1 AES-128-GCM) and what to do (0 nothing, 1 set up, 2 seal, 3 open, 4 decrypt CBC); the octets follow.

installDevicePlatform(verifyP256)
const none = Buffer.alloc(0)
const machine = platform() as any
const plain = machine.yieldNow
machine.yieldNow = () => {
    hostCall(20, 0, none, 0)
    plain()
}
const key = hex`808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f`
const shortKey = hex`808182838485868788898a8b8c8d8e8f`
const nonce = hex`070000004041424344454647`
const aad = hex`1703030410`
const chacha = new ChaCha20Poly1305(key)
const gcm = new AesGcm(shortKey)

function answer(request: Buffer): Buffer {
    const octets = cut(request, 2, request.length - 2)
    hostCall(20, 0, none, 0)
    let reply = none
    if (request[1] === 1) {
        if (request[0] === 1) new AesGcm(shortKey)
    } else if (request[1] === 2)
        reply = request[0] === 0 ? chacha.seal(nonce, aad, octets) : gcm.seal(nonce, aad, octets)
    else if (request[1] === 3) reply = request[0] === 0 ? chacha.open(nonce, aad, octets) : gcm.open(nonce, aad, octets)
    else if (request[1] === 4) reply = decryptCbc(shortKey, shortKey, octets)
    hostCall(20, 0, none, 0)
    return reply
}
serveCases(9000, answer)
