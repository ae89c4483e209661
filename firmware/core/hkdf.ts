import { Code, fail } from "./errors"
import { platform } from "./platform"

/** HKDF-Extract with SHA-256 (RFC 5869 clause 2.2): 32 octets. An empty `salt` is the same as 32 zeros. */
export function hkdfExtract(salt: Buffer, keyMaterial: Buffer): Buffer {
    return platform().hmacSha256(salt, [keyMaterial])
}

/**
 * HKDF-Expand with SHA-256 (clause 2.3): `length` octets, 1 to 8160, else `BadArgument`. `key` as from
 * `hkdfExtract`. Lets other fibers run every 1024 octets.
 */
export function hkdfExpand(key: Buffer, info: Buffer, length: number): Buffer {
    if (!(length >= 1 && length <= 8160)) fail(Code.BadArgument, -1, "1 to 8160 octets", length + "")
    const expanded = Buffer.alloc(length)
    const count = Buffer.alloc(1)
    let block: Buffer = Buffer.alloc(0)
    for (let at = 0; at < length; at += 32) {
        count[0] = (at >> 5) + 1
        block = platform().hmacSha256(key, [block, info, count])
        expanded.blitAt(at, block, 0, length - at)
        if ((at & 1023) === 992) platform().yieldNow()
    }
    return expanded
}

/**
 * HKDF-Expand-Label of TLS 1.3 (RFC 8446 clause 7.1): `length` octets. `label` without "tls13 ", at most 249 octets; `context` at
 * most 255; else `BadArgument`.
 */
export function hkdfExpandLabel(secret: Buffer, label: string, context: Buffer, length: number): Buffer {
    const name = Buffer.from("tls13 " + label)
    if (name.length > 255 || context.length > 255)
        fail(Code.BadArgument, -1, "label and context of 255 octets", name.length + " and " + context.length)
    const info = Buffer.alloc(4 + name.length + context.length)
    info[0] = length >> 8
    info[1] = length & 0xff
    info[2] = name.length
    info.blitAt(3, name, 0, name.length)
    info[3 + name.length] = context.length
    info.blitAt(4 + name.length, context, 0, context.length)
    return hkdfExpand(secret, info, length)
}

/** Derive-Secret of TLS 1.3 (clause 7.1): 32 octets. `transcriptHash` is SHA-256 over the messages so far. */
export function deriveSecret(secret: Buffer, label: string, transcriptHash: Buffer): Buffer {
    return hkdfExpandLabel(secret, label, transcriptHash, 32)
}
