import * as ds from "@devicescript/core"
import { Code, fail } from "../firmware/core/errors"
import type { I2cBus } from "./ports"

/** A Jacdac packet carries 236 octets; two or three of them are the service's own. */
const longest = 232

/** Longest wait for one answer, the first one's search for the bridge included. */
const longestMs = 2000

/**
 * The bus carried as the standard Jacdac I2C service: the chips are models in the computer at the other end of USB,
 * the program runs on the real processor. 20 ms a transaction. A read above 232 octets goes on with reads that name
 * no register, which every part on this bus continues where it stopped; a write cannot be cut and is refused.
 */
export class JacdacBus implements I2cBus {
    private readonly role: ds.I2C
    private answer: Buffer
    private busy: boolean

    constructor() {
        this.busy = false
        this.role = new ds.I2C("chips")
        const self = this
        this.role.report().subscribe(packet => {
            if (packet.serviceCommand === 0x80) self.answer = packet.payload
        })
    }

    transfer(address: number, write: Buffer, readLength: number): Buffer {
        // Fibers take turns: an answer does not say whose it is, and a transaction may take several.
        const sleep: any = ds.sleep
        while (this.busy) sleep(2)
        this.busy = true
        try {
            return this.carry(address, write, readLength)
        } finally {
            this.busy = false
        }
    }

    private carry(address: number, write: Buffer, readLength: number): Buffer {
        if (write.length > longest) fail(Code.BadArgument, -1, "at most " + longest + " octets", "" + write.length)
        const reply = Buffer.alloc(readLength)
        let at = 0
        let octets = write
        while (true) {
            const count = Math.min(readLength - at, longest)
            const answer = this.ask(address, octets, count)
            if (answer.length !== 1 + count)
                fail(Code.ImpossibleValue, -1, count + " octets from the bridge", "" + (answer.length - 1))
            reply.blitAt(at, answer, 1, count)
            at += count
            if (at >= readLength) return reply
            octets = hex``
        }
    }

    /** One transaction; the answer's first octet is its status, 0. Without an answer nothing is repeated: it may have been done. */
    private ask(address: number, write: Buffer, readLength: number): Buffer {
        const sleep: any = ds.sleep
        const until = ds.millis() + longestMs
        while (!this.role.isBound) {
            if (ds.millis() > until) fail(Code.LinkTimeout, -1, "a computer that offers the I2C service", "none")
            sleep(10)
        }
        this.answer = undefined
        const role: any = this.role
        role.transaction(address, readLength, write)
        while (!this.answer) {
            if (ds.millis() > until) fail(Code.LinkTimeout, -1, "an answer over the I2C service", "none")
            sleep(2)
        }
        const answer = this.answer
        const status = answer[0]
        if (status === ds.I2CStatus.NAckAddr) fail(Code.BusAddressNack, address, "an answer", "none")
        if (status === ds.I2CStatus.NAckData) fail(Code.BusDataNack, -1, "all octets acknowledged by " + address, "not")
        if (status !== 0) fail(Code.BusStuck, -1, "a free bus", "status " + status)
        return answer
    }
}
