/**
 * What meters with a P1 port or a DLMS push send, octet by octet, from the texts: DSMR P1 companion standard 5.0.2 (CRC-16/ARC over `/` to `!`), IEC 62056-46 clause 6.4 (frame
 * format type 3, CRC-16/X.25), IEC 62056-5-3 clause 9.2.3.3 (AES-128-GCM with a tag of 12 octets by node:crypto; nonce = system title and invocation
 * counter; authenticated with it control octet and authentication key). Nothing of the firmware.
 */
import { createCipheriv } from "node:crypto"

/** Keys of security suite 0, each of 16 octets. */
export interface SuiteKeys {
    encryption: Uint8Array
    authentication: Uint8Array
}

/** A reflected CRC of 16 bits. */
function crc(octets: Uint8Array, polynomial: number, start: number): number {
    let register = start
    for (const octet of octets) {
        register ^= octet
        for (let bit = 0; bit < 8; ++bit) register = register & 1 ? (register >>> 1) ^ polynomial : register >>> 1
    }
    return register
}

/** A P1 telegram of these lines, the identification first. */
export function p1Text(lines: string[]): Buffer {
    const body = Buffer.from(`${lines[0]}\r\n\r\n${lines.slice(1).join("\r\n")}\r\n!`, "latin1")
    const check = crc(body, 0xa001, 0).toString(16).toUpperCase().padStart(4, "0")
    return Buffer.concat([body, Buffer.from(`${check}\r\n`)])
}

/**
 * An octet string under general ciphering (tag DB), named by `title`. `control`: 30 encrypted and authenticated, 20 encrypted only; with 10 it is only authenticated.
 */
export function generalCiphered(
    plain: Uint8Array,
    title: Uint8Array,
    counter: number,
    { encryption, authentication }: SuiteKeys,
    control = 0x30,
): Buffer {
    const number = Buffer.alloc(4)
    number.writeUInt32BE(counter)
    const cipher = createCipheriv("aes-128-gcm", encryption, Buffer.concat([title, number]), { authTagLength: 12 })
    const head = Buffer.concat([Buffer.of(control), authentication])
    const secret = (control & 0x20) !== 0
    if ((control & 0x10) !== 0) cipher.setAAD(secret ? head : Buffer.concat([head, plain]))
    const sealed = secret ? Buffer.concat([cipher.update(plain), cipher.final()]) : Buffer.from(plain)
    if (!secret) cipher.final()
    const tag = (control & 0x10) !== 0 ? cipher.getAuthTag() : Buffer.alloc(0)
    const content = Buffer.concat([Buffer.of(control), number, sealed, tag])
    const length = Buffer.of(0x82, content.length >> 8, content.length & 255)
    return Buffer.concat([Buffer.of(0xdb, title.length), title, length, content])
}

/** An HDLC frame with its flags: unnumbered information (13) from server address `source` to client 16 (or what is told). */
export function hdlcUi(information: Uint8Array, source: Uint8Array, segmented = false, destination = 0x21): Buffer {
    const length = 2 + 1 + source.length + 1 + 2 + information.length + 2
    const head = Buffer.concat([
        Buffer.of(0xa0 | (segmented ? 8 : 0) | (length >> 8), length & 255, destination),
        source,
        Buffer.of(0x13),
    ])
    const check = (octets: Uint8Array) => {
        const value = crc(octets, 0x8408, 0xffff) ^ 0xffff
        return Buffer.of(value & 255, value >> 8)
    }
    const body = Buffer.concat([head, check(head), information])
    return Buffer.concat([Buffer.of(0x7e), body, check(body), Buffer.of(0x7e)])
}

/** LLC header and a data notification (clause 9.5) with a structure of OBIS codes and numbers by turns (double-long-unsigned). */
export function notification(invoke: number, values: Record<string, number>): Buffer {
    const items = Object.entries(values).map(([obis, value]) => {
        const number = Buffer.alloc(5, 6)
        number.writeUInt32BE(value, 1)
        return Buffer.concat([Buffer.from(`0906${obis}`, "hex"), number])
    })
    const head = Buffer.alloc(5, 0x0f)
    head.writeUInt32BE(invoke, 1)
    return Buffer.concat([head, Buffer.of(0), Buffer.of(2, 2 * items.length), ...items])
}

/** LLC header of what a server sends. */
export const llcOfServer = Buffer.from("e6e700", "hex")
