import { createHash } from "node:crypto"
import { connect, type TLSSocket } from "node:tls"
import { Attention } from "../../firmware/core/sml-attention.ts"
import { attentionRes, closeRes, getProcParameterRes, openRes } from "../../firmware/core/sml-messages.ts"
import {
    activeMetersPath,
    answerPath,
    branch,
    certificateChainPath,
    childName,
    octetsLeaf,
} from "../../firmware/core/sml-parameter.ts"
import { SmlReceiver } from "../../firmware/core/sml-receive.ts"
import { writeFile } from "../../firmware/core/sml-transport.ts"
import { type Request, readRequestFile } from "../concentrator/answers.ts"
import { tlsProfile } from "../tls/server.ts"
import type { TlsSettings } from "../tls/settings.ts"
import type { SmlFile } from "../verify/sml-file.ts"
import { listOf, octetsOf } from "../verify/sml-tlv.ts"
import type { LightMeter } from "./light-meter.ts"

export interface LightMucOptions {
    /** Hex of its server id, which its certificate names. */
    id: string
    tls: TlsSettings
    meters: LightMeter[]
    port: number
    /** How long an answer takes, in ms. */
    answerMs?: () => number
    /** It says which meters it has, and no more. */
    dumb?: boolean
    /** First and longest pause before it calls again, and silence after which it does, in ms. */
    pauseMs: number
    longestPauseMs: number
    silenceMs: number
}

/**
 * A MUC in a few kilobytes, for hundreds in one process: it calls its head-end or concentrator over TLS and calls again
 * whenever the connection breaks, with pauses drawn at random and a resumed session, and answers as the firmware does.
 */
export class LightMuc {
    socket: TLSSocket | undefined
    connections = 0
    resumed = 0
    private session: Buffer | undefined
    private timer: NodeJS.Timeout | undefined
    private failures = 0
    private stopped = false

    constructor(private readonly options: LightMucOptions) {}

    /** Calls, and goes on calling until `stop`. */
    start(): void {
        const { tls, port, silenceMs } = this.options
        const { key, chain: cert, ca } = tls
        const { session } = this
        this.session = undefined
        const socket = connect({ ...tlsProfile, host: "127.0.0.1", port, key, cert, ca, session })
        this.socket = socket
        // A connection that says nothing, also while it is made, is none.
        socket.setTimeout(silenceMs, () => socket.destroy())
        const receiver = new SmlReceiver(
            4096,
            false,
            raw => this.serve(socket, raw),
            () => {},
        )
        socket.on("session", each => {
            this.session = each
        })
        socket.on("secureConnect", () => {
            ++this.connections
            if (socket.isSessionReused()) ++this.resumed
        })
        socket.on("data", octets => {
            this.failures = 0
            receiver.feed(octets)
        })
        socket.on("error", () => {})
        socket.on("close", () => this.again())
    }

    stop(): void {
        this.stopped = true
        clearTimeout(this.timer)
        this.socket?.destroy()
    }

    private again(): void {
        if (this.stopped) return
        const { pauseMs, longestPauseMs } = this.options
        const pause = Math.random() * Math.min(longestPauseMs, pauseMs * 2 ** this.failures++)
        this.timer = setTimeout(() => this.start(), pause)
    }

    private serve(socket: TLSSocket, raw: Buffer): void {
        const request = readRequestFile(Buffer.from(raw))
        if (this.options.dumb && request.target !== "") return
        const answer = this.answer(request)
        // Its own list it has at once.
        const delay = request.target === "" ? 0 : (this.options.answerMs?.() ?? 0)
        const send = () => {
            if (!socket.destroyed) socket.write(answer)
        }
        if (delay > 0) setTimeout(send, delay)
        else send()
    }

    private answer({ file, target, reqFileId }: Request): Buffer {
        const [open, first] = file.messages
        const command = first.tag === 0x0600
        const question = command ? file.messages[2] : first
        const { transactionId } = question
        const id = target || this.options.id
        const server = Buffer.from(id, "hex")
        const meter = this.options.meters.find(({ serverId }) => serverId === id)
        let body: Buffer | undefined
        if (question.tag === 0x0500) {
            const [path, values] = meter
                ? [certificateChainPath, meter.chain]
                : [activeMetersPath, this.options.meters.map(({ serverId }) => Buffer.from(serverId, "hex"))]
            const children = values.map((value, i) => octetsLeaf(childName(path, i + 1), value))
            body = getProcParameterRes(transactionId, server, [path], branch(path, children))
        } else if (meter && command && question.tag === 0x0700) {
            const name = octetsOf(file.payload, listOf(question.body, 5, "GetList.Req")[4], "listName")
            body = meter.list(transactionId, name.length === 10 ? name.readUInt32BE(6) : undefined)
        }
        const answers = [
            openRes(open.transactionId, undefined, reqFileId, server, undefined),
            body ?? attentionRes(transactionId, server, Attention.UnknownIdentifier, ""),
        ]
        const close = closeRes(open.transactionId)
        if (!meter || !command) return writeFile([...answers, close])
        const head = answerHead(file)
        answers.splice(
            1,
            0,
            getProcParameterRes(first.transactionId, server, [answerPath], octetsLeaf(answerPath, head)),
        )
        const covered = Buffer.concat([...answers, close.subarray(0, close.length - closeTail)])
        return writeFile([...answers, closeRes(open.transactionId, meter.sign(covered))])
    }
}

/** Octets of a Close.Res without signature from that element on: absent, CRC, end. */
const closeTail = 5

/** What a signed answer says of its command (`firmware/core/command-answer.ts`); who signed that is not looked at here. */
function answerHead({ payload, messages }: SmlFile): Buffer {
    const last = messages[messages.length - 1]
    const [signature] = listOf(last.body, 1, "PublicClose.Req")
    const digest = createHash("sha256").update(payload.subarray(messages[0].start, signature.start)).digest()
    const [, value] = listOf(listOf(messages[1].body, 5, "SetProcParameter.Req")[4], 3, "Tree")
    const header = octetsOf(payload, listOf(value, 2, "ProcParValue")[1], "header")
    const times = Buffer.alloc(8)
    const seconds = Math.floor(Date.now() / 1000)
    times.writeUInt32BE(seconds & 0x7fffffff)
    times.writeUInt32BE(seconds, 4)
    return Buffer.concat([Buffer.of(1), digest, header.subarray(1, 5), times])
}
