import type { Aead } from "../core/aead"
import type { Certificate } from "../core/x509"

/** Who we are. */
export interface TlsIdentity {
    /** DER, leaf first, without the root. */
    chain: Buffer[]
    /** ECDSA P-256 over a digest of 32 octets: r|s, 64 octets. May wait. */
    sign(digest: Buffer): Buffer
}

/** Ephemeral Diffie-Hellman on P-256; as the port of the same name. May wait. */
export interface KeyAgreement {
    /** A new key pair, in place of one begun before; answers its public key X|Y, 64 octets. */
    begin(): Buffer
    /** X of the shared point with `peer` (X|Y), 32 octets. Throws `BadPublicKey` where `peer` is no point of the curve. */
    agree(peer: Buffer): Buffer
}

/** Judges the peer. */
export interface PeerTrust {
    /**
     * Seconds since 1970 until which the judgement of this chain (leaf first, at least one) holds. Throws `PlombError`: chain, role or
     * right. The name of the host and the possession of the key are checked by the connection. May wait.
     */
    check(chain: Certificate[]): number
    /** Seconds since 1970 UTC. */
    nowSeconds(): number
}

/** A cipher suite with SHA-256; see `suites.ts`. */
export interface Suite {
    /** Number of RFC 8446 B.4. */
    id: number
    /** Octets of the key. */
    keyLength: number
    cipher(key: Buffer): Aead
}

/** What client and server have in common. */
export interface TlsConfig {
    agreement: KeyAgreement
    /** In order of preference, at least one. */
    suites: Suite[]
    /**
     * Most octets of a protected record's plaintext that we take, its content type included (RFC 8449), 64 to 16385; we send no longer ones either.
     * One record at a time is held.
     */
    recordLimit: number
    /** Most octets of a record that we send, its content type included, where that is less. */
    sendLimit?: number
    /** Most octets of a handshake message of the peer; 8192 unless told. */
    messageLimit?: number
    /**
     * Present: where a handshake record in clear is held, so that a stranger's takes no heap. It and `messageLimit` bound these records; a message
     * that comes in several of them has 512 octets at most.
     */
    room?: Buffer
    /** Records sent under one key before it is updated (RFC 8446 5.5); 2^23 unless told. */
    updateAfter?: number
}
