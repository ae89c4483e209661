import { createCipheriv } from "node:crypto"
import { cmac } from "../../firmware/core/cmac"
import { mbusLongFrame } from "../../firmware/core/mbus-frame"
import { crcEn13757, WMBUS_A, WMBUS_B, WMBUS_PLAIN } from "../../firmware/core/wmbus-frame"

/** Sound telegrams of every kind that the core opens, made of a payload: what sends, for tests and campaigns. */

export const meterKey = Buffer.from("000102030405060708090a0b0c0d0e0f", "hex")

/** ELS 12345678, version 51, gas; in the order of the link layer. */
export const meterAddress = Buffer.from("9315785634123303", "hex")

/** Data records of every kind of DIF, VIF and data. */
export const sampleRecords =
    `0c1427048502 046d32371f15 02fd170000 426c1f15 4c1427048502 8c1004523412 00 84101300000100 013100 8e8090403b112233445566
    0506cdcccc3d 07138877665544332211 0dfd110548656c6c6f 0d78c3785634 0d13d2341200 0dfd0ce80102030405060708 0dfd3be2ffee 02fc0348522574d411
    04933c01000000 0493fc0101000000 0413ffffffff 0cfb1a2143f5ff 066d3b092cf72100 036d0a1412 04be5058f40200 8d04931f0a34fe0500000006000000 0cff920012345678
    01fd7302 02fdfd0203 04fb8c7504030000 0f01020304 1f0a0b 2f2f2f 08fd0e 0ae5ff01 0bfd4834f212`
        .trim()
        .split(/\s+/)

export function wiredFrame(payload: Buffer): Buffer {
    const header = Buffer.from("7278563412931533032a000000", "hex")
    return mbusLongFrame(8, 1, Buffer.concat([header, payload]))
}

/** The fixed data structure of EN 1434-3. */
export const fixedFrame = (): Buffer => mbusLongFrame(8, 5, Buffer.from("73785634120a00e97e0100000035010000", "hex"))

/** A frame of this format around what follows the link layer's address. */
export function wirelessFrame(content: Buffer, format: number): Buffer {
    const body = Buffer.concat([Buffer.of(0, 0x44), meterAddress, content])
    if (format === WMBUS_PLAIN) body[0] = body.length - 1
    if (format === WMBUS_A) body[0] = body.length - 1
    const blocks: Buffer[] = []
    if (format === WMBUS_B) body[0] = body.length - 1 + 2 * Math.ceil(body.length / 126)
    let at = 0
    while (at < body.length) {
        const most = format === WMBUS_PLAIN ? 256 : format === WMBUS_B ? 126 : at === 0 ? 10 : 16
        const block = body.subarray(at, at + most)
        const crc = crcEn13757(Buffer.from(block), 0, block.length)
        blocks.push(block, ...(format === WMBUS_PLAIN ? [] : [Buffer.of(crc >> 8, crc & 0xff)]))
        at += block.length
    }
    return Buffer.concat(blocks)
}

function encryptCbc(key: Buffer, vector: Buffer, plain: Buffer): Buffer {
    const cipher = createCipheriv("aes-128-cbc", key, vector).setAutoPadding(false)
    return Buffer.concat([cipher.update(plain), cipher.final()])
}

/** 2F 2F, the payload, and 2F to whole blocks. */
function blocksOf(payload: Buffer): Buffer {
    const text = Buffer.concat([Buffer.from("2f2f", "hex"), payload])
    return Buffer.concat([text, Buffer.alloc(-text.length & 15, 0x2f)])
}

/** Security mode 5 with a short header, and this access number. */
export function mode5(payload: Buffer, access: number, key = meterKey): Buffer {
    const plain = blocksOf(payload)
    const vector = Buffer.concat([meterAddress, Buffer.alloc(8, access)])
    return Buffer.concat([Buffer.of(0x7a, access, 0, plain.length & 0xf0, 5), encryptCbc(key, vector, plain)])
}

/** Security mode 7 with ELL and AFL, message counter and MAC of 8 octets. */
export function mode7(payload: Buffer, counter: number, key = meterKey): Buffer {
    const number = Buffer.alloc(4)
    number.writeUInt32LE(counter)
    const derived = (constant: number) =>
        cmac(key, Buffer.concat([Buffer.of(constant), number, meterAddress.subarray(2, 6), Buffer.alloc(7, 7)]))
    const plain = blocksOf(payload)
    const message = Buffer.concat([
        Buffer.of(0x7a, counter & 0xff, 0, plain.length & 0xf0, 7, 0x10),
        encryptCbc(derived(0), Buffer.alloc(16), plain),
    ])
    const control = Buffer.concat([Buffer.of(0x25), number])
    const mac = cmac(derived(1), Buffer.concat([control, message])).subarray(0, 8)
    const head = Buffer.from([0x8c, 0x20, counter & 0xff, 0x90, 0x0f, 0x00, 0x2c])
    return Buffer.concat([head, control, mac, message])
}

/** Extended link layer with AES-CTR; `session` counts up. */
export function linkEncrypted(payload: Buffer, session: number, key = meterKey): Buffer {
    const number = Buffer.alloc(4)
    number.writeUInt32LE((0x20000000 | session) >>> 0)
    const content = Buffer.concat([Buffer.of(0x78), payload])
    const crc = Buffer.alloc(2)
    crc.writeUInt16LE(crcEn13757(content, 0, content.length))
    const vector = Buffer.concat([meterAddress, Buffer.of(0x20), number, Buffer.alloc(3)])
    const cipher = createCipheriv("aes-128-ctr", key, vector)
    return Buffer.concat([Buffer.of(0x8d, 0x20, 7), number, cipher.update(Buffer.concat([crc, content]))])
}
