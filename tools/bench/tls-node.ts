import { readFileSync } from "node:fs"
import * as tls from "node:tls"
import type { PeerClient, PeerServer, PeerSettings, TlsPeer } from "./tls-peers.ts"

const suites: Record<number, string> = { 4867: "TLS_CHACHA20_POLY1305_SHA256", 4865: "TLS_AES_128_GCM_SHA256" }

function common({ pki, suite, otherGroupFirst }: PeerSettings, own: "server" | "client") {
    const { keyFile, chainFile } = pki[own]
    return {
        key: readFileSync(keyFile),
        cert: readFileSync(chainFile),
        ca: readFileSync(pki.rootFile),
        minVersion: "TLSv1.3" as const,
        ciphers: suites[suite],
        ecdhCurve: otherGroupFirst ? "X25519:P-256" : "P-256",
        rejectUnauthorized: true,
    }
}

/** Sends back what comes, and ends where that is its part. */
function echo(socket: tls.TLSSocket, { endAfterLines }: PeerSettings): void {
    let lines = 0
    socket.on("error", () => {})
    socket.on("data", data => {
        socket.write(data)
        lines += data.filter((each: number) => each === 10).length
        if (lines === endAfterLines) socket.end()
    })
}

async function serve(settings: PeerSettings): Promise<PeerServer> {
    let said = ""
    const server = tls.createServer({ ...common(settings, "server"), requestCert: true }, socket =>
        echo(socket, settings),
    )
    server.on("tlsClientError", error => {
        said += `${error.message}\n`
    })
    await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve))
    const { port } = server.address() as { port: number }
    return {
        port,
        stop: () => new Promise<void>(resolve => server.close(() => resolve())),
        said: () => said,
    }
}

async function call(port: number, settings: PeerSettings): Promise<PeerClient> {
    let said = ""
    let session: Buffer | undefined
    return {
        connect: () =>
            new Promise<void>(resolve => {
                const options = { ...common(settings, "client"), port, host: "127.0.0.1", servername: "localhost" }
                const socket = tls.connect({ ...options, session }, () => {
                    said += socket.isSessionReused() ? "resumed\n" : "full\n"
                    echo(socket, settings)
                })
                socket.on("session", each => {
                    session = each
                })
                socket.on("error", error => {
                    said += `${error.message}\n`
                })
                socket.on("close", () => resolve())
            }),
        stop: async () => {},
        said: () => said,
    }
}

/** Node's own TLS, which is OpenSSL as a library. */
export const nodeTls: TlsPeer = {
    name: "node:tls",
    version: `Node ${process.version}, OpenSSL ${process.versions.openssl}`,
    howToGet: "part of Node",
    clientAnswersEnd: true,
    serve,
    call,
}
