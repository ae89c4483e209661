import { createPublicKey, verify } from "node:crypto"
import type { Platform } from "../../firmware/core/platform.ts"
import { nodePlatform } from "../node/platform.ts"

/** Messages longer than these are hashed for other ends than signatures. */
const shortest = 12
const longest = 4096

/**
 * Hashes and checks signatures by Node's own curve. Node wants the message where the firmware has its hash, so what was hashed is
 * remembered by its hash.
 */
export function nativeCurve(): Pick<Platform, "sha256" | "verifyP256"> {
    const messages = new Map<string, Buffer>()
    return {
        sha256: parts => {
            const digest = nodePlatform.sha256(parts)
            const octets = Buffer.concat(parts)
            if (octets.length >= shortest && octets.length <= longest) messages.set(digest.toString("latin1"), octets)
            if (messages.size > 5000) messages.clear()
            return digest
        },
        verifyP256: (publicKey, digest, signature) => {
            const message = messages.get(digest.toString("latin1"))
            if (!message) return nodePlatform.verifyP256(publicKey, digest, signature)
            const jwk = {
                kty: "EC",
                crv: "P-256",
                x: publicKey.subarray(0, 32).toString("base64url"),
                y: publicKey.subarray(32).toString("base64url"),
            }
            const key = createPublicKey({ key: jwk, format: "jwk" })
            return verify("sha256", message, { key, dsaEncoding: "ieee-p1363" }, signature)
        },
    }
}
