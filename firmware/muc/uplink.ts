import type { Uplink } from "../../hal/ports"
import { PlombError } from "../core/errors"
import { platform } from "../core/platform"
import { SmlReceiver } from "../core/sml-receive"
import type { Router } from "./answer"

/** Longest request file taken from the uplink. */
const longestRequest = 2048
const connectMs = 10000
/** Pause before the next connection: doubled after each failure up to the longest. */
const shortestPauseMs = 1000
const longestPauseMs = 60000
/** Longest wait for octets before the line to the head-end is looked at again. */
const receiveMs = 30000

/** Keeps one connection to the head-end at `host:port` open for ever and serves the requests that come down it. */
export function serveUplink(uplink: Uplink, router: Router, host: string, port: number): void {
    let pauseMs = shortestPauseMs
    while (true) {
        try {
            uplink.connect(host, port, connectMs)
            console.log("uplink " + host + ":" + port + " open")
            pauseMs = shortestPauseMs
            serveConnection(uplink, router)
            console.log("uplink closed by the head-end")
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            console.log("uplink " + host + ":" + port + " " + e.message)
        }
        uplink.close()
        platform().sleepMs(pauseMs)
        pauseMs = Math.min(longestPauseMs, pauseMs * 2)
    }
}

function serveConnection(uplink: Uplink, router: Router): void {
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
        if (octets === null) return
        if (octets === undefined) continue
        receiver.feed(octets)
    }
}

/** A damaged request gets no answer: whom to answer is not known. */
function routed(router: Router, file: Buffer): Buffer | undefined {
    try {
        return router.route(file)
    } catch (e: any) {
        if (!(e instanceof PlombError)) throw e
        e.print()
        return undefined
    }
}
