/** Characters on a serial line: start bit, data low bit first, parity, stop; and what a receiver makes of them. */

/** Rate and shape of characters. */
export interface Format {
    baud: number
    /** 5 to 8. */
    dataBits: number
    /** mark and space: a constant 1 or 0 in the parity's place. */
    parity: "none" | "even" | "odd" | "mark" | "space"
    stopBits: number
}

/** 8N1 at `baud`. */
export function plainFormat(baud: number): Format {
    return { baud, dataBits: 8, parity: "none", stopBits: 1 }
}

/** One character as a receiver took it. */
export interface Received {
    octet: number
    parityError: boolean
    framingError: boolean
    /** All bits low, stop bit too. */
    lineBreak: boolean
}

/** Bit times one character takes. */
export function bitsOf(format: Format): number {
    return 1 + format.dataBits + (format.parity === "none" ? 0 : 1) + format.stopBits
}

/** Milliseconds one character takes. */
export function characterMs(format: Format): number {
    return (bitsOf(format) * 1000) / format.baud
}

function parityOf(octet: number, format: Format): number {
    if (format.parity === "mark") return 1
    if (format.parity === "space") return 0
    let ones = format.parity === "odd" ? 1 : 0
    for (let bit = 0; bit < format.dataBits; bit++) ones ^= (octet >> bit) & 1
    return ones
}

/** What a receiver set to `receiver` reads when `octet` is sent as `sender` says: it samples mid-bit after the start edge. */
export function receiveAs(octet: number, sender: Format, receiver: Format): Received {
    const line = [0]
    for (let bit = 0; bit < sender.dataBits; bit++) line.push((octet >> bit) & 1)
    if (sender.parity !== "none") line.push(parityOf(octet, sender))
    const ratio = sender.baud / receiver.baud
    const sample = (bit: number): number => line[Math.floor((bit + 0.5) * ratio)] ?? 1
    let value = 0
    for (let bit = 0; bit < receiver.dataBits; bit++) value |= sample(bit + 1) << bit
    const at = receiver.dataBits + 1
    const parityBit = sample(at)
    const stop = sample(receiver.parity === "none" ? at : at + 1)
    return {
        octet: value,
        parityError: receiver.parity !== "none" && parityBit !== parityOf(value, receiver),
        framingError: stop === 0,
        lineBreak: stop === 0 && value === 0,
    }
}
