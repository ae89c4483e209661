import { join } from "node:path"
import type { PeerClient, PeerServer, PeerSettings, TlsPeer } from "./tls-peers.ts"
import { EchoProgram, versionOf } from "./tls-program.ts"

const suites: Record<number, string> = { 4867: "TLS_CHACHA20_POLY1305_SHA256", 4865: "TLS_AES_128_GCM_SHA256" }

function common({ pki, suite }: PeerSettings, own: "server" | "client"): string[] {
    const { keyFile, chainFile, issuersFile } = pki[own]
    const words = ["-tls1_3", "-ciphersuites", suites[suite], "-key", keyFile, "-cert", chainFile]
    return [...words, "-cert_chain", issuersFile, "-CAfile", pki.rootFile, "-verify_return_error"]
}

async function serve(settings: PeerSettings): Promise<PeerServer> {
    const words = ["s_server", "-accept", "127.0.0.1:0", ...common(settings, "server"), "-Verify", "3"]
    const groups = settings.otherGroupFirst ? "X25519:P-256" : "P-256"
    if (settings.cookie) words.push("-stateless")
    const program = new EchoProgram(
        "openssl",
        [...words, "-groups", groups, "-num_tickets", "1"],
        settings,
        { update: "K\n", ends: ["q\n"] },
        true,
    )
    const [, port] = await program.until(/ACCEPT 127\.0\.0\.1:(\d+)/)
    return { port: Number(port), stop: () => program.stop(), said: () => program.text }
}

async function call(port: number, settings: PeerSettings): Promise<PeerClient> {
    let said = ""
    let count = 0
    let running: EchoProgram | undefined
    const session = join(settings.pki.folder, `session-${port}.pem`)
    return {
        connect: async () => {
            const words = ["s_client", "-connect", `127.0.0.1:${port}`, ...common(settings, "client")]
            words.push("-servername", "localhost", "-verify_hostname", "localhost")
            words.push("-groups", settings.otherGroupFirst ? "X25519:P-256" : "P-256", "-sess_out", session)
            if (count++ > 0) words.push("-sess_in", session)
            if (settings.recordLimit) words.push("-maxfraglen", `${settings.recordLimit}`)
            running = new EchoProgram("openssl", words, settings, { update: "K\n", ends: ["Q\n"] }, true)
            await running.end()
            said += running.text
        },
        stop: async () => running?.stop(),
        said: () => said,
    }
}

/** The command line programs of OpenSSL. A client asks for small records by max_fragment_length (RFC 6066). */
export const openssl: TlsPeer = {
    name: "OpenSSL",
    version: versionOf("openssl", "version"),
    howToGet: "Debian package openssl",
    clientAnswersEnd: true,
    serve,
    call,
}
