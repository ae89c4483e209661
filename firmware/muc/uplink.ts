import type { Settings } from "../../hal/ports"
import { PlombError } from "../core/errors"
import { platform } from "../core/platform"
import { SmlReceiver } from "../core/sml-receive"
import { endpointOf } from "./endpoint"
import type { SecureUplink } from "./secure-uplink"

/** Longest request file taken from the uplink. */
const longestRequest = 2048
const connectMs = 10000
/** Pause before the next connection: doubled each time, up to the longest, until a head-end says something. */
const shortestPauseMs = 1000
const longestPauseMs = 60000
/** Longest wait for octets before the line to the head-end is looked at again. */
const receiveMs = 10000
/** Bounds of the silence after which a connection may be dead without either end knowing it, and what is begun with. */
const shortestSilenceMs = 20000
const firstSilenceMs = 120000
const longestSilenceMs = 600000

/** Who answers what comes down the uplink; undefined for what is no request. Throws `PlombError` for damaged octets. */
export interface Answers {
    route(raw: Buffer): Buffer | undefined
}

/** What is to be fetched over the board's one socket while there is no connection to the head-end. */
export interface Fetching {
    due(): boolean
    run(): void
}

/** How patient the MUC is, learned of its head-end. */
class Patience {
    pauseMs = shortestPauseMs
    silenceMs = firstSilenceMs

    /** Something came after so long: four such pauses are no silence. What was longer before is forgotten in as much time. */
    heard(afterMs: number): void {
        this.pauseMs = shortestPauseMs
        this.bear(Math.max(4 * afterMs, this.silenceMs - afterMs))
    }

    bear(silenceMs: number): void {
        this.silenceMs = Math.min(longestSilenceMs, Math.max(shortestSilenceMs, silenceMs))
    }
}

/**
 * Keeps one connection to the head-end open for ever and serves the requests that come down it. The board has one socket, so the
 * directory is asked between two connections. Without an address "uplink" that is all that is done.
 */
export function serveUplink(
    uplink: SecureUplink,
    router: Answers,
    addresses: Settings,
    initialization: Fetching | undefined,
): void {
    const patience = new Patience()
    const receiver = new SmlReceiver(
        longestRequest,
        false,
        raw => {
            const answer = routed(router, raw)
            if (answer) uplink.send(answer)
        },
        () => {},
    )
    while (true) {
        if (initialization && initialization.due()) initialization.run()
        const endpoint = endpointOf(addresses.get("uplink"))
        if (!endpoint) {
            platform().sleepMs(receiveMs)
            continue
        }
        const where = "uplink " + endpoint.host + ":" + endpoint.port + " "
        try {
            uplink.connect(endpoint.host, endpoint.port, connectMs)
            console.log(where + (uplink.resumed() ? "resumed" : "open"))
            console.log(where + serveConnection(uplink, receiver, initialization, patience))
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            console.log(where + e.message)
        }
        uplink.close()
        if (initialization && initialization.due()) continue
        // Half of it by chance: a head-end that was away is not called by all its MUCs in one moment.
        platform().sleepMs(patience.pauseMs * (0.5 + Math.random() / 2))
        patience.pauseMs = Math.min(longestPauseMs, patience.pauseMs * 2)
    }
}

/** Serves a connection until it ends, and says why it did. */
function serveConnection(
    uplink: SecureUplink,
    receiver: SmlReceiver,
    initialization: Fetching | undefined,
    patience: Patience,
): string {
    // What the peer before has begun is not the next one's.
    receiver.inside = false
    receiver.drop(receiver.fill)
    let heardAt = uplink.heardAt
    while (true) {
        const octets = uplink.receive(receiveMs)
        if (octets === null) return "closed"
        if (octets) {
            patience.heard(uplink.heardAt - heardAt)
            heardAt = uplink.heardAt
            receiver.feed(octets)
            if (uplink.outdated()) return "another provider"
        } else if (platform().millis() - uplink.heardAt > patience.silenceMs) {
            patience.bear(2 * patience.silenceMs)
            return "silent: connecting anew"
        }
        if (initialization && !receiver.inside && initialization.due()) return "closed for the directory"
    }
}

/** A damaged request gets no answer: whom to answer is not known. */
function routed(router: Answers, file: Buffer): Buffer | undefined {
    try {
        return router.route(file)
    } catch (e: any) {
        if (!(e instanceof PlombError)) throw e
        console.log(e.message)
        return undefined
    }
}
