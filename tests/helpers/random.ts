import { createHash } from "node:crypto"

/** Pseudo-random octets and numbers, the same for the same seed. */
export function seeded(seed: number) {
    let count = 0
    const octets = (length: number): Buffer =>
        createHash("shake256", { outputLength: Math.max(length, 1) })
            .update(`${seed} ${count++}`)
            .digest()
            .subarray(0, length)
    return { octets, below: (end: number) => octets(6).readUIntBE(0, 6) % end }
}
