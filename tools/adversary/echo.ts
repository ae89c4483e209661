import type { Adversary } from "./adversary.ts"

/** The same adversary, which now sends back the data that comes and answers close_notify. */
export function echoing<T extends Adversary>(peer: T): T {
    let seen = 0
    let ended = false
    const take = peer.take.bind(peer)
    peer.take = () => {
        if (peer.data.length > seen) peer.say(peer.data.subarray(seen))
        seen = peer.data.length
        if (!ended && peer.alerts.some(each => each.description === 0)) {
            ended = true
            peer.end()
        }
        return take()
    }
    return peer
}
