import type { KeyAgreement, KeyCustody, ListeningPort } from "../../hal/ports"
import { PlombError } from "../core/errors"
import { cut, join, tidy } from "../core/octets"
import { platform } from "../core/platform"
import { TlsServer } from "../tls/server"
import { TicketKeys } from "../tls/tickets"
import { type CustomerPage, longestRequest } from "./customer"
import type { Holdings } from "./holdings"
import { chachaSuite, identityOf } from "./secure-uplink"
import type { Turn } from "./turns"

/** Longest record of the peer, octets with its content type: each is held sealed and plain beside the application. What is sealed at a time. */
const recordLimit = longestRequest + 1
const pieceLength = 512
/** Longest handshake message: a ClientHello with a share of 1.2 KB for another group. Whoever sends it has proved nothing yet. */
const messageLimit = 2304
/** Handshake and request are over within this, ms. */
const requestMs = 10000
const acceptMs = 1000
/** After the board's part could not be spoken to, ms. */
const pauseMs = 10000

/**
 * The customer's TLS 1.3 server: CERT_MUC proves who is spoken to; the customer has no certificate but a password, so none is asked of
 * him, here and nowhere else. One request a connection, one connection at a time.
 */
export class LanServer {
    private readonly tickets = new TicketKeys()
    /** Room for a stranger's ClientHello, ours from the start. */
    private readonly room = Buffer.alloc(messageLimit + 4)
    /** State of the certificates with which the tickets were made. */
    private version = -1

    constructor(
        private readonly port: ListeningPort,
        private readonly holdings: Holdings,
        private readonly custody: KeyCustody,
        private readonly agreement: KeyAgreement,
        private readonly turns: Turn[],
        private readonly page: CustomerPage,
    ) {}

    /** Serves for ever. */
    run(): void {
        for (;;) {
            try {
                if (this.port.accept(acceptMs)) this.serve()
            } catch (e: any) {
                if (!(e instanceof PlombError)) throw e
                console.log("lan " + e.message)
                platform().sleepMs(pauseMs)
            }
        }
    }

    private serve(): void {
        const self = this
        const port = this.port
        try {
            // Who says nothing has no turn.
            const octets = port.receive(requestMs)
            if (octets) {
                // There is heap for one: the others go first, then they wait until this connection is over.
                for (let i = 0; i < this.turns.length; ++i) this.turns[i].enter()
                if (this.version !== this.holdings.version) {
                    this.version = this.holdings.version
                    this.tickets.drop()
                }
                const tls = new TlsServer({
                    identity: identityOf(this.holdings, this.custody),
                    agreement: this.agreement,
                    suites: [chachaSuite],
                    tickets: this.tickets,
                    room: this.room,
                    recordLimit,
                    sendLimit: pieceLength + 1,
                    messageLimit,
                })
                const request = this.request(tls, octets)
                if (request) {
                    this.page.respond(request, octets => self.send(tls, octets))
                    tls.close()
                    this.flush(tls)
                }
            }
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            // Whoever scans the network is no trouble.
            console.log("lan " + e.message)
        }
        for (let i = 0; i < this.turns.length; ++i) this.turns[i].leave()
        port.close()
    }

    /** The head of a request, of which `octets` came first; too long a one as far as it came; undefined where none comes in time. */
    private request(tls: TlsServer, octets: Buffer): Buffer | undefined {
        const from = platform().millis()
        let request: Buffer = Buffer.alloc(0)
        for (;;) {
            try {
                tls.feed(octets)
            } finally {
                this.flush(tls)
            }
            for (let came = tls.read(); came; came = tls.read()) {
                request = join([request, came])
                const end = endOf(request)
                if (end > 0) return cut(request, 0, end)
                if (request.length > longestRequest) return request
            }
            if (tls.isClosed()) return undefined
            const left = requestMs - (platform().millis() - from)
            const next = left > 0 ? this.port.receive(left) : undefined
            if (!next) return undefined
            octets = next
        }
    }

    private send(tls: TlsServer, octets: Buffer): void {
        tidy()
        for (let at = 0; at < octets.length; at += pieceLength) {
            tls.write(
                octets.length <= pieceLength ? octets : cut(octets, at, Math.min(pieceLength, octets.length - at)),
            )
            this.flush(tls)
        }
    }

    private flush(tls: TlsServer): void {
        const parts = tls.output()
        for (let i = 0; i < parts.length; ++i) this.port.send(parts[i])
    }
}

/** Where the empty line ends, 0 where there is none. */
function endOf(octets: Buffer): number {
    for (let i = 3; i < octets.length; ++i)
        if (octets[i] === 10 && octets[i - 1] === 13 && octets[i - 2] === 10 && octets[i - 3] === 13) return i + 1
    return 0
}
