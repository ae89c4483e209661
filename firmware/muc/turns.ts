import { tidy } from "../core/octets"
import { platform } from "../core/platform"

const pollMs = 20

/** The heap, and the element's one ephemeral key, as something that one connection has at a time. */
export class Room {
    taken = false
    wanted = false
}

/** One of the two that want it; each has a fiber of its own. */
export class Turn {
    mine = false

    /** `first`: goes before the other where both wait. */
    constructor(
        private readonly room: Room,
        private readonly first: boolean,
    ) {}

    /** Waits for the turn, unless it is ours. */
    enter(): void {
        const room = this.room
        if (this.mine) return
        if (this.first) room.wanted = true
        while (room.taken || (room.wanted && !this.first)) platform().sleepMs(pollMs)
        if (this.first) room.wanted = false
        room.taken = true
        this.mine = true
        tidy()
    }

    leave(): void {
        if (this.mine) this.room.taken = false
        this.mine = false
    }
}
