import type { UartPort } from "../../hal/ports"
import { PushListener } from "../../hal/push-listener"
import { HdlcReceiver } from "../core/hdlc"
import { listen, pushSilenceMs } from "./field-push"
import { DlmsPush } from "./field-pushed"
import type { FieldSide } from "./field-side"

/** Octets of the longest frame with its flags. */
const longestFrame = 800
const usualBaud = 2400
/** 8E1. */
const usualParity = 1

/** A meter that pushes DLMS data notifications in HDLC frames on this line, plain or ciphered. */
export function startDlmsPush(side: FieldSide, line: number, port: UartPort): void {
    const push = new DlmsPush(side, line)
    const receiver = new HdlcReceiver(longestFrame, frame => push.take(frame))
    serveDlmsPush.start(side, line, new PushListener(port, receiver, pushSilenceMs, false))
}

function serveDlmsPush(side: FieldSide, line: number, listener: PushListener): void {
    listen(side, line, listener, usualBaud, usualParity)
}
