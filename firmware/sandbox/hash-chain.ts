import { cut } from "../core/octets"
import { platform } from "../core/platform"

/** As in `Platform`: what the sandbox would do at fifty times the price. */
export function hashChain(prefix: Buffer, value: Buffer, to: number): Buffer {
    const n = value.length
    const parts = [prefix, value]
    // At most 255 hashes, 30 steps each
    platform().yieldNow()
    for (let i = prefix[22]; i < to; ++i) {
        prefix[22] = i
        const next = platform().sha256(parts)
        parts[1] = n < 32 ? cut(next, 0, n) : next
    }
    return parts[1]
}
