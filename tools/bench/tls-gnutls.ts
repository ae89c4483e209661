import type { PeerClient, PeerServer, PeerSettings, TlsPeer } from "./tls-peers.ts"
import { EchoProgram, freePort, versionOf } from "./tls-program.ts"

const ciphers: Record<number, string> = { 4867: "CHACHA20-POLY1305", 4865: "AES-128-GCM" }

function common({ pki, suite, otherGroupFirst, recordLimit }: PeerSettings, own: "server" | "client"): string[] {
    const { keyFile, chainFile } = pki[own]
    const groups = otherGroupFirst ? "+GROUP-X25519:+GROUP-SECP256R1" : "+GROUP-SECP256R1"
    const priority = `NORMAL:-VERS-ALL:+VERS-TLS1.3:-CIPHER-ALL:+${ciphers[suite]}:-GROUP-ALL:${groups}`
    const words = ["--x509cafile", pki.rootFile, "--x509keyfile", keyFile, "--x509certfile", chainFile]
    return [...words, "--priority", priority, ...(recordLimit ? ["--recordsize", `${recordLimit}`] : [])]
}

async function serve(settings: PeerSettings): Promise<PeerServer> {
    const port = await freePort()
    const words = ["--port", `${port}`, "--echo", "--crlf", "--require-client-cert", "--verify-client-cert"]
    const program = new EchoProgram("gnutls-serv", [...words, ...common(settings, "server")], settings, {}, false)
    await program.until(/listening on IPv4.*done/)
    return { port, stop: () => program.stop(), said: () => program.text }
}

async function call(port: number, settings: PeerSettings): Promise<PeerClient> {
    const words = ["--port", `${port}`, "--sni-hostname", "localhost", "--verify-hostname", "localhost"]
    words.push("--inline-commands", "--single-key-share", ...common(settings, "client"), "127.0.0.1")
    let program: EchoProgram | undefined
    return {
        // It ends a connection and resumes it by the same word, so the second connection comes by itself.
        connect: async () => {
            program ??= new EchoProgram(
                "gnutls-cli",
                words,
                settings,
                { update: "^rekey1^\n", ends: settings.resumes ? ["^resume^\n"] : [] },
                true,
            )
        },
        stop: async () => program?.stop(),
        said: () => program?.text ?? "",
    }
}

/** The command line programs of GnuTLS. They ask for small records by record_size_limit (RFC 8449). */
export const gnutls: TlsPeer = {
    name: "GnuTLS",
    version: versionOf("gnutls-cli", "--version"),
    howToGet: "Debian package gnutls-bin",
    clientAnswersEnd: false,
    serve,
    call,
}
