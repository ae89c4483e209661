import { fail } from "../core/errors"
import type { Manifest, PackageSource } from "../core/package"
import { checkImageHash, type PackageTrust, packageKeys } from "../core/package-trust"
import { platform } from "../core/platform"
import { checkImage } from "./image"
import { packageCalls } from "./interfaces"
import { Sandbox } from "./sandbox"

/** The program is the fixed part's own, and what it does is bounded by the package: these are above what any of 16 KB needs. */
const limits = { work: 16000000, memory: 16000000 }

/** A package that was proved: its image, and what `checkImage` answers of that. */
export interface Checked {
    manifest: Manifest
    image: Buffer
    called: Buffer
}

/**
 * Proves a package of `length` octets and checks its image. Signatures by the program `check` (firmware/modules/packages.ts) in the sandbox;
 * certificates and image are looked at here. `trust` is asked for once; what it answers is not kept. Throws what `readPackage`, `packageKeys`,
 * `checkSigners`, `checkImageHash` and `checkImage` do, in this order.
 */
export function checkPackage(
    check: { image: Buffer; called: Buffer },
    source: PackageSource,
    length: number,
    trust: () => PackageTrust,
): Checked {
    let manifest: any
    const host = {
        calls: packageCalls,
        call: (index: number, a: any, b: any, c: any): any => {
            if (index === 1) return platform().sha256(a)
            if (index === 2) return platform().verifyP256(a, b, c)
            if (index === 0) return source(a, b)
            if (index === 5) return length
            if (index === 4) fail(a, b)
            manifest = a.own
            const keys = packageKeys(b, manifest.metrological, trust())
            for (let i = 0; i < keys.length; ++i) {
                b[2 * i] = keys[i].kid
                b[2 * i + 1] = keys[i].key
            }
            return undefined
        },
        log: () => {},
    }
    new Sandbox(check.image, host, limits, check.called).start()
    const image = source(length - manifest.size, manifest.size)
    checkImageHash(image, manifest)
    return { manifest: manifest, image: image, called: checkImage(image) }
}
