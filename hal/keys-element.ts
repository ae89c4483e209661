import { Code, fail } from "../firmware/core/errors"
import type { Atecc608 } from "./atecc608"
import { lockData, readLocks, writeConfiguration } from "./atecc608-config"
import { type CustodyState, type KeyCustody, KeyProtection } from "./ports"

/** Counter of the element that stands for custody's; no slot is configured to use it up. */
const counterNumber = 0

/**
 * Key custody in an ATECC608: the private key is made in `slot` and never leaves the part.
 *
 * @devsWhenUsed
 */
export class ElementCustody implements KeyCustody {
    readonly protection: KeyProtection

    constructor(
        readonly part: Atecc608,
        readonly slot: number,
    ) {
        this.protection = KeyProtection.Element
    }

    state(): CustodyState {
        this.part.head()
        const locks = readLocks(this.part)
        return {
            configured: locks.configuration,
            keyPresent: locks.configuration && this.part.info(1, this.slot)[0] === 1,
            sealed: locks.data,
        }
    }

    serial(): Buffer {
        const head = this.part.head()
        const serial = Buffer.alloc(9)
        serial.blitAt(0, head, 0, 4)
        serial.blitAt(4, head, 8, 5)
        return serial
    }

    configure(): void {
        this.part.head()
        writeConfiguration(this.part)
        // ChipMode may have changed; it holds from the next wake on.
        this.part.head()
    }

    generateKey(): Buffer {
        this.checkConfigured()
        return this.part.genKey(this.slot, true)
    }

    publicKey(): Buffer {
        this.checkKey()
        return this.part.genKey(this.slot, false)
    }

    sign(digest: Buffer): Buffer {
        return this.part.sign(this.slot, digest)
    }

    verify(publicKey: Buffer, digest: Buffer, signature: Buffer): boolean {
        if (publicKey.length !== 64 || digest.length !== 32 || signature.length !== 64) return false
        return this.part.verify(publicKey, digest, signature)
    }

    seal(): void {
        this.checkKey()
        lockData(this.part)
    }

    /** Makes another key over the old one: the slot is never empty again, but no certificate names what it holds. */
    erase(): void {
        this.checkConfigured()
        this.part.genKey(this.slot, true)
    }

    counter(): number {
        return this.part.counter(counterNumber, false)
    }

    incrementCounter(): number {
        return this.part.counter(counterNumber, true)
    }

    private checkConfigured(): void {
        if (!readLocks(this.part).configuration)
            fail(Code.ElementNotLocked, -1, "a locked configuration", "an open one")
    }

    private checkKey(): void {
        if (!this.state().keyPresent) fail(Code.KeyAbsent, -1, "a key in slot " + this.slot, "none")
    }
}
