import { verifyChain } from "../../../firmware/core/chain"
import { cut } from "../../../firmware/core/octets"
import { parseCertificate } from "../../../firmware/core/x509"
import { namesHost } from "../../../firmware/tls/host-name"
import { installDevicePlatform } from "../../../hal/runtime"
import { serveCases } from "../../../tools/vm/device/serve"

// Two certificates, the first after its length U16: reads both, looks for a host in the first, verifies it under the second. No signature is computed.

function verify(): boolean {
    return true
}

function answer(request: Buffer): Buffer {
    const length = request.getAt(0, "u16")
    const leaf = parseCertificate(cut(request, 2, length))
    const root = parseCertificate(cut(request, 2 + length, request.length - 2 - length))
    const named = namesHost(leaf, "localhost")
    verifyChain({ chain: [leaf], anchors: [root], atSeconds: 1907712000 })
    return Buffer.from([named ? 1 : 0])
}

installDevicePlatform(verify)
serveCases(16000, answer)
