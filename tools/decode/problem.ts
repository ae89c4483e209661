import { Code, PlombError } from "../../firmware/core/errors"

/** What is wrong with a telegram, told apart for whoever must do something about it. */
export type Cause = "no key" | "wrong key" | "damaged" | "unsupported" | "replayed" | "malformed"

const causes: [Cause, Code[]][] = [
    ["no key", [Code.MbusNoKey, Code.DlmsNoKey]],
    ["wrong key", [Code.MbusWrongKey, Code.DlmsWrongKey]],
    [
        "damaged",
        [
            Code.MbusChecksum,
            Code.MbusMac,
            Code.IecParity,
            Code.IecCheck,
            Code.P1Crc,
            Code.HdlcCheck,
            Code.DlmsMac,
            Code.SmlFileCrc,
        ],
    ],
    ["unsupported", [Code.MbusMode, Code.MbusFragment, Code.MbusControlInformation, Code.DlmsMode, Code.DlmsTag]],
    ["replayed", [Code.MbusReplayed, Code.DlmsReplayed]],
]

export interface Problem {
    cause: Cause
    code: number
    name: string
    offset: number
    message: string
}

/** What was thrown, as it is printed; anything but the core's typed error goes on up. */
export function problemOf(error: unknown): Problem {
    if (!(error instanceof PlombError)) throw error
    const cause = causes.find(([, codes]) => codes.includes(error.code))?.[0] ?? "malformed"
    return { cause, code: error.code, name: Code[error.code], offset: error.at, message: error.message }
}
