import { createCipheriv, createDecipheriv, createHash, createHmac } from "node:crypto"
import { octets, uint, vector } from "./codec.ts"

/** The key schedule of RFC 8446 clause 7 with SHA-256, by node:crypto: shares nothing with `firmware/tls`. */

export const hashOf = (...parts: Buffer[]) => createHash("sha256").update(Buffer.concat(parts)).digest()
const mac = (key: Buffer, data: Buffer) => createHmac("sha256", key).update(data).digest()
const extract = (salt: Buffer, key: Buffer) => mac(salt, key)
const zeros = Buffer.alloc(32)

export function expandLabel(secret: Buffer, label: string, context: Buffer, length: number): Buffer {
    const info = octets(uint(2, length), vector(1, Buffer.from(`tls13 ${label}`)), vector(1, context))
    // Of HKDF-Expand one block is enough here.
    if (length > 32) throw new Error("one block")
    return mac(secret, octets(info, uint(1, 1))).subarray(0, length)
}

const derive = (secret: Buffer, label: string, hash: Buffer) => expandLabel(secret, label, hash, 32)

export function finishedMac(trafficSecret: Buffer, transcriptHash: Buffer): Buffer {
    return mac(expandLabel(trafficSecret, "finished", Buffer.alloc(0), 32), transcriptHash)
}

export function resumptionPsk(master: Buffer, nonce: Buffer): Buffer {
    return expandLabel(master, "resumption", nonce, 32)
}

export class Schedule {
    private secret: Buffer
    readonly early: Buffer

    constructor(psk: Buffer | undefined) {
        this.early = extract(zeros, psk ?? zeros)
        this.secret = this.early
    }

    binderKey(label = "res binder"): Buffer {
        return derive(this.early, label, hashOf())
    }

    earlyTraffic(helloHash: Buffer): Buffer {
        return derive(this.early, "c e traffic", helloHash)
    }

    /** Goes on to the handshake secret. */
    agree(shared: Buffer): void {
        this.secret = extract(derive(this.early, "derived", hashOf()), shared)
    }

    handshake(side: "c" | "s", hash: Buffer): Buffer {
        return derive(this.secret, `${side} hs traffic`, hash)
    }

    /** Goes on to the master secret. */
    finish(): void {
        this.secret = extract(derive(this.secret, "derived", hashOf()), zeros)
    }

    application(side: "c" | "s", hash: Buffer): Buffer {
        return derive(this.secret, `${side} ap traffic`, hash)
    }

    resumption(hash: Buffer): Buffer {
        return derive(this.secret, "res master", hash)
    }
}

export const chacha = 0x1303
export const gcm = 0x1301

/** Record protection in one direction (clause 5.2). */
export class Protection {
    private readonly name: "chacha20-poly1305" | "aes-128-gcm"
    private key: Buffer = Buffer.alloc(0)
    private iv: Buffer = Buffer.alloc(0)
    sequence = 0

    constructor(
        readonly suite: number,
        public secret: Buffer,
    ) {
        this.name = suite === chacha ? "chacha20-poly1305" : "aes-128-gcm"
        this.rekey(secret)
    }

    private rekey(secret: Buffer): void {
        this.secret = secret
        this.key = expandLabel(secret, "key", Buffer.alloc(0), this.suite === chacha ? 32 : 16)
        this.iv = expandLabel(secret, "iv", Buffer.alloc(0), 12)
        this.sequence = 0
    }

    update(): void {
        this.rekey(expandLabel(this.secret, "traffic upd", Buffer.alloc(0), 32))
    }

    private nonce(): Buffer {
        const nonce = Buffer.from(this.iv)
        nonce.writeUInt32BE((nonce.readUInt32BE(8) ^ this.sequence++) >>> 0, 8)
        return nonce
    }

    /** TLSInnerPlaintext as it is; the caller puts type and padding there. */
    seal(inner: Buffer, header?: Buffer): Buffer {
        const aad = header ?? octets("170303", uint(2, inner.length + 16))
        const cipher = createCipheriv(this.name as "aes-128-gcm", this.key, this.nonce(), { authTagLength: 16 })
        cipher.setAAD(aad)
        return octets(aad, cipher.update(inner), cipher.final(), cipher.getAuthTag())
    }

    /** TLSInnerPlaintext of a whole record. Throws where the tag does not hold. */
    open(record: Buffer): Buffer {
        const cipher = createDecipheriv(this.name as "aes-128-gcm", this.key, this.nonce(), { authTagLength: 16 })
        cipher.setAAD(record.subarray(0, 5))
        cipher.setAuthTag(record.subarray(record.length - 16))
        return octets(cipher.update(record.subarray(5, record.length - 16)), cipher.final())
    }
}
