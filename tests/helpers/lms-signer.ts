import { createHash } from "node:crypto"

/** A signer of RFC 8554 in its own words, written from the RFC's algorithms and not from the core's. For tests only. */

const sha256 = (n: number, ...parts: Uint8Array[]) =>
    parts
        .reduce((hash, part) => hash.update(part), createHash("sha256"))
        .digest()
        .subarray(0, n)

function u32(value: number): Buffer {
    const octets = Buffer.alloc(4)
    octets.writeUInt32BE(value)
    return octets
}

function u16(value: number): Buffer {
    const octets = Buffer.alloc(2)
    octets.writeUInt16BE(value)
    return octets
}

/** RFC 8554 table 1 and SP 800-208 table 4: n, w, p, ls of LM-OTS types 1 to 8. */
const oneTimeSets = [
    [32, 1, 265, 7],
    [32, 2, 133, 6],
    [32, 4, 67, 4],
    [32, 8, 34, 0],
    [24, 1, 200, 8],
    [24, 2, 101, 6],
    [24, 4, 51, 4],
    [24, 8, 26, 0],
]

/** A key pair of LMS; private values by RFC 8554 appendix A. */
export class LmsSigner {
    private readonly tree: Buffer[] = []
    private readonly n: number
    private readonly w: number
    private readonly p: number
    private readonly ls: number
    private readonly height: number

    constructor(
        readonly lmsType: number,
        readonly otsType: number,
        readonly identifier: Buffer,
        readonly seed: Buffer,
    ) {
        ;[this.n, this.w, this.p, this.ls] = oneTimeSets[otsType - 1]
        this.height = 5 * (lmsType - (this.n === 32 ? 4 : 9))
        const leaves = 2 ** this.height
        for (let q = 0; q < leaves; ++q) {
            const ends = Array.from({ length: this.p }, (_, i) => this.chain(q, i, 2 ** this.w - 1))
            const key = sha256(this.n, identifier, u32(q), u16(0x8080), ...ends)
            this.tree[leaves + q] = sha256(this.n, identifier, u32(leaves + q), u16(0x8282), key)
        }
        for (let r = leaves - 1; r > 0; --r)
            this.tree[r] = sha256(this.n, identifier, u32(r), u16(0x8383), this.tree[2 * r], this.tree[2 * r + 1])
    }

    get publicKey(): Buffer {
        return Buffer.concat([u32(this.lmsType), u32(this.otsType), this.identifier, this.tree[1]])
    }

    /** The signature with leaf `q` and randomizer `c` of n octets. */
    sign(q: number, c: Buffer, message: Uint8Array): Buffer {
        const digest = sha256(this.n, this.identifier, u32(q), u16(0x8181), c, message)
        const digits = [...digest].map(octet => octet.toString(2).padStart(8, "0")).join("")
        const values = digits.match(new RegExp(`.{${this.w}}`, "g"))!.map(bits => Number.parseInt(bits, 2))
        const checksum = values.reduce((sum, value) => sum + 2 ** this.w - 1 - value, 0) * 2 ** this.ls
        const checks = checksum
            .toString(2)
            .padStart(16, "0")
            .match(new RegExp(`.{${this.w}}`, "g"))!
        const all = [...values, ...checks.map(bits => Number.parseInt(bits, 2))].slice(0, this.p)
        const path: Buffer[] = []
        for (let r = 2 ** this.height + q; r > 1; r >>= 1) path.push(this.tree[r ^ 1])
        const chains = all.map((value, i) => this.chain(q, i, value))
        return Buffer.concat([u32(q), u32(this.otsType), c, ...chains, u32(this.lmsType), ...path])
    }

    private chain(q: number, i: number, steps: number): Buffer {
        let value = sha256(this.n, this.identifier, u32(q), u16(i), Buffer.of(0xff), this.seed)
        for (let j = 0; j < steps; ++j) value = sha256(this.n, this.identifier, u32(q), u16(i), Buffer.of(j), value)
        return value
    }
}

/** HSS public key of this many levels. */
export const hssKey = (levels: number, root: LmsSigner) => Buffer.concat([u32(levels), root.publicKey])

/** HSS signature of one level, or of two where the second's key and the root's signature of it are given. */
export function hssSignature(signature: Buffer, rootSignature?: Buffer, secondKey?: Buffer): Buffer {
    return rootSignature && secondKey
        ? Buffer.concat([u32(1), rootSignature, secondKey, signature])
        : Buffer.concat([u32(0), signature])
}
