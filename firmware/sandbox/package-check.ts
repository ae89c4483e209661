import { fail } from "../core/errors"
import type { OctetSource } from "../core/octets"
import type { Manifest } from "../core/package"
import { checkImageHash, type PackageTrust, packageKeys } from "../core/package-trust"
import { platform } from "../core/platform"
import { hashChain } from "./hash-chain"
import { checkImage } from "./image"
import { packageCalls } from "./package-calls"
import { Sandbox } from "./sandbox"

/** The program is the fixed part's own, and what it does is bounded by the package: these are above what any of 16 KB needs. */
const limits = { work: 16000000, memory: 16000000 }

/** A package whose signatures hold, and the certificates (DER) that it carries. */
export interface Proved {
    manifest: Manifest
    certificates: Buffer[]
}

/** An image that may run: what `checkImage` answers of it. */
export interface Loaded {
    image: Buffer
    called: Buffer
}

/**
 * Proves who signed a package of `length` octets, by the program `check` (firmware/overlays/packages.ts) in the sandbox; certificates are
 * looked at here. `trust` is asked for once; what it answers is not kept. Throws what `readPackage`, `packageKeys` and `checkSigners` do, in this order.
 */
export function provePackage(
    check: { image: Buffer; called: Buffer },
    source: OctetSource,
    length: number,
    trust: () => PackageTrust,
): Proved {
    let manifest: any
    const certificates: Buffer[] = []
    const host = {
        calls: packageCalls,
        call: (index: number, a: any, b: any, c: any): any => {
            if (index === 0) return source(a, b)
            if (index === 5) return length
            if (index === 1) return platform().sha256(a)
            if (index === 2) return platform().verifyP256(a, b, c)
            if (index === 4) fail(a, b)
            if (index === 6) return hashChain(a, b, c)
            manifest = a.own
            for (let i = 0; i < b.length; ++i) certificates.push(b[i])
            const keys = packageKeys(certificates, manifest.metrological, trust())
            for (let i = 0; i < keys.length; ++i) {
                b[2 * i] = keys[i].kid
                b[2 * i + 1] = keys[i].key
            }
            return undefined
        },
        log: () => {},
    }
    new Sandbox(check.image, host, limits, check.called).start()
    return { manifest: manifest, certificates: certificates }
}

/** The image of a package of `length` octets. Throws what `checkImageHash` and `checkImage` do. */
export function loadImage(source: OctetSource, length: number, manifest: Manifest): Loaded {
    const image = source(length - manifest.size, manifest.size)
    checkImageHash(image, manifest)
    return { image: image, called: checkImage(image) }
}
