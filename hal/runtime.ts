import * as ds from "@devicescript/core"
import { hmac, randomBuffer } from "@devicescript/crypto"
import { installPlatform, type Platform } from "../firmware/core/platform"

/** ECDSA verification of a board: the secure element's or the software one, chosen at build time. */
export type VerifyP256 = (publicKey: Buffer, digest: Buffer, signature: Buffer) => boolean

/**
 * The runtime compares wake times modulo 2^32 ms: when its clock turns over after 49.7 days, sleeping fibers never wake. A
 * board starts anew a day before, in ms; to whatever is under way that is a power cut.
 */
const longestUptime = 4200000000

/** The facade on the stock DeviceScript runtime. */
class DevicePlatform implements Platform {
    constructor(readonly verify: VerifyP256) {}

    sha256(parts: Buffer[]): Buffer {
        return (Buffer as any).digest(undefined, "sha256", parts)
    }

    hmacSha256(key: Buffer, parts: Buffer[]): Buffer {
        return hmac(key, "sha256", ...parts)
    }

    randomOctets(count: number): Buffer {
        return randomBuffer(count)
    }

    verifyP256(publicKey: Buffer, digest: Buffer, signature: Buffer): boolean {
        return this.verify(publicKey, digest, signature)
    }

    // `sleep` is async only in its type: a call without `await` compiles to the same wait, so
    // synchronous code can let other fibers run.
    yieldNow(): void {
        ;(ds as any).sleep(0)
    }

    // The runtime counts a sleep from where the fiber's slice began, so bus time already spent in it would
    // shorten the wait; a yield begins a new slice.
    sleepMs(milliseconds: number): void {
        ;(ds as any).sleep(0)
        if (ds.millis() > longestUptime) (ds as any).reboot()
        ;(ds as any).sleep(milliseconds)
    }

    millis(): number {
        return ds.millis()
    }
}

/** Installs the facade on this board. */
export function installDevicePlatform(verify: VerifyP256): void {
    installPlatform(new DevicePlatform(verify))
}
