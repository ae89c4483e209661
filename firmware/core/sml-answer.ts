import { Code, fail, PlombError } from "./errors"
import { cut } from "./octets"
import { platform } from "./platform"
import { Attention } from "./sml-attention"
import { attentionRes, closeRes, getProcParameterRes, openRes, readRequest, type SmlRequest } from "./sml-messages"
import { answerPath, octetsLeaf } from "./sml-parameter"
import { QUIRK_ORDER, type SmlFile } from "./sml-read"
import { writeFile } from "./sml-transport"
import { octetsAt } from "./sml-values"

/** Requests answered in one file. */
const mostRequests = 16
/** Octets of answers in one file: with an Attention for each request left out, a file stays below 4 KB. */
const mostOctets = 3300

/** Octets of a Close.Res without signature from that element on: absent, CRC, end. */
const closeTail = 5

/**
 * The response file of `serverId` to the request file `file`, whose first message is an Open. `respond` adds what there is to say to a request; where it
 * throws, the request gets an Attention. So does each request whose answer has no room: `Busy`, ask in another file.
 * With `head` and `sign` it is the signed answer to a signed command (`command-answer.ts`).
 */
export function answerFile(
    file: SmlFile,
    serverId: Buffer,
    respond: (request: SmlRequest, responses: Buffer[]) => void,
    head?: Buffer,
    sign?: (digest: Buffer) => Buffer,
): Buffer {
    const messages = file.messages
    const open = readRequest(messages[0])
    const last = messages.length - 1
    const responses = [openRes(open.transactionId, open.clientId, open.reqFileId, serverId, undefined)]
    if ((file.flags & QUIRK_ORDER) !== 0)
        responses.push(attentionRes(open.transactionId, serverId, Attention.NoClose, "Open, requests, Close"))
    else if (last > mostRequests + 1)
        responses.push(attentionRes(open.transactionId, serverId, Attention.Busy, mostRequests + " requests a file"))
    else {
        let room = mostOctets
        let begin = 1
        let ended = false
        if (head) {
            begin = 2
            const transactionId = octetsAt(file.octets, messages[1].start + 1)
            responses.push(getProcParameterRes(transactionId, serverId, [answerPath], octetsLeaf(answerPath, head)))
        }
        for (let i = begin; i < last; ++i) {
            const first = responses.length
            let refusal = 0
            let text = ""
            try {
                if (ended) fail(Code.NotTried, -1, "a command so far done", "one that failed")
                if (room > 0) respond(readRequest(messages[i]), responses)
                for (let k = first; k < responses.length; ++k) room -= responses[k].length
                if (room <= 0) {
                    refusal = Attention.Busy
                    text = "file is full"
                    room = 0
                }
            } catch (e: any) {
                if (!(e instanceof PlombError)) throw e
                refusal = Attention.OrderNotExecuted
                if (e.code === Code.Busy) refusal = Attention.Busy
                if (e.code === Code.SmlTag) refusal = Attention.UnexpectedMessage
                if (e.code >= Code.RoleMissing && e.code < Code.AlreadyCalibrated && !ended)
                    refusal = Attention.NotAuthorised
                text = "E" + e.code
            }
            if (refusal !== 0) {
                while (responses.length > first) responses.pop()
                const transactionId = octetsAt(file.octets, messages[i].start + 1)
                responses.push(attentionRes(transactionId, serverId, refusal, text))
                ended = head !== undefined
            }
        }
    }
    let close = closeRes(open.transactionId)
    responses.push(close)
    if (sign) {
        responses[responses.length - 1] = cut(close, 0, close.length - closeTail)
        close = closeRes(open.transactionId, sign(platform().sha256(responses)))
        responses[responses.length - 1] = close
    }
    return writeFile(responses)
}
