import "./buffer.ts"
import { createHash, createHmac, randomBytes } from "node:crypto"
import { verifyP256 } from "../../firmware/core/ecdsa"
import { installPlatform, type Platform } from "../../firmware/core/platform"

/** Runs `firmware/core` in Node: the methods of Buffer it uses, and the facade. Import this before anything of the core. */

/** The facade on node:crypto; `sleepMs` does not wait: tests that need time replace it with a model clock. */
export const nodePlatform: Platform = {
    sha256: parts => parts.reduce((hash, part) => hash.update(part), createHash("sha256")).digest(),
    hmacSha256: (key, parts) => parts.reduce((mac, part) => mac.update(part), createHmac("sha256", key)).digest(),
    randomOctets: count => randomBytes(count),
    verifyP256,
    yieldNow: () => {},
    sleepMs: () => {},
    millis: () => performance.now(),
}

installPlatform(nodePlatform)
