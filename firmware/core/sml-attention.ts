/** Attention numbers 81 81 C7 C7 xx xx (SML 1.04): the last two octets, as `attentionRes` takes them. */
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
