import type { PeerTrust, TlsConfig, TlsIdentity } from "./config"
import { TlsConnection } from "./connection"
import type { TicketKeys } from "./tickets"

export interface TlsServerConfig extends TlsConfig {
    identity: TlsIdentity
    /** Present: a certificate of the client is demanded. */
    trust?: PeerTrust
    /** Present: sessions can be resumed. */
    tickets?: TicketKeys
    /** Present: a client that asks for another name is refused. */
    hostName?: string
}

/** A server of one connection; it waits for the ClientHello. */
export class TlsServer extends TlsConnection {
    constructor(private readonly settings: TlsServerConfig) {
        super(settings)
    }
}
