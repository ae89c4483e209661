import { ENTRY_NO_TIME, ENTRY_REDUCED, ENTRY_UNSIGNED } from "../../firmware/core/sml-quirks"
import {
    QUIRK_ABSENT,
    QUIRK_BARE_TIME,
    QUIRK_EMPTY_LIST,
    QUIRK_FILL,
    QUIRK_KERMIT,
    QUIRK_ORDER,
    QUIRK_SHORT_CRC,
} from "../../firmware/core/sml-read"

const request = "serverId username password"
const profileRequest = `${request} withRawdata beginTime endTime parameterTreePath object_List dasDetails`

/** Name and fields of each message, as the standard spells them. */
export const messageNames: Record<number, { name: string; fields: string }> = {
    256: { name: "PublicOpen.Req", fields: "codepage clientId reqFileId serverId username password smlVersion" },
    257: { name: "PublicOpen.Res", fields: "codepage clientId reqFileId serverId refTime smlVersion" },
    512: { name: "PublicClose.Req", fields: "globalSignature" },
    513: { name: "PublicClose.Res", fields: "globalSignature" },
    768: { name: "GetProfilePack.Req", fields: profileRequest },
    769: {
        name: "GetProfilePack.Res",
        fields: "serverId actTime regPeriod parameterTreePath header_List period_List rawdata profileSignature",
    },
    1024: { name: "GetProfileList.Req", fields: profileRequest },
    1025: {
        name: "GetProfileList.Res",
        fields: "serverId actTime regPeriod parameterTreePath valTime status period_List rawdata periodSignature",
    },
    1280: { name: "GetProcParameter.Req", fields: `${request} parameterTreePath attribute` },
    1281: { name: "GetProcParameter.Res", fields: "serverId parameterTreePath parameterTree" },
    1536: { name: "SetProcParameter.Req", fields: `${request} parameterTreePath parameterTree` },
    1792: { name: "GetList.Req", fields: `clientId ${request} listName` },
    1793: {
        name: "GetList.Res",
        fields: "clientId serverId listName actSensorTime valList listSignature actGatewayTime",
    },
    2048: { name: "GetCosem.Req", fields: "" },
    2049: { name: "GetCosem.Res", fields: "" },
    2304: { name: "SetCosem.Req", fields: "" },
    2305: { name: "SetCosem.Res", fields: "" },
    2560: { name: "ActionCosem.Req", fields: "" },
    2561: { name: "ActionCosem.Res", fields: "" },
    65281: { name: "Attention.Res", fields: "serverId attentionNo attentionMsg attentionDetails" },
}

const sums = (signs: string, a: string) =>
    `unit_${a}A scaler_${a}A value_${a}A unit_R${signs[0]} scaler_R${signs[0]} value_R${signs[0]} ` +
    `unit_R${signs[1]} scaler_R${signs[1]} value_R${signs[1]} signature_${a}A_R${signs[0]}_R${signs[1]}`

/** Fields of the rows of `smlRows` that are structures, alternatives of those that are choices. */
export const rowNames: string[] = [
    "objName status valTime unit scaler value valueSignature",
    "objName unit scaler value valueSignature",
    "objName unit scaler",
    "valTime status value_List periodSignature",
    "value valueSignature",
    `serverId secIndex status ${sums("14", "p")} ${sums("23", "m")}`,
    "parameterName parameterValue child_List",
    "timestamp localOffset seasonTimeOffset",
    "secIndex timestamp localTimestamp",
    "value periodEntry tupelEntry time listEntry",
    "time timestampedValue cosemValue",
    "time status value",
    "scaler unit",
]

/** Attention numbers 81 81 C7 C7 xx xx. */
export const attentionNames: Record<string, string> = {
    fd00: "done",
    fd01: "accepted, carried out later",
    fe00: "unspecified error",
    fe01: "unknown SML identifier",
    fe02: "not authorised",
    fe03: "serverId not reachable",
    fe04: "reqFileId not available",
    fe05: "target attribute not writable",
    fe06: "target attribute not readable",
    fe07: "measuring point not reached",
    fe08: "raw data cannot be interpreted",
    fe09: "value out of range",
    fe0a: "order not executed",
    fe0b: "checksum wrong",
    fe0c: "broadcast not supported",
    fe0d: "unexpected message",
    fe0e: "unknown object in profile request",
    fe0f: "data type not supported",
    fe10: "optional element not supported",
    fe11: "profile has no entry at all",
    fe12: "end before begin",
    fe13: "no entry in the range asked for",
    fe14: "file without Close",
    fe15: "busy, answer not possible now",
}

const quirkBits: [number, string][] = [
    [QUIRK_KERMIT, "kermit-crc"],
    [QUIRK_SHORT_CRC, "short-crc"],
    [QUIRK_BARE_TIME, "bare-time"],
    [QUIRK_EMPTY_LIST, "empty-list"],
    [QUIRK_ABSENT, "mandatory-element-absent"],
    [QUIRK_FILL, "fill"],
    [QUIRK_ORDER, "message-order"],
    [ENTRY_UNSIGNED, "unsigned-tagged-signed"],
    [ENTRY_NO_TIME, "no-time"],
    [ENTRY_REDUCED, "reduced-data-set"],
]

/** Names of `QUIRK_` and `ENTRY_` bits. */
export function quirkNames(bits: number): string[] {
    return quirkBits.filter(([bit]) => (bits & bit) !== 0).map(([, name]) => name)
}
