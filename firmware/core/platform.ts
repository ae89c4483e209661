/**
 * The one facade between the core and the machine it runs on: hashing, randomness, signature
 * verification and the passing of time arrive here and nowhere else. `hal/runtime.ts` installs the
 * DeviceScript side, `tools/node/platform.ts` the Node side, tests install mocks.
 */
export interface Platform {
    /** SHA-256 (FIPS 180-4) over the parts in order; 32 octets. */
    sha256(parts: Buffer[]): Buffer
    /** HMAC-SHA-256 (RFC 2104) over the parts in order; 32 octets. */
    hmacSha256(key: Buffer, parts: Buffer[]): Buffer
    /** `count` octets from the machine's own entropy source, 1 to 256. */
    randomOctets(count: number): Buffer
    /**
     * ECDSA P-256 verification (FIPS 186-5 clause 6.4): `publicKey` X|Y 64 octets, `digest` 32,
     * `signature` r|s 64. False for a signature that does not hold; throws only for a device fault.
     */
    verifyP256(publicKey: Buffer, digest: Buffer, signature: Buffer): boolean
    /**
     * Where the machine does it better than the core: a hash chain of LM-OTS (RFC 8554 4.6). SHA-256 of `prefix` | value, cut to the value's length, is the
     * next value; the last octet of the prefix counts, up to below `to`. The prefix may be changed.
     */
    hashChain?(prefix: Buffer, value: Buffer, to: number): Buffer
    /** Lets other fibers run and starts a new step budget; does nothing in Node. */
    yieldNow(): void
    /** Waits at least `milliseconds`; other fibers run meanwhile. */
    sleepMs(milliseconds: number): void
    /** Milliseconds since some fixed moment; never goes back. */
    millis(): number
}

let installed: Platform

/** Installs the machine's side of the facade; called once, before anything else in the core. */
export function installPlatform(platform: Platform): void {
    installed = platform
}

/** The installed machine's side. */
export function platform(): Platform {
    return installed
}
