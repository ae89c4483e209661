import { uint, vector } from "../adversary/codec.ts"
import {
    asServer,
    bySocket,
    crlRequired,
    freshSessions,
    judgePeer,
    peerCloses,
    withIdentity,
    withSessions,
} from "./device/tls-endpoint.ts"

/** What one end of a connection is to do; certificates and lists are DER, the key 32 octets. */
export interface TlsJob {
    side: "client" | "server"
    /** 0x1303, 0x1301, or both in this order. */
    suites: number[]
    /** Of a client: certificate for the server that asks for one. Of a server: its own. */
    key: Buffer
    chain: Buffer[]
    /** Whether a client has its certificate with it, and a server demands one. */
    mutual: boolean
    anchors: Buffer[]
    crls?: Buffer[]
    /** Lists of all issuers must be there and current. */
    crlRequired?: boolean
    nowSeconds: number
    /** Role that the peer's certificate must carry. */
    role?: number
    hostName?: string
    recordLimit?: number
    /** Records under one key. */
    updateAfter?: number
    /** Octets to be sent and to come back. */
    octets?: number
    /** "keep" (default): tickets are used and kept; "fresh": those before are forgotten first; "none": no resumption. */
    sessions?: "keep" | "fresh" | "none"
    /** Port of 127.0.0.1 that the VM's own socket connects to. */
    port?: number
    /** The peer is the first to close. */
    peerCloses?: boolean
}

/** The job as `Endpoint` of device/tls-endpoint.ts reads it. */
export function writeJob(job: TlsJob): Buffer {
    const { suites, sessions = "keep" } = job
    const flags =
        (job.side === "server" ? asServer : 0) |
        (job.mutual ? withIdentity | judgePeer : 0) |
        (sessions === "none" ? 0 : withSessions) |
        (sessions === "fresh" ? freshSessions : 0) |
        (job.port === undefined ? 0 : bySocket) |
        (job.peerCloses ? peerCloses : 0) |
        (job.crlRequired ? crlRequired : 0)
    const order = suites.length === 1 ? (suites[0] === 0x1303 ? 1 : 2) : suites[0] === 0x1303 ? 3 : 4
    const list = (all: Buffer[] = []) => Buffer.concat([uint(1, all.length), ...all.map(each => vector(2, each))])
    return Buffer.concat([
        uint(1, flags),
        uint(1, order),
        uint(2, job.recordLimit ?? 1024),
        uint(4, job.nowSeconds),
        uint(1, job.role ?? 255),
        uint(4, job.updateAfter ?? 0),
        uint(4, job.octets ?? 0),
        uint(2, job.port ?? 0),
        vector(2, Buffer.from(job.hostName ?? "")),
        vector(2, job.key),
        list(job.chain),
        list(job.anchors),
        list(job.crls),
    ])
}

/** What came of a job. */
export interface TlsOutcome {
    opened: boolean
    resumed: boolean
    suite: number
    /** -1 = none. */
    alertSent: number
    alertReceived: number
    /** Error code, 0 = none. */
    code: number
    /** Application octets that came, and whether they were those that were sent. */
    received: number
    damaged: boolean
    /** The peer's certificate was judged. */
    peer: boolean
    /** The peer's close_notify came. */
    closed: boolean
}

export function readResult(result: Uint8Array): TlsOutcome {
    const b = Buffer.from(result)
    return {
        opened: b[0] === 1,
        resumed: b[1] === 1,
        suite: b.readUInt16BE(2),
        alertSent: b.readInt8(4),
        alertReceived: b.readInt8(5),
        code: b.readUInt16BE(6),
        received: b.readUInt32LE(8),
        damaged: b[12] === 1,
        peer: b[13] === 1,
        closed: b[14] === 1,
    }
}
