import { DATA_NOTIFICATION } from "../core/dlms"
import { isCiphered, isP1Text, readCiphered } from "../core/dlms-security"
import { Code, fail } from "../core/errors"
import type { HdlcFrame } from "../core/hdlc"
import { cut, join } from "../core/octets"
import { readP1 } from "../core/p1"
import { TELEGRAM_DLMS, TELEGRAM_P1 } from "../core/telegram-list"
import { takeCiphered, takePlain } from "./field-dlms-key"
import { mostAddress } from "./field-meters"
import { codeOf, type FieldSide } from "./field-side"

/** Octets of frames in one telegram: what a list of telegrams has room for. */
const longestTelegram = 1430
const flag = hex`7e`
/** Octets of the LLC header in front of an APDU. */
const llcLength = 3

/** Takes a telegram of the meter whose turn it is; who is heard first is the meter of this line. */
export function p1Telegram(side: FieldSide, line: number, telegram: Buffer): void {
    const code = codeOf(() => {
        if (telegram[0] === 0xdb) {
            const apdu = readCiphered(telegram, 0, telegram.length)
            takeCiphered(side, line, TELEGRAM_P1, apdu, telegram, isP1Text)
            return
        }
        readP1(telegram, true)
        // The line of its identification, which not every meter forms as IEC 62056-21 does.
        let length = 0
        while (length < mostAddress && telegram[1 + length] > 32) ++length
        takePlain(side, line, TELEGRAM_P1, cut(telegram, 1, length), telegram)
    })
    if (code !== 0) side.tell(-1, code === Code.DlmsMode ? code : Code.MeterGarbled)
}

/** Puts the segments of a message together. */
export class DlmsPush {
    private frames: Buffer[] = []
    private parts: Buffer[] = []
    private size = 0

    constructor(
        private readonly side: FieldSide,
        private readonly line: number,
    ) {}

    take(frame: HdlcFrame): void {
        if (frame.informationLength === 0) return
        this.size += frame.octets.length + 2
        if (this.size <= longestTelegram) {
            this.frames.push(join([flag, frame.octets, flag]))
            this.parts.push(frame.information())
        }
        if (frame.segmented) return
        const frames = this.frames
        const parts = this.parts
        const whole = this.size <= longestTelegram
        this.frames = []
        this.parts = []
        this.size = 0
        const side = this.side
        const line = this.line
        const code = codeOf(() => {
            if (!whole) fail(Code.TelegramTooLong, -1, "at most " + longestTelegram + " octets", "more")
            pushed(side, line, frame.source, join(parts), join(frames))
        })
        if (code !== 0) side.tell(-1, code)
    }
}

/** Takes a message of the meter whose turn it is: LLC header and APDU. */
function pushed(side: FieldSide, line: number, source: Buffer, message: Buffer, telegram: Buffer): void {
    if (message.length <= llcLength || message[0] !== 0xe6) fail(Code.DlmsForm, 0, "an LLC header", "none")
    const octets = cut(message, llcLength, message.length - llcLength)
    if (isCiphered(octets[0])) {
        takeCiphered(side, line, TELEGRAM_DLMS, readCiphered(octets, 0, octets.length), telegram, isNotification)
        return
    }
    if (!isNotification(octets)) fail(Code.DlmsUnexpected, 0, "a data notification", octets[0] + "")
    takePlain(side, line, TELEGRAM_DLMS, source, telegram)
}

/** Tag, number of four octets, and the time: none, or 12 octets, before which some put its type. What it says is nobody's matter here. */
function isNotification(octets: Buffer): boolean {
    const time = octets[5]
    return octets.length > 6 && octets[0] === DATA_NOTIFICATION && (time === 0 || time === 12 || time === 9)
}
