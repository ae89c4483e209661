import type { PeerTrust, TlsConfig, TlsIdentity } from "./config"
import { TlsConnection } from "./connection"
import type { SessionCache } from "./sessions"

export interface TlsClientConfig extends TlsConfig {
    /** Server name indication, and the name or address the server's certificate must carry; "" = neither. */
    hostName: string
    /** For a server that asks for a certificate. */
    identity?: TlsIdentity
    trust: PeerTrust
    sessions?: SessionCache
    /** The peer as the session cache knows it, "host:port"; `hostName` unless told. */
    sessionKey?: string
}

/** A client; `start` queues its ClientHello. */
export class TlsClient extends TlsConnection {
    constructor(private readonly settings: TlsClientConfig) {
        super(settings)
    }

    start(): void {}
}
