import { Code, fail } from "../firmware/core/errors"
import { sameOctets } from "../firmware/core/octets"
import { platform } from "../firmware/core/platform"
import type { Store } from "../firmware/core/store"
import { firstTransfer } from "./bus-register"
import type { I2cBus } from "./ports"

/** Reserved I2C address that asks for the device ID: F8 / F9 on the wire. */
const idAddress = 0x7c
/** Manufacturer 00A (Fujitsu), density code 7, product 758. */
const deviceId = hex`00a758`
/** Octets of a transaction, the two address octets of a write included: what the Jacdac binding of the bus carries. */
const longest = 232

/**
 * Fujitsu MB85RC1MT, FRAM of 128 KiB on I2C. Bit 16 of the memory address travels in the device address,
 * so the part answers at two addresses. Every octet is stored at its acknowledgement; there is nothing to
 * wait for and nothing to poll.
 *
 * Whether the part acknowledges data while its write protection pin is high is not documented, so writes
 * are read back until one has changed an octet: from then on the pin is known to be low. Starting
 * writes nothing.
 */
export class Mb85rc1mt implements Store {
    readonly size: number
    private writable: boolean

    /** `address` is that of the lower half: 0x50, 0x52, 0x54 or 0x56 by the pins A2 and A1. */
    constructor(
        readonly bus: I2cBus,
        readonly address: number,
    ) {
        this.size = 0x20000
        this.writable = false
    }

    /** Checks that the part is there and is this part: `PartAbsent`, `PartMismatch`. */
    start(): void {
        firstTransfer(this.bus, "MB85RC1MT", this.address, hex`0000`, 1)
        const id = firstTransfer(this.bus, "MB85RC1MT device ID", idAddress, Buffer.from([this.address << 1]), 3)
        if (!sameOctets(id, deviceId)) fail(Code.PartMismatch, -1, "device ID 00a758", id.toString("hex"))
    }

    read(address: number, length: number): Buffer {
        this.check(address, length)
        const data = Buffer.alloc(length)
        let done = 0
        while (done < length) {
            const at = address + done
            const count = this.fit(at, length - done, longest)
            data.blitAt(
                done,
                this.bus.transfer(this.half(at), Buffer.from([(at >> 8) & 0xff, at & 0xff]), count),
                0,
                count,
            )
            done += count
        }
        return data
    }

    write(address: number, data: Buffer): void {
        this.check(address, data.length)
        const before = this.writable ? data : this.read(address, data.length)
        let done = 0
        while (done < data.length) {
            const at = address + done
            const count = this.fit(at, data.length - done, longest - 2)
            // Between transactions the line is served: 230 octets take 21 ms at 100 kHz.
            if (done > 0) platform().yieldNow()
            const octets = Buffer.alloc(count + 2)
            octets[0] = (at >> 8) & 0xff
            octets[1] = at & 0xff
            octets.blitAt(2, data, done, count)
            this.bus.transfer(this.half(at), octets, 0)
            done += count
        }
        if (!this.writable && !sameOctets(before, data)) {
            const after = this.read(address, data.length)
            if (sameOctets(after, before))
                fail(Code.FramWriteProtected, address, "a changed cell", "its old content: is WP high?")
            if (!sameOctets(after, data)) fail(Code.ReadBackMismatch, address, "what was written", "something else")
            this.writable = true
        }
    }

    private check(address: number, length: number): void {
        if (!(address >= 0 && length >= 0 && length <= this.size - address))
            fail(Code.BadArgument, address, "a range within " + this.size + " octets", length + " octets")
    }

    /** Address of the half that holds `at`. */
    private half(at: number): number {
        return this.address | (at >> 16)
    }

    /** Octets of one transaction: within its limit and within one half. */
    private fit(at: number, left: number, limit: number): number {
        return Math.min(Math.min(left, limit), 0x10000 - (at & 0xffff))
    }
}
