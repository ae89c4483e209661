/**
 * The zones of the ATECC608B model: configuration (factory contents of a fresh part), OTP, 16 data slots, and what
 * their bits mean. All of it is non-volatile; private keys are nowhere else.
 */

const slotSizes = [36, 36, 36, 36, 36, 36, 36, 36, 416, 72, 72, 72, 72, 72, 72, 72]
const counterOffsets = [52, 60]
/** Largest value of a monotonic counter. */
export const counterEnd = 2_097_151

/** CRC-16 of packets and locks: polynomial 0x8005, each octet low bit first, sent low octet first. */
export function crc16(octets: Uint8Array): number {
    let crc = 0
    for (const octet of octets) {
        for (let bit = 0; bit < 8; bit++) {
            const top = crc >> 15
            crc = (crc << 1) & 0xffff
            if (((octet >> bit) & 1) !== top) crc ^= 0x8005
        }
    }
    return crc
}

/** Serial number of nine octets 01 23 .. EE from any number 0 to 2^48 - 1. */
export function serialOf(number: number): Uint8Array {
    const serial = Buffer.alloc(9)
    serial.writeUInt16BE(0x0123, 0)
    serial.writeUIntBE(number, 2, 6)
    serial[8] = 0xee
    return new Uint8Array(serial)
}

/** Eight counter octets for a value: two linear fields that shift out, two binary ones that count the turns. */
export function encodeCounter(value: number): Uint8Array {
    const out = Buffer.alloc(8)
    out.writeUInt16BE(0xffff >> (value % 32), 0)
    out.writeUInt16BE(value >= 16 ? 0xffff >> ((value - 16) % 32) : 0xffff, 2)
    out.writeUInt16BE(Math.floor(value / 32), 4)
    out.writeUInt16BE(value >= 16 ? Math.floor((value - 16) / 32) : 0, 6)
    return new Uint8Array(out)
}

const zeros = (field: number) => (field === 0 ? 16 : Math.clz32(field) - 16)

/** Value of eight counter octets. */
export function decodeCounter(octets: Uint8Array): number {
    const field = (at: number) => octets[at] * 256 + octets[at + 1]
    const first = zeros(field(0))
    return field(4) * 32 + (first < 16 ? first : 16 + (zeros(field(2)) % 16))
}

function freshConfiguration(serial: Uint8Array): Uint8Array {
    const c = Buffer.alloc(128)
    c.set(serial.subarray(0, 4), 0)
    c.set([0x00, 0x00, 0x60, 0x03], 4)
    c.set(serial.subarray(4, 9), 8)
    c.set([0xc1, 0x55, 0x00, 0xc0, 0x00, 0x00, 0x00], 13)
    c.write("832087208f20c48f8f8f8f8f9f8faf8f", 20, "hex")
    c.set([0xaf, 0x8f], 50)
    c.set(encodeCounter(0), 52)
    c.set(encodeCounter(0), 60)
    c.set([0x00, 0x00, 0x55, 0x55, 0xff, 0xff], 84)
    for (let slot = 0; slot < 16; slot++) {
        c[96 + 2 * slot] = slot < 3 ? 0x33 : slot < 8 || slot === 15 ? 0x1c : 0x3c
    }
    return new Uint8Array(c)
}

/** All non-volatile contents of one part. */
export class AteccMemory {
    config: Uint8Array
    otp: Uint8Array = new Uint8Array(64).fill(0xff)
    readonly slots = slotSizes.map(size => new Uint8Array(size).fill(0xff))

    constructor(serial: Uint8Array) {
        this.config = freshConfiguration(serial)
    }

    get serial(): Uint8Array {
        return Uint8Array.from([...this.config.subarray(0, 4), ...this.config.subarray(8, 13)])
    }

    get configLocked(): boolean {
        return this.config[87] !== 0x55
    }

    get dataLocked(): boolean {
        return this.config[86] !== 0x55
    }

    slotConfig(slot: number): number {
        return this.config[20 + 2 * slot] | (this.config[21 + 2 * slot] << 8)
    }

    keyConfig(slot: number): number {
        return this.config[96 + 2 * slot] | (this.config[97 + 2 * slot] << 8)
    }

    slotLocked(slot: number): boolean {
        return ((this.config[88 + (slot >> 3)] >> (slot & 7)) & 1) === 0
    }

    lockSlot(slot: number): void {
        this.config[88 + (slot >> 3)] &= ~(1 << (slot & 7))
    }

    /** Slot holds P-256 private keys. */
    isPrivate(slot: number): boolean {
        return (this.keyConfig(slot) & 0x1d) === 0x11
    }

    /** Slot holds P-256 public keys. */
    isPublic(slot: number): boolean {
        return (this.keyConfig(slot) & 0x1d) === 0x10
    }

    counter(n: number): number {
        return decodeCounter(this.config.subarray(counterOffsets[n], counterOffsets[n] + 8))
    }

    /** One more; false at the end of the range. */
    increment(n: number): boolean {
        const value = this.counter(n)
        if (value >= counterEnd) return false
        this.config.set(encodeCounter(value + 1), counterOffsets[n])
        return true
    }

    /** Everything, as text. */
    toJson(): string {
        const hex = (octets: Uint8Array) => Buffer.from(octets).toString("hex")
        return JSON.stringify({ config: hex(this.config), otp: hex(this.otp), slots: this.slots.map(hex) }, null, 1)
    }

    /** Takes back `toJson`; throws an Error where a zone has not its size. */
    fromJson(text: string): void {
        const state = JSON.parse(text)
        const octets = (hex: unknown, size: number, name: string): Uint8Array => {
            const out = Buffer.from(String(hex), "hex")
            if (out.length !== size) throw new Error(`ATECC608B state: ${name} expected ${size}, came ${out.length}`)
            return new Uint8Array(out)
        }
        this.config = octets(state.config, 128, "config")
        this.otp = octets(state.otp, 64, "otp")
        for (const [n, slot] of this.slots.entries()) slot.set(octets(state.slots?.[n], slot.length, `slot ${n}`))
    }
}
