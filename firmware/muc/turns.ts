import type { KeyAgreement } from "../../hal/ports"
import { Code, fail } from "../core/errors"
import { platform } from "../core/platform"

/** A handshake that takes longer has failed, and so has whoever threw meanwhile. */
const longestMs = 30000
const pollMs = 20

/** Whose turn it is at a key agreement that two connections share. */
export class Turns {
    holder: KeyAgreement | undefined
    sinceMs = 0

    constructor(readonly agreement: KeyAgreement) {}
}

/** One of the users of a key agreement: from `begin` to `agree` the others wait. */
export class TurnAgreement implements KeyAgreement {
    /** `whole`: its turn ends with `leave`, not with `agree`. */
    constructor(
        private readonly turns: Turns,
        private readonly whole: boolean,
    ) {}

    prepare(): void {
        const turns = this.turns
        if (turns.holder && turns.holder !== this) return
        this.enter()
        turns.agreement.prepare()
        turns.holder = undefined
    }

    begin(): Buffer {
        this.enter()
        return this.turns.agreement.begin()
    }

    agree(peer: Buffer): Buffer {
        const turns = this.turns
        if (turns.holder !== this) fail(Code.KeyAbsent, -1, "a key pair begun", "another's turn")
        const secret = turns.agreement.agree(peer)
        if (!this.whole) turns.holder = undefined
        return secret
    }

    leave(): void {
        if (this.turns.holder === this) this.turns.holder = undefined
    }

    /** Waits for the turn. */
    enter(): void {
        const turns = this.turns
        while (turns.holder && turns.holder !== this && platform().millis() - turns.sinceMs < longestMs)
            platform().sleepMs(pollMs)
        turns.holder = this
        turns.sinceMs = platform().millis()
    }
}
