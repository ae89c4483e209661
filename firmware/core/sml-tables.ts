/**
 * The structure of every SML 1.04 message (BSI TR-03109-1 annex IV part b) as one table that drives the one reader and
 * the one writer.
 *
 * An element code: bit 7 = may be absent (01); then, in bits 6 to 0,
 * 0n octet string (n octets exactly, 0 = any), 40 boolean, 5w integer and 6w unsigned of nominal width w,
 * 1k structure of row k, 2k list of row k, 3k choice of row k (tag 1 is the row's first code), 70 implicit Value,
 * 7E the same without ListType, 7F any TLV.
 * A row: its own code as a list element, count, codes. `smlRowAt[k]` is the offset of the count of row k.
 */
export const smlRows = hex`
    10 07 06 E8 B8 E1 D1 70 80 // 0 ListEntry: objName status valTime unit scaler value valueSignature
    11 05 06 61 51 70 80 // 1 PeriodEntry: objName unit scaler value valueSignature
    12 03 06 61 51 // 2 ProfObjHeaderEntry: objName unit scaler
    13 04 38 68 24 80 // 3 ProfObjPeriodEntry: valTime status value_List periodSignature
    14 02 70 80 // 4 ValueEntry: value valueSignature
    15 17 00 38 68 61 51 58 61 51 58 61 51 58 00 61 51 58 61 51 58 61 51 58 00 // 5 TupelEntry
    16 03 00 B9 A6 // 6 Tree: parameterName parameterValue child_List
    17 03 64 52 52 // 7 localTimestamp: timestamp localOffset seasonTimeOffset
    18 03 64 64 17 // 8 Time: secIndex, timestamp, localTimestamp
    19 05 70 11 15 38 10 // 9 ProcParValue: Value, PeriodEntry, TupelEntry, Time, ListEntry
    1A 03 38 1B 1C // 10 ListType: Time, TimestampedValue, CosemValue
    1B 03 38 68 7E // 11 TimestampedValue: time status value
    1C 02 51 61 // 12 CosemValue: scaler unit
    00 00 // 13 list of octet strings
    7F 00 // 14 any
    00 05 00 61 61 64 62 // 15 SML_Message: transactionId groupNo abortOnError, tag, crc16
`

export const smlRowAt = hex`01 0A 11 16 1C 20 39 3E 43 48 4F 54 59 5D 5F 61`

/** The message bodies: tag, count, codes of the elements. */
export const smlBodies = hex`
    0100 07 80 00 00 80 80 80 E1 // PublicOpen.Req: codepage clientId reqFileId serverId username password smlVersion
    0101 06 80 80 00 00 B8 E1 // PublicOpen.Res: codepage clientId reqFileId serverId refTime smlVersion
    0200 01 80 // PublicClose.Req: globalSignature
    0201 01 80 // PublicClose.Res
    0300 09 80 80 80 C0 B8 B8 2D AD 96 // GetProfilePack.Req: serverId username password withRawdata begin end path objects details
    0301 08 00 38 64 2D 22 23 80 80 // GetProfilePack.Res: serverId actTime regPeriod path header period rawdata profileSignature
    0400 09 80 80 80 C0 B8 B8 2D AD 96 // GetProfileList.Req
    0401 09 00 38 64 2D 38 68 21 80 80 // GetProfileList.Res: serverId actTime regPeriod path valTime status period rawdata periodSignature
    0500 05 80 80 80 2D 80 // GetProcParameter.Req: serverId username password path attribute
    0501 03 00 2D 16 // GetProcParameter.Res: serverId path tree
    0600 05 80 80 80 2D 16 // SetProcParameter.Req: serverId username password path tree
    0700 05 00 80 80 80 80 // GetList.Req: clientId serverId username password listName
    0701 07 80 00 80 B8 20 80 B8 // GetList.Res: clientId serverId listName actSensorTime valList listSignature actGatewayTime
    FF01 04 00 06 80 96 // Attention.Res: serverId attentionNo attentionMsg attentionDetails
`

/** Offset in `smlBodies` of the count of the message with this tag, or -1: then the body is any TLV (the Cosem messages). */
export function smlBodyAt(tag: number): number {
    let at = 0
    while (at < smlBodies.length) {
        if (smlBodies[at] * 256 + smlBodies[at + 1] === tag) return at + 2
        at += 3 + smlBodies[at + 2]
    }
    return -1
}

/** Message tags (`SML_MessageBody` choice). */
export const OPEN_REQ = 0x0100
export const OPEN_RES = 0x0101
export const CLOSE_REQ = 0x0200
export const CLOSE_RES = 0x0201
export const GET_PROFILE_PACK_REQ = 0x0300
export const GET_PROFILE_PACK_RES = 0x0301
export const GET_PROFILE_LIST_REQ = 0x0400
export const GET_PROFILE_LIST_RES = 0x0401
export const GET_PROC_PARAMETER_REQ = 0x0500
export const GET_PROC_PARAMETER_RES = 0x0501
export const SET_PROC_PARAMETER_REQ = 0x0600
export const GET_LIST_REQ = 0x0700
export const GET_LIST_RES = 0x0701
export const ATTENTION_RES = 0xff01
