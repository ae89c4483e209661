import "../node/platform.ts"
import { createHash, createPrivateKey, type KeyObject, randomBytes, sign, X509Certificate } from "node:crypto"
import { closeReq, openReq, setProcParameterReq } from "../../firmware/core/sml-messages"
import { commandPath, octetsLeaf } from "../../firmware/core/sml-parameter"
import { writeFile } from "../../firmware/core/sml-transport"
import { parseCertificate } from "../../firmware/core/x509"
import { Role, readRole } from "../../firmware/core/x509-role"
import { counterAfter, nextCounter } from "./counter.ts"

/** Who signs, and where it counts. */
export interface SignerOptions {
    /** Private key: PEM (PKCS#8, encrypted or not) or opened. */
    key: string | KeyObject
    passphrase?: string
    /** The signer's certificate and its issuers, leaf first: PEM or DER. */
    chain: string | readonly Uint8Array[]
    /** Where the counter is kept; without it the counter lasts as long as this object. */
    counterFile?: string
    /** Seconds since 1970; the system's clock unless told otherwise. */
    nowSeconds?(): number
}

/** How one command is made. */
export interface CommandOptions {
    /** Seconds from now during which the device takes it, 900 unless told. */
    validSeconds?: number
    /** Seconds before now from which on it takes it: how far its clock may be behind, 300 unless told. */
    skewSeconds?: number
    /** Put the signer's certificate in (true unless told), or only its hash: for a device that holds or has seen it. */
    withCertificate?: boolean
    /** clientId, reqFileId and transaction ids of the file's frame; random unless told. */
    requestId?: Uint8Array
}

/** Longest validity a device accepts. */
const longestSeconds = 86_400
/** Most requests in one command. */
const mostRequests = 8
/** Octets of a Close.Req without signature from that element on: absent, CRC, end. */
const closeTail = 5

function u32(value: number): Buffer {
    const octets = Buffer.alloc(4)
    octets.writeUInt32BE(value)
    return octets
}

function certificatesOf(chain: string | readonly Uint8Array[]): Buffer[] {
    if (typeof chain !== "string") return chain.map(each => Buffer.from(each))
    const blocks = chain.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? []
    return blocks.map(block => Buffer.from(new X509Certificate(block).raw))
}

/** Signs commands (README.md) with one key. */
export class Signer {
    /** DER of the signer's certificate. */
    readonly certificate: Buffer
    /** First 8 octets of SHA-256 of the public key, hex: as devices and logbooks name it. */
    readonly id: string
    private readonly key: KeyObject
    /** What goes into a command: the certificate, and its issuer's where devices do not hold that one. */
    private readonly inside: Buffer[]
    private last = 0

    /** Throws where the key does not open or is not that of the first certificate. */
    constructor(private readonly options: SignerOptions) {
        const { key, passphrase, chain } = options
        this.key = typeof key === "string" ? createPrivateKey({ key, format: "pem", passphrase }) : key
        const certificates = certificatesOf(chain)
        if (certificates.length === 0) throw new Error("a signer needs its certificate")
        this.certificate = certificates[0]
        if (!new X509Certificate(this.certificate).checkPrivateKey(this.key))
            throw new Error("the certificate is not that of the key")
        const leaf = parseCertificate(this.certificate)
        this.id = createHash("sha256").update(leaf.publicKey).digest("hex").slice(0, 16)
        const issuer = certificates.length > 1 ? readRole(parseCertificate(certificates[1])) : undefined
        // A MUC holds the institute's root only.
        const between = issuer?.role === Role.calibrationAuthority
        this.inside = certificates.slice(0, between ? 2 : 1)
    }

    /**
     * A command for `target` with one to eight SML request messages, as an SML file in transport version 1. Its counter is taken,
     * and on disk, before it is signed.
     */
    command(target: Uint8Array, requests: readonly Uint8Array[], options: CommandOptions = {}): Buffer {
        const { validSeconds = 900, skewSeconds = 300, withCertificate = true } = options
        if (requests.length < 1 || requests.length > mostRequests)
            throw new RangeError(`expected 1 to ${mostRequests} requests in a command, came ${requests.length}`)
        if (!(validSeconds >= 0 && skewSeconds >= 0 && validSeconds + skewSeconds <= longestSeconds))
            throw new RangeError(`a command is valid for at most ${longestSeconds} s`)
        const now = this.options.nowSeconds?.() ?? Date.now() / 1000
        const counter = this.count(now)
        const header = Buffer.concat([
            Buffer.of(1),
            u32(counter),
            u32(Math.max(0, Math.floor(now - skewSeconds))),
            u32(Math.floor(now + validSeconds)),
            createHash("sha256").update(this.certificate).digest(),
            ...(withCertificate ? this.inside : []),
        ])
        return this.seal(target, header, requests, options.requestId)
    }

    /** The signed file around a header of any content: `command` with nothing checked, for tests of those who check. */
    seal(
        target: Uint8Array,
        header: Uint8Array,
        requests: readonly Uint8Array[],
        requestId: Uint8Array = randomBytes(8),
    ): Buffer {
        const id = Buffer.from(requestId)
        const server = Buffer.from(target)
        return sealFile(
            [
                openReq(id, id, id, server),
                setProcParameterReq(id, server, [commandPath], octetsLeaf(commandPath, Buffer.from(header))),
                ...requests.map(each => Buffer.from(each)),
            ],
            id,
            this.key,
        )
    }

    private count(nowSeconds: number): number {
        const { counterFile } = this.options
        this.last =
            counterFile === undefined
                ? counterAfter(this.last, nowSeconds)
                : nextCounter(counterFile, this.id, nowSeconds)
        return this.last
    }
}

/** An SML request file of `messages`, closed with the signature of `key` over all before it. */
export function sealFile(messages: readonly Buffer[], transactionId: Buffer, key: KeyObject): Buffer {
    const open = closeReq(transactionId, undefined)
    const signed = Buffer.concat([...messages, open.subarray(0, open.length - closeTail)])
    const signature = sign("sha256", signed, { key, dsaEncoding: "ieee-p1363" })
    return writeFile([...messages, closeReq(transactionId, signature)])
}
