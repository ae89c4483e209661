import { type ChildProcess, spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { connect, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { requireExtra } from "../extras.ts"

const program = ["/usr/sbin/slapd", "/usr/libexec/slapd"].find(existsSync) ?? ""
const schema = "/etc/ldap/schema/core.schema"

/** OpenLDAP's server and the schema it comes with. */
export function hasSlapd(): boolean {
    return requireExtra("slapd", program !== "" && existsSync(schema), "Debian package slapd")
}

/** OpenLDAP on loopback, ldap and ldaps, in a folder of its own. */
export class Slapd {
    readonly url: string
    readonly tlsUrl: string

    private constructor(
        private readonly folder: string,
        private readonly child: ChildProcess,
        ports: number[],
    ) {
        this.url = `ldap://127.0.0.1:${ports[0]}`
        this.tlsUrl = `ldaps://127.0.0.1:${ports[1]}`
    }

    /** Starts it with the directory party of a PKI folder; clients must have a certificate of its CA. */
    static async start(pki: string, password: string): Promise<Slapd> {
        const folder = mkdtempSync(join(tmpdir(), "plomb-slapd-"))
        mkdirSync(join(folder, "db"))
        const ports = [await freePort(), await freePort()]
        writeFileSync(join(folder, "slapd.conf"), configuration(folder, pki, password))
        const urls = `ldap://127.0.0.1:${ports[0]} ldaps://127.0.0.1:${ports[1]}`
        const child = spawn(program, ["-f", join(folder, "slapd.conf"), "-h", urls, "-d", "config"], {
            stdio: ["ignore", "ignore", "pipe"],
        })
        let said = ""
        child.stderr?.on("data", chunk => {
            said = (said + chunk).slice(-4000)
        })
        for (let i = 0; !(await answers(ports[1])); ++i) {
            if (child.exitCode !== null || i > 200) throw new Error(`slapd does not start: ${said}`)
            await sleep(50)
        }
        return new Slapd(folder, child, ports)
    }

    async stop(): Promise<void> {
        const ended = new Promise(resolve => this.child.once("exit", resolve))
        this.child.kill("SIGTERM")
        await ended
        rmSync(this.folder, { recursive: true })
    }
}

function configuration(folder: string, pki: string, password: string): string {
    const chain = join(folder, "chain.pem")
    writeFileSync(chain, readFileSync(join(pki, "directory", "chain.pem")))
    const module = existsSync("/usr/lib/ldap/back_mdb.so") ? "modulepath /usr/lib/ldap\nmoduleload back_mdb\n" : ""
    return `include ${schema}
pidfile ${folder}/pid
${module}
TLSCACertificateFile ${pki}/ca-root/cert.pem
TLSCertificateFile ${chain}
TLSCertificateKeyFile ${pki}/directory/key.pem
TLSVerifyClient demand
TLSCipherSuite NORMAL:-VERS-ALL:+VERS-TLS1.3

database mdb
suffix "o=plomb"
rootdn "cn=writer,o=plomb"
rootpw "${password}"
directory ${folder}/db
dbnosync
`
}

async function freePort(): Promise<number> {
    const server = createServer()
    await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve))
    const { port } = server.address() as { port: number }
    await new Promise(resolve => server.close(resolve))
    return port
}

function answers(port: number): Promise<boolean> {
    return new Promise(resolve => {
        const socket = connect(port, "127.0.0.1", () => {
            socket.destroy()
            resolve(true)
        })
        socket.once("error", () => resolve(false))
    })
}
