/**
 * The synchronous call out of a program: what it writes to its socket begins with `magic`, and the reply
 * is written in place. Layout: magic 8 | op u8 | a u8 | status i8 | 0 | writeLength u16 LE |
 * readLength u16 LE | payload. `hal/bus-vm.ts` is the other side.
 */
const magic = Buffer.from("\0PLOMBHW", "latin1")

/** Where the payload begins. */
const headerLength = 16

/** The host name that opens the channel; nothing is connected. */
export const hypercallHost = "plomb-hw"

export const Op = { i2c: 1, setting: 2, gpio: 3, spi: 4, firstFree: 16 } as const

/** What a call came to: status 0 or negative, and the reply. */
export interface Reply {
    status: number
    data: Uint8Array
}

/** Whether a socket write is a call to the host rather than data for the network. */
export function isHypercall(octets: Uint8Array): boolean {
    if (octets.length < headerLength) return false
    for (let i = 0; i < magic.length; ++i) if (octets[i] !== magic[i]) return false
    return true
}

/** Reads the request in `octets`, has it answered, and writes the reply over it. */
export function answerHypercall(
    octets: Uint8Array,
    answer: (op: number, a: number, write: Uint8Array, readLength: number) => Reply,
): void {
    const writeLength = octets[12] | (octets[13] << 8)
    const capacity = octets.length - headerLength
    if (writeLength > capacity) throw new Error(`hypercall: ${writeLength} octets written, ${capacity} there`)
    const write = octets.slice(headerLength, headerLength + writeLength)
    const { status, data } = answer(octets[8], octets[9], write, octets[14] | (octets[15] << 8))
    if (data.length > capacity)
        throw new Error(`hypercall ${octets[8]}: the reply of ${data.length} octets does not fit ${capacity}`)
    octets.set(data, headerLength)
    octets[10] = status & 0xff
    octets[14] = data.length & 0xff
    octets[15] = data.length >> 8
}
