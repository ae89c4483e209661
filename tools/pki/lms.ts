import { createHash, hash } from "node:crypto"

/*
 * Signing with LMS and HSS in the words of RFC 8554, written from its algorithms and not from the core's verification,
 * so that one is the other's test. What leaves here uses up a one-time key: `HssKey` keeps the count.
 */

const sha256 = (n: number, ...parts: Uint8Array[]) =>
    parts
        .reduce((hash, part) => hash.update(part), createHash("sha256"))
        .digest()
        .subarray(0, n)

/** A number of four octets, as RFC 8554 writes them. */
export function u32(value: number): Buffer {
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
    /** Node r of the tree (RFC 8554 5.3) at r * n; node 1 is the root. */
    readonly tree: Buffer
    readonly height: number
    /** Octets of a hash. */
    readonly n: number
    private readonly w: number
    private readonly p: number
    private readonly ls: number

    /** LMS type 5 to 9 (n = 32) or 10 to 14 (n = 24), LM-OTS type 1 to 8; `tree`: as an earlier one made it, unchecked. */
    constructor(
        readonly lmsType: number,
        readonly otsType: number,
        readonly identifier: Uint8Array,
        readonly seed: Uint8Array,
        tree?: Buffer,
    ) {
        ;[this.n, this.w, this.p, this.ls] = oneTimeSets[otsType - 1]
        this.height = 5 * (lmsType - (this.n === 32 ? 4 : 9))
        this.tree = tree ?? this.grow()
    }

    get publicKey(): Buffer {
        return Buffer.concat([u32(this.lmsType), u32(this.otsType), this.identifier, this.node(1)])
    }

    /** The signature with leaf `q` and randomizer `c` of n octets. */
    sign(q: number, c: Uint8Array, message: Uint8Array): Buffer {
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
        for (let r = 2 ** this.height + q; r > 1; r >>= 1) path.push(this.node(r ^ 1))
        const chains = all.map((value, i) => this.chain(q, i, value))
        return Buffer.concat([u32(q), u32(this.otsType), c, ...chains, u32(this.lmsType), ...path])
    }

    private node(r: number): Buffer {
        return this.tree.subarray(r * this.n, (r + 1) * this.n)
    }

    private grow(): Buffer {
        const leaves = 2 ** this.height
        const tree = Buffer.alloc(2 * leaves * this.n)
        const id = this.identifier
        for (let q = 0; q < leaves; ++q) {
            const ends = Array.from({ length: this.p }, (_, i) => this.chain(q, i, 2 ** this.w - 1))
            const key = sha256(this.n, id, u32(q), u16(0x8080), ...ends)
            sha256(this.n, id, u32(leaves + q), u16(0x8282), key).copy(tree, (leaves + q) * this.n)
        }
        for (let r = leaves - 1; r > 0; --r) {
            const pair = tree.subarray(2 * r * this.n, 2 * (r + 1) * this.n)
            sha256(this.n, id, u32(r), u16(0x8383), pair).copy(tree, r * this.n)
        }
        return tree
    }

    private chain(q: number, i: number, steps: number): Buffer {
        // One buffer for all: a key of height 10 is a million of these hashes.
        const input = Buffer.concat([this.identifier, u32(q), u16(i), Buffer.of(0xff), this.seed])
        let value = hash("sha256", input, "buffer").subarray(0, this.n)
        const link = input.subarray(0, 23 + this.n)
        for (let j = 0; j < steps; ++j) {
            link[22] = j
            value.copy(link, 23)
            value = hash("sha256", link, "buffer").subarray(0, this.n)
        }
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
