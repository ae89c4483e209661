import { describe, expect, it } from "vitest"
import { Signers, signersSize } from "../../firmware/core/signers"
import { codeThrown } from "../helpers/errors.ts"
import { Cut, MemoryStore } from "../helpers/memory-store.ts"

const now = 1_900_000_000
const id = (number: number) => Buffer.from([number, 1, 2, 3, 4, 5, 6, 7])
const fresh = () => {
    const store = new MemoryStore(signersSize)
    return { store, signers: new Signers(store, 0) }
}
/** 24 signers, the n-th with a certificate until `now + n`. */
const full = () => {
    const made = fresh()
    for (let i = 1; i <= 24; ++i) made.signers.take(id(i), 10, now + i, now)
    return made
}

describe("counters of signers", () => {
    it("only rise, each for itself, up to the highest", () => {
        const { signers } = fresh()
        expect(codeThrown(() => signers.take(id(1), 0, now + 1, now))).toBe("CommandReplayed")
        signers.take(id(1), 5, now + 1, now)
        for (const counter of [0, 1, 4, 5])
            expect(codeThrown(() => signers.take(id(1), counter, now + 1, now))).toBe("CommandReplayed")
        signers.take(id(2), 1, now + 1, now)
        signers.take(id(1), 6, now + 1, now)
        signers.take(id(1), 0xffffffff, now + 1, now)
        expect(codeThrown(() => signers.take(id(1), 0xffffffff, now + 1, now))).toBe("CommandReplayed")
    })

    it("outlive a restart", () => {
        const { store, signers } = fresh()
        signers.take(id(1), 5, now + 1, now)
        expect(codeThrown(() => new Signers(store, 0).take(id(1), 5, now + 1, now))).toBe("CommandReplayed")
    })

    it("have room for 24: the next is refused while all certificates are in force (TooManySigners)", () => {
        const { signers } = full()
        expect(codeThrown(() => signers.take(id(25), 1, now + 99, now))).toBe("TooManySigners")
        expect(codeThrown(() => signers.take(id(25), 1, now + 99, now + 1))).toBe("TooManySigners")
        for (let i = 1; i <= 24; ++i) signers.take(id(i), 11, now + i, now)
    })

    it("a new signer takes the place of the one whose certificate ended first; that one does not come back by an old command", () => {
        const { signers } = full()
        signers.take(id(25), 1, now + 99, now + 4)
        // 1 has gone; its certificate, or any that ended so early, is below the floor.
        expect(codeThrown(() => signers.take(id(1), 11, now + 1, 0))).toBe("SignerForgotten")
        expect(codeThrown(() => signers.take(id(2), 10, now + 2, now + 4))).toBe("CommandReplayed")
        signers.take(id(2), 11, now + 2, now + 2)
        // With a longer certificate it is a new signer.
        signers.take(id(1), 1, now + 50, now + 4)
    })

    it("none is given up without a trusted clock", () => {
        const { signers } = full()
        expect(codeThrown(() => signers.take(id(25), 1, now + 99, 0))).toBe("TooManySigners")
        signers.take(id(3), 11, now + 3, 0)
    })

    it("a renewed certificate of the same key keeps the counter, to the later end", () => {
        const { signers } = full()
        signers.take(id(1), 11, now + 500, now)
        signers.take(id(1), 12, now + 1, now)
        signers.take(id(25), 1, now + 999, now + 30)
        expect(codeThrown(() => signers.take(id(1), 12, now + 500, now + 30))).toBe("CommandReplayed")
    })

    it("after a power cut at any octet the counters are those before or those after", () => {
        let cuts = 0
        for (const [signer, counter, at] of [
            [id(7), 11, now],
            [id(25), 1, now + 4],
        ] as const) {
            const whole = full()
            const from = whole.store.written
            whole.signers.take(signer, counter, now + 99, at)
            const writes = whole.store.written - from
            for (let cut = 0; cut <= writes; ++cut) {
                const { store, signers } = full()
                store.cutAfter = cut
                let came: unknown
                try {
                    signers.take(signer, counter, now + 99, at)
                } catch (error) {
                    came = error
                }
                expect(came instanceof Cut).toBe(cut < writes)
                store.cutAfter = Number.POSITIVE_INFINITY
                const again = new Signers(store, 0)
                expect(codeThrown(() => again.take(signer, counter, now + 99, at))).toBe(
                    cut < writes ? "none" : "CommandReplayed",
                )
                for (let i = 8; i <= 24; ++i)
                    expect(codeThrown(() => again.take(id(i), 10, now + i, now))).toBe("CommandReplayed")
                ++cuts
            }
        }
        expect(cuts).toBe((2 * (signersSize + 3)) / 2)
    })

    it("are all forgotten by reset", () => {
        const { store, signers } = full()
        signers.reset()
        new Signers(store, 0).take(id(1), 1, 1, 0)
    })
})
