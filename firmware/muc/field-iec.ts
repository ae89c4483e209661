import { IecLink } from "../../hal/iec62056-link"
import type { UartPort } from "../../hal/ports"
import { join } from "../core/octets"
import { TELEGRAM_IEC } from "../core/telegram-list"
import type { FieldSide } from "./field-side"

/** Octets of the longest data message. */
const longestMessage = 1400
const mostBaud = 9600
/** Failures in a row after which a meter is asked once a turn, not three times. */
const deadAfter = 4
const anyone = hex``

/** IEC 62056-21 on this line, modes A, B and C: an optical head, RS-485 or a current loop. */
export function startIec62056(side: FieldSide, line: number, port: UartPort): void {
    serveIec.start(side, line, new IecLink(port, true, longestMessage))
}

function serveIec(side: FieldSide, line: number, link: IecLink): void {
    side.serve(
        line,
        () => {},
        () => iecTurn(side, line, link),
    )
}

/**
 * Reads who is due. Nobody can be searched for by address: without meters the line is taken for one of a single meter, which answers to any. The addresses of
 * several are said by command.
 */
function iecTurn(side: FieldSide, line: number, link: IecLink): boolean {
    if (side.searched(line) && side.meters.count(line) === 0) side.add(line, 0, anyone)
    const plan = side.meters.plan
    const meter = plan.next(line, side.now())
    if (meter < 0) return false
    link.tries = plan.failing(meter) < deadAfter ? 3 : 1
    side.turn(meter, () => {
        const address = side.meters.address(meter)
        link.read(address.toString("utf8"), mostBaud, (identification, data) => {
            const telegram = identification === data ? data.octets : join([identification.octets, data.octets])
            side.take(TELEGRAM_IEC, line * 16, address, telegram)
        })
    })
    return true
}
