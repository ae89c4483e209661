import * as ds from "@devicescript/core"
import { CoseAlgorithm, type CoseKey } from "../core/cose"
import { PlombError } from "../core/errors"
import { checkSigners, readPackage } from "../core/package"
import { installPlatform, type Platform } from "../core/platform"

/*
 * Takes a software package apart, and checks its signatures: the fixed part's own sources, run in the sandbox because this is seldom done
 * and code is scarce there. It ships inside the image and is never replaced. What it is given and answers:
 * firmware/sandbox/package-calls.ts. Its start does it all.
 */

const host: any = (ds as any).host
installPlatform({
    sha256: host.sha256,
    verifyP256: host.verifyP256,
    hashChain: host.hashChain,
    yieldNow: () => {},
} as Platform)
try {
    const source = (from: number, length: number): Buffer => host.octets(from, length)
    const parts = readPackage(source, host.length())
    // Certificates go out, identifiers and keys come in their place.
    const held = parts.certificates
    host.found(parts.manifest, held)
    const keys: CoseKey[] = []
    for (let i = 0; i < held.length; i += 2)
        keys.push({
            kid: held[i],
            algorithm: keys.length & 1 ? CoseAlgorithm.HssLms : CoseAlgorithm.Es256,
            key: held[i + 1],
        })
    checkSigners(source, parts, keys)
} catch (e: any) {
    if (e instanceof PlombError) host.refuse(e.code, e.at)
    throw e
}
