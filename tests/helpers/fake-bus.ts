import { Code, PlombError } from "../../firmware/core/errors"
import type { I2cBus } from "../../hal/ports"

/** Status of a transaction as bindings and models give it, as the error drivers see. */
const codes: Record<string, Code> = { "-1": Code.BusAddressNack, "-2": Code.BusDataNack, "-3": Code.BusStuck }

/** The error of a bus status. */
export function busError(status: number): PlombError {
    return new PlombError(codes[status], -1, "an acknowledgement", `status ${status}`)
}

/** What one part does with a transaction: octets to answer, or a negative status. */
export type Handler = (write: Buffer, readLength: number) => Uint8Array | number

/** A bus of parts written by hand, with a record of all that went over it ("68 < 0f > 00"). */
export class FakeBus implements I2cBus {
    readonly log: string[] = []
    constructor(readonly parts: Record<number, Handler>) {}

    transfer(address: number, write: Buffer, readLength: number): Buffer {
        const part = this.parts[address]
        const answer = part ? part(Buffer.from(write), readLength) : -1
        const text = typeof answer === "number" ? `! ${answer}` : `> ${Buffer.from(answer).toString("hex")}`
        this.log.push(`${address.toString(16)} < ${write.toString("hex")} ${text}`)
        if (typeof answer === "number") throw busError(answer)
        if (answer.length !== readLength) throw new Error(`fake answers ${answer.length} of ${readLength} octets`)
        return Buffer.from(answer)
    }
}

/** A part that is nothing but registers: one address octet, then data, with automatic increment. */
export function registerPart(registers: Uint8Array): Handler {
    let pointer = 0
    return (write, readLength) => {
        if (write.length > 0) pointer = write[0]
        for (const octet of write.subarray(1)) registers[pointer++ % registers.length] = octet
        return Uint8Array.from({ length: readLength }, () => registers[pointer++ % registers.length])
    }
}
