import { randomBytes } from "node:crypto"
import { closeReq, getProcParameterReq, openReq } from "../../firmware/core/sml-messages.ts"
import { octetsLeaf } from "../../firmware/core/sml-parameter.ts"
import { SET_PROC_PARAMETER_REQ } from "../../firmware/core/sml-tables.ts"
import { writeFile } from "../../firmware/core/sml-transport.ts"
import { writeMessage } from "../../firmware/core/sml-write.ts"
import type { Answer } from "./connection.ts"
import { ExchangeError, readAttention, treeChildren } from "./responses.ts"

/** Tree of what a concentrator has collected and this provider has not acknowledged, and the parameter that acknowledges. */
export const collectedPath = Buffer.from("8181c7f102ff", "hex")
export const acknowledgedPath = Buffer.from("8181c7f103ff", "hex")
/** Children of the tree: journal id with standing order, and entries; and an entry's children. */
export const collectedNames = {
    journal: Buffer.from("8181c7f10201", "hex"),
    entry: Buffer.from("8181c7f10202", "hex"),
    receivedAt: Buffer.from("8181c7f10203", "hex"),
    muc: Buffer.from("8181c7f10204", "hex"),
    request: Buffer.from("8181c7f10205", "hex"),
    response: Buffer.from("8181c7f10206", "hex"),
}

/** One question and answer that a concentrator collected. */
export interface CollectedEntry {
    seq: bigint
    receivedAtMs: number
    /** Hex. */
    muc: string
    request: Buffer
    response: Buffer
}

/** A stretch of a concentrator's journal, oldest first. */
export interface CollectedBatch {
    journal: Buffer
    /** Seconds between two readings of a meter, 0 where it collects nothing by itself. */
    everySeconds: number
    entries: CollectedEntry[]
}

type Exchange = (request: Buffer, requestId: Buffer) => Promise<Answer>

/** Asks concentrator `id` (hex) for the oldest it has collected and we have not acknowledged. Asking changes nothing. */
export async function readCollected(id: string, exchange: Exchange): Promise<CollectedBatch> {
    const requestId = randomBytes(8)
    const server = Buffer.from(id, "hex")
    const { response } = await exchange(
        writeFile([
            openReq(requestId, requestId, requestId, server),
            getProcParameterReq(requestId, server, [collectedPath]),
            closeReq(requestId, undefined),
        ]),
        requestId,
    )
    const children = treeChildren(response)
    const journal = children.find(({ name }) => name.equals(collectedNames.journal))?.value
    if (journal?.length !== 12) throw new ExchangeError("damaged", "what was collected has no journal id")
    const entries = children
        .filter(({ name }) => name.equals(collectedNames.entry))
        .map(({ value, children: parts }) => {
            const part = (wanted: Buffer) => parts.find(({ name }) => name.equals(wanted))?.value ?? Buffer.alloc(0)
            const receivedAt = part(collectedNames.receivedAt)
            if (value.length !== 8 || receivedAt.length !== 8)
                throw new ExchangeError("damaged", "an entry without number or time")
            return {
                seq: value.readBigUInt64BE(),
                receivedAtMs: Number(receivedAt.readBigUInt64BE()),
                muc: part(collectedNames.muc).toString("hex"),
                request: part(collectedNames.request),
                response: part(collectedNames.response),
            }
        })
    return { journal: journal.subarray(0, 8), everySeconds: journal.readUInt32BE(8), entries }
}

/** Tells concentrator `id` that everything up to entry `seq` of this journal is safe with us. */
export async function acknowledge(id: string, journal: Buffer, seq: bigint, exchange: Exchange): Promise<void> {
    const requestId = randomBytes(8)
    const server = Buffer.from(id, "hex")
    const cursor = Buffer.alloc(16)
    journal.copy(cursor)
    cursor.writeBigUInt64BE(seq, 8)
    const fields = [server, undefined, undefined, [acknowledgedPath], octetsLeaf(acknowledgedPath, cursor)]
    const { response } = await exchange(
        writeFile([
            openReq(requestId, requestId, requestId, server),
            writeMessage(requestId, 0, SET_PROC_PARAMETER_REQ, fields),
            closeReq(requestId, undefined),
        ]),
        requestId,
    )
    const attention = readAttention(response)
    if (attention?.code !== "fd00")
        throw new ExchangeError("refused", `not acknowledged: ${attention?.code ?? ""} ${attention?.text ?? ""}`.trim())
}
