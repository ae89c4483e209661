import { Code, fail, PlombError } from "../core/errors"
import { openWireless } from "../core/mbus-telegram"
import { cut } from "../core/octets"
import { TELEGRAM_WMBUS } from "../core/telegram-list"
import type { FieldSide } from "./field-side"

/** Takes a telegram of a meter whose turn it is. Whose key is held is a meter of ours: it joins the list when it is first heard. */
export function wirelessTelegram(side: FieldSide, line: number, telegram: Buffer): void {
    try {
        const link = cut(telegram, 2, 8)
        let meter = side.meters.find(line, link)
        const plan = side.meters.plan
        if (meter >= 0 && plan.due(meter) > side.now()) return
        const key = side.key(link)
        if (meter < 0 && !key) return
        const opened = openWireless(telegram, key)
        if (opened.proof === 0) fail(Code.MbusMode, -1, "a protected telegram", "one in plain")
        // Out of its turn: what somebody sends again must not keep the meter waiting.
        if (meter >= 0) side.mustBeFresh(meter, opened)
        else meter = side.add(line, 0, link)
        if (meter < 0) return
        plan.accepted(meter, opened.counter >= 0 ? opened.counter : opened.access)
        side.turn(meter, () => side.take(TELEGRAM_WMBUS, line * 16 + opened.proof, link, telegram))
    } catch (e: any) {
        if (!(e instanceof PlombError)) throw e
        side.tell(side.meters.find(line, cut(telegram, 2, 8)), e.code)
    }
}
