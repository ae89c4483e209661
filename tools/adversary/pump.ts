/** Anything that takes octets and gives octets. */
export interface Side {
    feed(octets: Buffer): void
    take(): Buffer[]
}

/** Carries octets between two sides until neither has more to say, at most `turns` times. Answers the octets of each. */
export function pump(a: Side, b: Side, turns = 100): [number, number] {
    const sent: [number, number] = [0, 0]
    for (let turn = 0; turn < turns; ++turn) {
        const fromA = a.take()
        for (const octets of fromA) {
            sent[0] += octets.length
            b.feed(octets)
        }
        const fromB = b.take()
        for (const octets of fromB) {
            sent[1] += octets.length
            a.feed(octets)
        }
        if (fromA.length + fromB.length === 0) return sent
    }
    throw new Error(`they go on and on, after ${turns} turns`)
}
