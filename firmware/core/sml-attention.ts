import { ATTENTION_RES } from "./sml-tables"
import { writeMessage } from "./sml-write"

/** Attention numbers 81 81 C7 C7 xx xx (SML 1.04): the last two octets. */
export enum Attention {
    Done = 0xfd00,
    UnspecifiedError = 0xfe00,
    UnknownIdentifier = 0xfe01,
    NotAuthorised = 0xfe02,
    ServerNotReachable = 0xfe03,
    NotReadable = 0xfe06,
    OrderNotExecuted = 0xfe0a,
    UnexpectedMessage = 0xfe0d,
    ProfileEmpty = 0xfe11,
    EndBeforeBegin = 0xfe12,
    NothingInRange = 0xfe13,
    NoClose = 0xfe14,
    Busy = 0xfe15,
}

/** SML_Attention.Res in answer to `transactionId`; `message` is for people. */
export function writeAttention(
    transactionId: Buffer,
    group: number,
    serverId: Buffer,
    attention: number,
    message: string,
): Buffer {
    const number = Buffer.from([0x81, 0x81, 0xc7, 0xc7, attention >> 8, attention & 0xff])
    const text = message === "" ? undefined : Buffer.from(message, "utf8")
    return writeMessage(transactionId, group, ATTENTION_RES, [serverId, number, text, undefined])
}
