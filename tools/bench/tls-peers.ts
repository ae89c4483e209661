import type { BenchPki } from "./tls-pki.ts"

/** How a foreign implementation is to behave in a trial. */
export interface PeerSettings {
    pki: BenchPki
    /** 0x1303 or 0x1301: the only one it takes. */
    suite: number
    /** As a client, another group comes first and alone has a key share; as a server it takes any. */
    otherGroupFirst?: boolean
    /** As a server it answers the first hello with HelloRetryRequest and a cookie. */
    cookie?: boolean
    /** Most octets of content in a record that it wants to receive: by record_size_limit or max_fragment_length. */
    recordLimit?: number
    /** After this many lines it updates its keys and asks for the same. */
    updateAfterLines?: number
    /** It ends each connection itself after this many lines. */
    endAfterLines?: number
    /** A client makes two connections, and the second resumes the first. */
    resumes?: boolean
}

/** A server that sends back what it gets. */
export interface PeerServer {
    port: number
    stop(): Promise<void>
    /** What it printed. */
    said(): string
}

/** A client that sends back what it gets. Each connection after the first resumes the one before. */
export interface PeerClient {
    /** Makes one more connection to the port, until it ends. */
    connect(): Promise<void>
    stop(): Promise<void>
    said(): string
}

/** A foreign implementation of TLS 1.3. */
export interface TlsPeer {
    name: string
    /** Its version, or undefined where it is not installed. */
    version: string | undefined
    howToGet: string
    /** Its client answers our close_notify with its own. */
    clientAnswersEnd: boolean
    serve(settings: PeerSettings): Promise<PeerServer>
    call(port: number, settings: PeerSettings): Promise<PeerClient>
}

/** Lines of the pattern that endpoints send (`patternOctet` of device/tls-endpoint.ts). */
export const patternLine = /^d\d{62}$/
