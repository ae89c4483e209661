import { type AddressInfo, createServer, type Server, type Socket } from "node:net"
import { createServer as createTlsServer, type TLSSocket } from "node:tls"
import { type Crl, parseCrl } from "../../firmware/core/crl.ts"
import { Code, PlombError } from "../../firmware/core/errors.ts"
import { type Certificate, parseCertificate } from "../../firmware/core/x509.ts"
import { readPem } from "../pki/pem.ts"
import { x509 } from "../pki/x509.ts"
import { reasonOf } from "../tls/reason.ts"
import { tlsProfile } from "../tls/server.ts"
import { type Identity, isPublisher, judge, peerChain } from "./access.ts"
import { readDn } from "./dn.ts"
import { type Access, Session } from "./session.ts"
import { FolderStore, noStore, type Store } from "./store.ts"
import { suffix, Tree } from "./tree.ts"

/** Where to listen; port 0 takes a free one. */
export interface Address {
    host?: string
    port: number
}

export interface DirectoryOptions {
    /** LDAP without protection. 127.0.0.1 and a free port unless told; absent where only `tls` is. */
    plain?: Address
    /** LDAP over TLS 1.3, PEM texts; with `ca` clients must have a certificate that ends there. */
    tls?: Address & { key: string; chain: string; ca?: string; crls?: () => string[] }
    /** Folder that keeps the tree; without it the tree ends with the process. */
    store?: string
    /** Password of cn=writer,o=plomb; without it nobody binds by password. */
    writerPassword?: string
    /** Every operation that ended. */
    onAccess?(access: Access): void
    /** Connections refused and faults of our own. */
    log?(line: string): void
    /** Connections at a time, 512 unless told. */
    mostConnections?: number
    /** Milliseconds after which a silent connection ends, ten minutes unless told. */
    idleMs?: number
}

/** An LDAPv3 directory in this process. */
export class Directory {
    private readonly tree: Tree
    private readonly store: Store
    private readonly servers: Server[] = []
    private readonly sockets = new Set<Socket>()
    private readonly anchors: Certificate[]
    /** URL of each listener once it listens. */
    url = ""
    tlsUrl = ""

    /** Reads the store. Throws `StoreError`. */
    constructor(private readonly options: DirectoryOptions = {}) {
        this.store = options.store ? new FolderStore(options.store) : noStore
        this.tree = new Tree(this.store)
        this.anchors = readPem(options.tls?.ca ?? "").map(({ der }) => parseCertificate(der))
    }

    async listen(): Promise<void> {
        const { plain, tls } = this.options
        if (plain || !tls) this.url = `ldap://${await this.open(createServer(), "connection", plain)}`
        if (!tls) return
        const server = createTlsServer({
            ...tlsProfile,
            key: tls.key,
            cert: tls.chain,
            ca: tls.ca,
            requestCert: tls.ca !== undefined,
            rejectUnauthorized: tls.ca !== undefined,
            handshakeTimeout: 60_000,
        })
        server.on("tlsClientError", (error, socket) => {
            this.log(`${nameOf(socket)}: no TLS connection: ${reasonOf(error)}`)
            socket.destroy()
        })
        this.tlsUrl = `ldaps://${await this.open(server, "secureConnection", tls)}`
    }

    /** Ends all connections; every acknowledged change is in the store. */
    async close(): Promise<void> {
        for (const socket of this.sockets) socket.destroy()
        await Promise.all(this.servers.map(server => new Promise(done => server.close(done))))
        this.store.close()
    }

    private open(server: Server, event: string, { host = "127.0.0.1", port }: Address = { port: 0 }): Promise<string> {
        server.maxConnections = this.options.mostConnections ?? 512
        server.on("drop", () => this.log("a connection was dropped: there are too many"))
        server.on("connection", socket => {
            this.sockets.add(socket)
            socket.on("close", () => this.sockets.delete(socket))
            socket.setTimeout(this.options.idleMs ?? 600_000, () => socket.destroy())
            socket.on("error", () => {})
        })
        server.on(event, socket => this.serve(socket, event === "secureConnection"))
        this.servers.push(server)
        return new Promise((resolve, reject) => {
            server.once("error", reject)
            server.listen(port, host, () => {
                const { address, port } = server.address() as AddressInfo
                resolve(`${address.includes(":") ? `[${address}]` : address}:${port}`)
            })
        })
    }

    private serve(socket: Socket, tls: boolean): void {
        socket.on("error", () => {})
        socket.setNoDelay(true)
        let chain: Certificate[] = []
        if (tls && this.anchors.length > 0)
            try {
                chain = peerChain(socket as TLSSocket)
                judge(chain, this.anchors, this.lists(), false)
            } catch (error) {
                if (!(error instanceof PlombError)) throw error
                this.log(`${nameOf(socket)} turned away: ${Code[error.code]}: ${error.message}`)
                socket.destroy()
                return
            }
        const { writerPassword, onAccess } = this.options
        void new Session(socket, {
            tree: this.tree,
            tls,
            password: writerPassword === undefined ? undefined : Buffer.from(writerPassword),
            party: () => this.party(chain),
            nameOf: describe,
            onAccess: access => onAccess?.(access),
            onFault: error => this.log(`${nameOf(socket)}: ${error instanceof Error ? error.stack : error}`),
        }).serve()
    }

    /** The publisher whose chain this is, under lists that are all current. */
    private party(chain: Certificate[]): Identity | undefined {
        if (chain.length === 0) return undefined
        try {
            const certificate = judge(chain, this.anchors, this.lists(), true)
            return isPublisher(certificate, this.anchors) ? { kind: "party", certificate } : undefined
        } catch (error) {
            if (!(error instanceof PlombError)) throw error
            this.log(`${describe({ kind: "party", certificate: chain[0] })} may not publish: ${error.message}`)
            return undefined
        }
    }

    /** The lists that are kept here, and those of the options. */
    private lists(): Crl[] {
        const given = (this.options.tls?.crls?.() ?? []).flatMap(text => readPem(text).map(({ der }) => der))
        if (this.tree.has(suffix))
            for (const { attributes } of this.tree.inScope(authorities, "sub"))
                given.push(...(attributes.get("certificateRevocationList") ?? []))
        return given.map(parseCrl)
    }

    private log(line: string): void {
        this.options.log?.(line)
    }
}

const authorities = readDn("o=plomb")

function describe(identity: Identity): string {
    if (identity.kind !== "party") return identity.kind
    return new x509.X509Certificate(new Uint8Array(identity.certificate.der)).subjectName.getField("CN")[0] ?? ""
}

function nameOf(socket: Socket): string {
    return `${socket.remoteAddress}:${socket.remotePort}`
}
