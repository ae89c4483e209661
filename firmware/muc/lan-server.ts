import type { KeyCustody, ListeningPort } from "../../hal/ports"
import { PlombError } from "../core/errors"
import { cut, join } from "../core/octets"
import { platform } from "../core/platform"
import { TlsServer } from "../tls/server"
import { TicketKeys } from "../tls/tickets"
import { type CustomerPage, longestRequest } from "./customer"
import type { Holdings } from "./holdings"
import { chachaSuite, identityOf, type SecureUplink } from "./secure-uplink"
import type { TurnAgreement } from "./turns"

/** Longest record of the peer, octets with its content type: each is held sealed and plain beside the application. What is sealed at a time. */
const recordLimit = 1537
const pieceLength = 1024
/** Longest handshake message: a ClientHello with a share of 1.2 KB for another group. Whoever sends it has proved nothing yet. */
const messageLimit = 2304
/** Handshake and request are over within this, ms. */
const requestMs = 15000
const acceptMs = 1000
const pollMs = 20
/** After the board's part could not be spoken to, ms. */
const pauseMs = 10000

/**
 * The customer's TLS 1.3 server: CERT_MUC proves who is spoken to; the customer has no certificate but a password, so none is asked of
 * him, here and nowhere else. One request a connection, one connection at a time.
 */
export class LanServer {
    private readonly tickets = new TicketKeys()
    /** State of the certificates with which the tickets were made. */
    private version = -1

    constructor(
        private readonly port: ListeningPort,
        private readonly holdings: Holdings,
        private readonly custody: KeyCustody,
        private readonly agreement: TurnAgreement,
        private readonly uplink: SecureUplink,
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
        // There is heap for one handshake: the uplink's goes first, then it waits until this connection is over.
        while (this.uplink.shaking) platform().sleepMs(pollMs)
        this.agreement.enter()
        try {
            if (this.version !== this.holdings.version) {
                this.version = this.holdings.version
                this.tickets.drop()
            }
            const tls = new TlsServer({
                identity: identityOf(this.holdings, this.custody),
                agreement: this.agreement,
                suites: [chachaSuite],
                tickets: this.tickets,
                recordLimit,
                messageLimit,
            })
            const request = this.request(tls)
            if (request) {
                this.page.respond(request, octets => self.send(tls, octets))
                tls.close()
                this.flush(tls)
            }
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            // Whoever scans the network is no trouble.
            console.log("lan " + e.message)
        }
        this.agreement.leave()
        port.close()
    }

    /** The head of a request; too long a one as far as it came; undefined where none comes in time. */
    private request(tls: TlsServer): Buffer | undefined {
        const from = platform().millis()
        let request: Buffer = Buffer.alloc(0)
        for (;;) {
            const left = requestMs - (platform().millis() - from)
            const octets = left > 0 ? this.port.receive(left) : undefined
            if (!octets) return undefined
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
        }
    }

    private send(tls: TlsServer, octets: Buffer): void {
        for (let at = 0; at < octets.length; at += pieceLength) {
            tls.write(cut(octets, at, Math.min(pieceLength, octets.length - at)))
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
