import type { Caller } from "./command"
import { join, numberBE } from "./octets"
import { answerFile } from "./sml-answer"
import type { SmlRequest } from "./sml-messages"
import type { SmlFile } from "./sml-read"

/**
 * The response file to `file` (see `answerFile`), signed where there is a caller: its first message after Open.Res says
 * on `answerPath` version U8 = 1, SHA-256 of the command's signed octets 32, its counter U32, the device's secondsIndex U32 and
 * UTC U32 (0 = not trusted), big endian; its Close.Res has the signature, made as that of a command is. The command's header is not answered,
 * and the first request that fails ends the command: those behind it are told `NotTried`.
 *
 * `sign` makes r|s with the device's key.
 */
export function answerCommand(
    file: SmlFile,
    serverId: Buffer,
    caller: Caller | undefined,
    sign: (digest: Buffer) => Buffer,
    secondsIndex: number,
    utcSeconds: number,
    respond: (request: SmlRequest, responses: Buffer[]) => void,
): Buffer {
    if (!caller) return answerFile(file, serverId, respond)
    const head = [
        hex`01`,
        caller.digest,
        numberBE(4, caller.counter),
        numberBE(4, secondsIndex),
        numberBE(4, utcSeconds),
    ]
    return answerFile(file, serverId, respond, join(head), sign)
}
