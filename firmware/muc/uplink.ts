import { PlombError } from "../core/errors"
import { platform } from "../core/platform"
import { SmlReceiver } from "../core/sml-receive"
import type { Router } from "./answer"
import type { Endpoint } from "./endpoint"
import type { Initialization } from "./initialization"
import type { SecureUplink } from "./secure-uplink"

/** Longest request file taken from the uplink. */
const longestRequest = 2048
const connectMs = 10000
/** Pause before the next connection: doubled after each failure up to the longest. */
const shortestPauseMs = 1000
const longestPauseMs = 60000
/** Longest wait for octets before the line to the head-end is looked at again. */
const receiveMs = 30000
/** A connection on which nothing came for so long may be dead without either end knowing it: a new one is made. */
const silenceMs = 600000

/**
 * Keeps one connection to the head-end open for ever and serves the requests that come down it. The board has one socket, so the
 * directory is asked between two connections. Without an `endpoint` that is all that is done.
 */
export function serveUplink(
    uplink: SecureUplink,
    router: Router,
    endpoint: Endpoint | undefined,
    initialization: Initialization,
): void {
    let pauseMs = shortestPauseMs
    while (true) {
        if (initialization.due()) initialization.run()
        if (!endpoint) {
            platform().sleepMs(receiveMs)
            continue
        }
        const where = "uplink " + endpoint.host + ":" + endpoint.port + " "
        try {
            uplink.connect(endpoint.host, endpoint.port, connectMs)
            console.log(where + (uplink.resumed() ? "resumed" : "open"))
            pauseMs = shortestPauseMs
            console.log(where + serveConnection(uplink, router, initialization))
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            console.log(where + e.message)
        }
        uplink.close()
        if (initialization.due()) continue
        platform().sleepMs(pauseMs)
        pauseMs = Math.min(longestPauseMs, pauseMs * 2)
    }
}

/** Serves a connection until it ends, and says why it did. */
function serveConnection(uplink: SecureUplink, router: Router, initialization: Initialization): string {
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
        const octets = uplink.receive(receiveMs)
        if (octets === null) return "closed by the head-end"
        if (octets) receiver.feed(octets)
        else if (platform().millis() - uplink.heardAt > silenceMs) return "silent: connecting anew"
        if (!receiver.inside && initialization.due()) return "closed for the directory"
    }
}

/** A damaged request gets no answer: whom to answer is not known. */
function routed(router: Router, file: Buffer): Buffer | undefined {
    try {
        return router.route(file)
    } catch (e: any) {
        if (!(e instanceof PlombError)) throw e
        console.log(e.message)
        return undefined
    }
}
