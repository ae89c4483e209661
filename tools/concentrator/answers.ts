import { Attention } from "../../firmware/core/sml-attention.ts"
import { attentionRes, closeRes, getProcParameterRes, openRes } from "../../firmware/core/sml-messages.ts"
import {
    activeMetersPath,
    branch,
    childName,
    identificationPath,
    octetsLeaf,
} from "../../firmware/core/sml-parameter.ts"
import { writeFile } from "../../firmware/core/sml-transport.ts"
import type { SmlValue } from "../../firmware/core/sml-write.ts"
import { acknowledgedPath, collectedNames, collectedPath } from "../headend/collected.ts"
import type { KnownMeter } from "../headend/hub.ts"
import { behindPath } from "../headend/meters-behind.ts"
import { readSmlFile, type SmlFile, type SmlMessage } from "../verify/sml-file.ts"
import { anyList, listOf, octetsOf, SmlDamage } from "../verify/sml-tlv.ts"
import { type Journal, JournalError } from "./journal.ts"
import type { Collected } from "./record.ts"

/** Entries in one answer, in octets: the file stays below 64 KB, escapes included. */
const mostOctets = 32 * 1024
const metersPerPage = 400
const mostRequests = 16
const mostActive = 250

/** A request file, read as far as a concentrator must. */
export interface Request {
    raw: Buffer
    reqFileId: Buffer
    /** Hex; empty for whoever hears it. */
    target: string
    file: SmlFile
}

/** Reads a request file. Throws `SmlDamage` for anything else. */
export function readRequestFile(raw: Buffer): Request {
    const file = readSmlFile(raw)
    if (file.damage) throw file.damage
    const [open] = file.messages
    if (open?.tag !== 0x0100) throw new SmlDamage(8, "PublicOpen.Req", "another message")
    const fields = listOf(open.body, 7, "PublicOpen.Req")
    const reqFileId = octetsOf(file.payload, fields[2], "reqFileId")
    return { raw, reqFileId, target: octetsOf(file.payload, fields[3], "serverId").toString("hex"), file }
}

/** What the concentrator knows of itself, for its answers. */
export interface Self {
    /** Hex. */
    id: string
    software: string
    everySeconds: number
    journal: Journal
    /** Meters and MUCs, each with its MUC. */
    behind(): KnownMeter[]
}

/** The response file to a request for the concentrator itself; `provider` asks. */
export function answerSelf(request: Request, self: Self, provider: string): Buffer {
    return respond(request, self.id, message => {
        const server = Buffer.from(self.id, "hex")
        const { transactionId, tag, body } = message
        const { payload } = request.file
        if (tag !== 0x0500 && tag !== 0x0600)
            return attentionRes(transactionId, server, Attention.UnexpectedMessage, "")
        const path = anyList(listOf(body, 5, "a request")[3], "path").map(each => octetsOf(payload, each, "path"))
        if (tag === 0x0600) {
            if (!path[0].equals(acknowledgedPath))
                return attentionRes(transactionId, server, Attention.NotAuthorised, "")
            const value = listOf(listOf(body.items[4], 3, "Tree")[1], 2, "ProcParValue")[1]
            const refusal = acknowledged(octetsOf(payload, value, "a cursor"), self.journal, provider)
            return attentionRes(
                transactionId,
                server,
                refusal ? Attention.OrderNotExecuted : Attention.Done,
                refusal.slice(0, 100),
            )
        }
        const tree = treeOf(path, self, provider)
        if (!tree) return attentionRes(transactionId, server, Attention.UnknownIdentifier, "")
        return getProcParameterRes(transactionId, server, path, tree)
    })
}

/** The response file that says the same Attention to each request. */
export function refuse(request: Request, attention: Attention, text: string): Buffer {
    const server = Buffer.from(request.target, "hex")
    return respond(request, request.target, ({ transactionId }) =>
        attentionRes(transactionId, server, attention, text.replace(/[^ -~]/g, "?").slice(0, 100)),
    )
}

function respond({ file, reqFileId }: Request, id: string, answer: (message: SmlMessage) => Buffer): Buffer {
    const [open, ...rest] = file.messages
    const server = Buffer.from(id, "hex")
    const requests = rest.filter(({ tag }) => tag !== 0x0200).slice(0, mostRequests)
    return writeFile([
        openRes(open.transactionId, undefined, reqFileId, server, undefined),
        ...requests.map(message => {
            try {
                return answer(message)
            } catch (error) {
                if (!(error instanceof SmlDamage)) throw error
                return attentionRes(
                    message.transactionId,
                    server,
                    Attention.OrderNotExecuted,
                    error.message.slice(0, 100),
                )
            }
        }),
        closeRes(open.transactionId),
    ])
}

/** Why not, or "" when it is done. */
function acknowledged(cursor: Buffer, journal: Journal, provider: string): string {
    if (cursor.length !== 16) return "a cursor is 16 octets"
    if (cursor.toString("hex", 0, 8) !== journal.id) return "the cursor of another journal"
    try {
        journal.acknowledge(provider, Number(cursor.readBigUInt64BE(8)))
        return ""
    } catch (error) {
        if (!(error instanceof JournalError)) throw error
        return error.message
    }
}

function treeOf(path: Buffer[], self: Self, provider: string): SmlValue | undefined {
    const [name, after] = path
    if (name.equals(behindPath)) return list(name, page(self.behind(), after?.toString("hex") ?? ""))
    if (name.equals(collectedPath)) return list(name, collected(self, provider))
    if (name.equals(activeMetersPath)) {
        const meters = self.behind().filter(({ serverId, muc }) => serverId !== muc)
        const ids = meters.slice(0, mostActive).map(({ serverId }) => Buffer.from(serverId, "hex"))
        return list(
            name,
            ids.map((id, i) => octetsLeaf(childName(Buffer.from(name), i + 1), id)),
        )
    }
    if (name.equals(identificationPath))
        return list(name, [
            octetsLeaf(Buffer.from("8181c78204ff", "hex"), Buffer.from(self.id, "hex")),
            octetsLeaf(Buffer.from("8181c78206ff", "hex"), Buffer.from(self.software)),
        ])
    return undefined
}

function list(name: Buffer, children: SmlValue[][]): SmlValue {
    return children.length > 0 ? branch(name, children) : [name, undefined, undefined]
}

function page(behind: KnownMeter[], after: string): SmlValue[][] {
    return behind
        .filter(({ serverId }) => serverId > after)
        .sort((a, b) => (a.serverId < b.serverId ? -1 : 1))
        .slice(0, metersPerPage)
        .map(({ serverId, muc }) => octetsLeaf(Buffer.from(serverId, "hex"), Buffer.from(muc, "hex")))
}

function collected(self: Self, provider: string): SmlValue[][] {
    const { journal } = self
    const head = Buffer.alloc(12)
    head.write(journal.id, "hex")
    head.writeUInt32BE(self.everySeconds, 8)
    return [octetsLeaf(collectedNames.journal, head), ...journal.read(provider, mostOctets).map(entryTree)]
}

function entryTree({ seq, receivedAtMs, muc, request, response }: Collected): SmlValue[] {
    const { entry: name, ...names } = collectedNames
    const parts = [
        octetsLeaf(names.receivedAt, wide(receivedAtMs)),
        octetsLeaf(names.muc, Buffer.from(muc, "hex")),
        octetsLeaf(names.request, request),
        octetsLeaf(names.response, response),
    ]
    const [, value] = octetsLeaf(name, wide(seq))
    return [name, value, parts]
}

function wide(value: number): Buffer {
    const octets = Buffer.alloc(8)
    octets.writeBigUInt64BE(BigInt(value))
    return octets
}
