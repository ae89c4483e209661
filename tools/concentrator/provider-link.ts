import type { TLSSocket } from "node:tls"
import { SmlReceiver } from "../../firmware/core/sml-receive.ts"
import { Role } from "../../firmware/core/x509-role.ts"
import { TlsCaller } from "../tls/client.ts"
import { type Peer, PeerRefused } from "../tls/peer.ts"
import type { TlsSettings } from "../tls/settings.ts"
import { SmlDamage } from "../verify/sml-tlv.ts"
import { type Request, readRequestFile } from "./answers.ts"

export interface ProviderLinkOptions {
    tls: TlsSettings
    host: string
    port: number
    /** The response file to a request. */
    answer(request: Request): Promise<Buffer>
    log(line: string): void
    /** First and longest pause before the next attempt, in ms; each is drawn at random below a bound that doubles. */
    pauseMs?: number
    longestPauseMs?: number
    /** A provider asks every few seconds: after this much silence the connection counts as dead, in ms. */
    silenceMs?: number
}

/** Largest request file, in octets. */
const longestRequest = 8 * 1024
/** Requests of one provider under way at once; beyond it, its octets wait in its own machine. */
const mostUnderway = 64
/** Answers that wait to be sent, in octets, beyond which no more requests are read. */
const mostUnsent = 512 * 1024
const recheckMs = 5000

/**
 * Keeps one connection to a provider open and serves its requests: the concentrator calls, the provider asks, as
 * with a MUC. What breaks is opened again after a pause that differs from one concentrator to the next.
 */
export class ProviderLink {
    private readonly caller: TlsCaller
    private readonly silenceMs: number
    private socket: TLSSocket | undefined
    private closed = false
    private wake = () => {}
    private readonly ended: Promise<void>

    constructor(private readonly options: ProviderLinkOptions) {
        const { tls, host, port, silenceMs = 45_000 } = options
        this.silenceMs = silenceMs
        this.caller = new TlsCaller(
            tls,
            host,
            port,
            [Role.operator, Role.securityManagement, Role.dataCollection, Role.energyProvider],
            Math.min(30_000, silenceMs),
        )
        this.ended = this.run()
    }

    get connected(): boolean {
        return this.socket !== undefined
    }

    async close(): Promise<void> {
        this.closed = true
        this.wake()
        this.socket?.destroy()
        await this.ended
    }

    private async run(): Promise<void> {
        const { host, port, log, pauseMs = 500, longestPauseMs = 30_000 } = this.options
        let failures = 0
        while (!this.closed) {
            try {
                const { socket, peer, resumed } = await this.caller.connect()
                if (this.closed) socket.destroy()
                log(`provider ${peer.commonName} at ${host}:${port} connected${resumed ? ", resumed" : ""}`)
                failures = 0
                log(`provider at ${host}:${port} is gone: ${await this.serve(socket, peer)}`)
            } catch (error) {
                log(`provider at ${host}:${port}: ${(error as Error).message}`)
                ++failures
            }
            if (!this.closed) await this.pause(Math.random() * Math.min(longestPauseMs, pauseMs * 2 ** failures))
        }
    }

    private pause(milliseconds: number): Promise<void> {
        return new Promise(resolve => {
            const timer = setTimeout(resolve, milliseconds)
            this.wake = () => {
                clearTimeout(timer)
                resolve()
            }
        })
    }

    /** Until the connection ends; in words why. */
    private serve(socket: TLSSocket, peer: Peer): Promise<string> {
        this.socket = socket
        const line: Line = { socket, underway: 0 }
        let heardAt = Date.now()
        return new Promise(resolve => {
            let reason = "it hung up"
            const end = (why: string) => {
                reason = why
                socket.destroy()
            }
            const receiver = new SmlReceiver(
                longestRequest,
                false,
                raw => void this.take(line, raw),
                () => {},
            )
            const timer = setInterval(
                () => {
                    if (Date.now() - heardAt > this.silenceMs) end(`nothing came for ${this.silenceMs} ms`)
                    try {
                        this.caller.recheck(peer)
                    } catch (error) {
                        if (!(error instanceof PeerRefused)) throw error
                        end(error.message)
                    }
                },
                Math.min(recheckMs, this.silenceMs),
            )
            socket.on("data", octets => {
                heardAt = Date.now()
                receiver.feed(octets)
            })
            socket.on("drain", () => flow(line))
            socket.on("error", error => end(error.message))
            socket.on("close", () => {
                clearInterval(timer)
                this.socket = undefined
                resolve(reason)
            })
        })
    }

    private async take(line: Line, raw: Buffer): Promise<void> {
        let request: Request
        try {
            request = readRequestFile(raw)
        } catch (error) {
            if (!(error instanceof SmlDamage)) throw error
            // Whom to answer is not known.
            this.options.log(`a request is damaged: ${error.message}`)
            return
        }
        ++line.underway
        flow(line)
        try {
            const answer = await this.options.answer(request)
            if (!line.socket.destroyed) line.socket.write(answer)
        } finally {
            --line.underway
            flow(line)
        }
    }
}

interface Line {
    socket: TLSSocket
    underway: number
}

function flow({ socket, underway }: Line): void {
    if (underway >= mostUnderway || socket.writableLength > mostUnsent) socket.pause()
    else if (socket.isPaused()) socket.resume()
}
