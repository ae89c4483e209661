import { Code, PlombError } from "./errors"
import { Attention } from "./sml-attention"
import { attentionRes, closeRes, openRes, readRequest, type SmlRequest } from "./sml-messages"
import { QUIRK_ORDER, type SmlFile } from "./sml-read"
import { writeFile } from "./sml-transport"
import { octetsAt } from "./sml-values"

/** Requests answered in one file. */
const mostRequests = 16
/** Octets of answers in one file: with an Attention for each request left out, a file stays below 4 KB. */
const mostOctets = 3300

/**
 * The response file of `serverId` to the request file `file`, whose first message is an Open. `respond` adds what there is to say to a request; where it
 * throws, the request gets an Attention. So does each request whose answer has no room: `Busy`, ask in another file.
 */
export function answerFile(
    file: SmlFile,
    serverId: Buffer,
    respond: (request: SmlRequest, responses: Buffer[]) => void,
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
        for (let i = 1; i < last; ++i) {
            const first = responses.length
            let refusal = 0
            let text = ""
            try {
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
                text = "E" + e.code
            }
            if (refusal !== 0) {
                while (responses.length > first) responses.pop()
                const transactionId = octetsAt(file.octets, messages[i].start + 1)
                responses.push(attentionRes(transactionId, serverId, refusal, text))
            }
        }
    }
    responses.push(closeRes(open.transactionId))
    return writeFile(responses)
}
