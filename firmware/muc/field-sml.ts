import type { UartPort } from "../../hal/ports"
import { PushListener } from "../../hal/push-listener"
import { Code, PlombError } from "../core/errors"
import { readFile } from "../core/sml-read"
import { SmlReceiver } from "../core/sml-receive"
import { serverOf } from "../core/sml-request"
import { TELEGRAM_SML } from "../core/telegram-list"
import { mostAddress } from "./field-meters"
import { listen, pushSilenceMs } from "./field-push"
import type { FieldSide } from "./field-side"

const usualBaud = 9600
/** Octets of the longest file: what a list of telegrams has room for. */
const longestFile = 1400

/** A meter that pushes SML on this line (FNN: 9600 8N1): settings as of `listen`. */
export function startSml(side: FieldSide, line: number, port: UartPort): void {
    const receiver = new SmlReceiver(
        longestFile,
        true,
        (raw, crc) => smlFile(side, line, raw, crc),
        () => side.tell(-1, Code.MeterGarbled),
    )
    serveSml.start(side, line, new PushListener(port, receiver, pushSilenceMs, false))
}

function serveSml(side: FieldSide, line: number, listener: PushListener): void {
    listen(side, line, listener, usualBaud, 0)
}

/** Takes a file of the meter whose turn it is; who is heard first is the meter of this line. */
function smlFile(side: FieldSide, line: number, raw: Buffer, crc: number): void {
    try {
        const plan = side.meters.plan
        if (plan.next(line, side.now()) < 0 && side.meters.count(line) > 0) return
        const server = serverOf(readFile(raw, true, crc))
        if (server.length === 0 || server.length > mostAddress) return
        let meter = side.meters.find(line, server)
        if (meter < 0) meter = side.add(line, 0, server)
        else if (plan.due(meter) > side.now()) return
        if (meter < 0) return
        side.turn(meter, () => side.take(TELEGRAM_SML, line * 16, server, raw))
    } catch (e: any) {
        if (!(e instanceof PlombError)) throw e
        side.tell(-1, e.code)
    }
}
