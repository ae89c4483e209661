import { Code, fail } from "../core/errors"
import type { Certificate } from "../core/x509"
import type { TlsConfig } from "./config"

/** One TLS 1.3 connection (RFC 8446), sans-I/O. Methods may let other fibers run; one fiber at a time. */
export abstract class TlsConnection {
    /** The peer's certificate, once it is judged. */
    peer: Certificate | undefined
    resumed = false
    /** Number of the cipher suite, 0 before it is chosen. */
    suite = 0
    /** RFC 8446 clause 6; -1 for none. */
    alertSent = -1
    alertReceived = -1

    constructor(protected readonly config: TlsConfig) {}

    /** Octets from the transport, in any cut. Throws `PlombError`; the alert is then in `output`, and the connection is dead. */
    feed(octets: Buffer): void {
        fail(Code.TlsNotOpen, octets.length, "", "")
    }

    /** The transport has ended. Throws `TlsTruncated` unless the peer had closed. */
    end(): void {}

    /** Takes what is to be sent, in order. */
    output(): Buffer[] {
        return []
    }

    /** Application data; throws `TlsNotOpen` before the handshake is complete and after `close`. */
    write(octets: Buffer): void {
        fail(Code.TlsNotOpen, octets.length, "", "")
    }

    /** Takes application data that came. */
    read(): Buffer | undefined {
        return undefined
    }

    /** Queues close_notify; what the peer still sends can be read. */
    close(): void {}

    /** The handshake is complete and nothing has ended: data may be written. */
    isOpen(): boolean {
        return false
    }

    /** The peer's close_notify came, or the connection failed: nothing more will come. */
    isClosed(): boolean {
        return false
    }
}
