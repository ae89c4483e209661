import { platform } from "../core/platform"
import { identificationPath } from "../core/sml-parameter"
import { parameterRequest } from "../core/sml-request"
import type { LineMaster } from "./master"
import type { MeterList } from "./meters"

/** Sixteen slots of 165 ms and the longest answer. */
const roundMs = 2900
/** Pause between rounds, in which a request that waits for the line gets it. */
const pauseMs = 100
/** Rounds without a new meter after which the line is taken to be known. */
const quietRounds = 2
const mostRounds = 12

/**
 * Asks the line who is there: each meter answers in a time slot drawn from its server id and the request's
 * id, so answers that collide in one round part in the next. Ends after two rounds that brought nothing new.
 * Answers how many meters were new.
 */
export function discover(master: LineMaster, meters: MeterList): number {
    let found = 0
    let quiet = 0
    for (let round = 0; round < mostRounds && quiet < quietRounds; ++round) {
        const before = found
        const senders = master.call(
            parameterRequest(platform().randomOctets(4), undefined, identificationPath),
            roundMs,
        )
        for (let i = 0; i < senders.length; ++i) if (meters.add(senders[i])) ++found
        quiet = found === before ? quiet + 1 : 0
        platform().sleepMs(pauseMs)
    }
    return found
}
