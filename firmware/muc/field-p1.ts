import type { UartPort } from "../../hal/ports"
import { PushListener } from "../../hal/push-listener"
import { P1Receiver } from "../core/p1-receive"
import { listen, pushSilenceMs } from "./field-push"
import { p1Telegram } from "./field-pushed"
import type { FieldSide } from "./field-side"

/** Octets of the longest telegram; DSMR allows 1,024, e-MUCS meters send 1,060. */
const longestTelegram = 1200
/** DSMR 2 and 3: 9600 Bd 7E1. Later ones send at 115200 Bd, which the I2C bus does not keep up with (README.md). */
const usualBaud = 9600
const usualParity = 2

/** A meter with a P1 port on this line (DSMR, e-MUCS; plain, or encrypted as in Luxembourg and Austria). */
export function startP1(side: FieldSide, line: number, port: UartPort): void {
    const receiver = new P1Receiver(longestTelegram, telegram => p1Telegram(side, line, telegram))
    serveP1.start(side, line, new PushListener(port, receiver, pushSilenceMs, false))
}

function serveP1(side: FieldSide, line: number, listener: PushListener): void {
    listen(side, line, listener, usualBaud, usualParity)
}
