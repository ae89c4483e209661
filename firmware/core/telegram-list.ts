import { numberBE } from "./octets"
import { CURRENT_DATA, TIME_TRUSTED } from "./signed-list"
import { GET_LIST_RES } from "./sml-tables"
import { TIME_SEC_INDEX, TIME_STAMP } from "./sml-values"
import { type SmlValue, writeElements } from "./sml-write"

/**
 * The profile PLOMB-TL/1: telegrams of meters that cannot sign, as they were received, in a GetList.Res that is signed by the device that read them. Signed are, as in
 * PLOMB-SL, the elements as sent from serverId to the list of entries (README.md). What a telegram means is no matter of the list.
 */

/** Kinds of telegrams: fourth octet of the entry's name 81 81 C7 F1 kk FF. */
export const TELEGRAM_WMBUS = 1
export const TELEGRAM_MBUS = 2
export const TELEGRAM_IEC = 3
export const TELEGRAM_SML = 4
export const TELEGRAM_DLMS = 5
export const TELEGRAM_P1 = 6

/** One telegram: when it was received, by `timeKind` a timestamp (2) or a seconds index (1). */
export interface HeldTelegram {
    kind: number
    /** Line in the high half; how it was protected in the low one: 0 not, 1 it decrypts, 2 its MAC holds. */
    status: number
    timeKind: number
    seconds: number
    /** Length of the meter's address U8 | address | telegram. */
    value: Buffer
}

/** Elements serverId to valList: the octets to hash with SHA-256 and sign. `utcSeconds` 0: not trusted. */
export function writeTelegramList(
    serverId: Buffer,
    pagination: number,
    secondsIndex: number,
    utcSeconds: number,
    software: { softwareIdentification: string; softwareChecksum: Buffer },
    keyProtection: number,
    previous: Buffer,
    telegrams: HeldTelegram[],
): Buffer {
    const entries: SmlValue[] = []
    const add = (name: Buffer, value: SmlValue) =>
        entries.push([name, undefined, undefined, undefined, undefined, value, undefined])
    add(hex`8181C7F001FF`, [0, Buffer.from("PLOMB-TL/1")])
    add(hex`8181C7F002FF`, [0x64, pagination])
    add(hex`810060080001`, [0x64, secondsIndex])
    add(hex`8181C7F003FF`, [0x61, utcSeconds > 0 ? TIME_TRUSTED : 1])
    add(hex`010000020000`, [0, Buffer.from(software.softwareIdentification)])
    add(hex`0100605A0201`, [0, software.softwareChecksum])
    add(hex`8181C7F004FF`, [0x61, keyProtection])
    add(hex`8181C7F005FF`, [0, previous])
    for (let i = 0; i < telegrams.length; ++i) {
        const held = telegrams[i]
        entries.push([
            numberBE(6, 0x8181c7f100ff + held.kind * 256),
            [0x61, held.status],
            [held.timeKind, held.seconds],
            undefined,
            undefined,
            [0, held.value],
            undefined,
        ])
    }
    return writeElements(GET_LIST_RES, 1, [
        serverId,
        CURRENT_DATA,
        utcSeconds > 0 ? [TIME_STAMP, utcSeconds] : [TIME_SEC_INDEX, secondsIndex],
        entries,
    ])
}
