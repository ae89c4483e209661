import { spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { connect, createServer, type Server, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as tls from "node:tls"
import { openMuc } from "../commission/boards.ts"
import { kind, passwordVerifier, type Secret } from "../commission/secrets.ts"
import { broughtByHand, commissionMuc, mucCertifierOf } from "../commission/station.ts"
import { layOutCalibrated } from "../desk/calibrated.ts"
import { Desk, mucServerId } from "../desk/desk.ts"
import { issueWithKey } from "../pki/issue.ts"
import { tlsProfile } from "../tls/server.ts"
import { elementTimeMs } from "./element.ts"

const serial = 4711
const elementAddress = 0x60
const patienceMs = 600_000

/** What a handshake of the MUC came to. */
export interface MucHandshake {
    /** Bytecode steps of the whole board between TCP connection and open. */
    steps: number
    busMs: number
    /** The element's commands, each at its longest. */
    elementMs: number
    commands: number
    /** Least free heap at any command of the element. */
    free: number
    octetsSent: number
    octetsReceived: number
}

export interface MucFigures {
    /** With a server whose chain was never judged, or before the lists that are held now. */
    full: MucHandshake
    /** A full one with a server whose chain was judged before. */
    again: MucHandshake
    /** The same as the first after a restart. */
    booted: MucHandshake
    resumed: MucHandshake
    /** Free heap when it is open and idle. */
    idleFree: number
    /** Octets of OpenSSL's client at the same server: sent, received. */
    openssl: { full: [number, number]; resumed: [number, number] } | undefined
}

/** A TLS server whose octets are counted. */
class Counted {
    port = 0
    up = 0
    down = 0
    onArrival: () => void = () => {}
    private readonly sockets = new Set<Socket>()
    private proxy: Server | undefined
    private server: tls.Server | undefined

    async listen(pki: string): Promise<void> {
        const read = (...words: string[]) => readFileSync(join(pki, ...words), "utf8")
        const server = tls.createServer(
            {
                ...tlsProfile,
                key: read("operator", "key.pem"),
                cert: read("operator", "chain.pem"),
                ca: read("ca-root", "cert.pem"),
                requestCert: true,
                rejectUnauthorized: true,
                ticketKeys: randomBytes(48),
            },
            socket => {
                socket.setMaxSendFragment(1024)
                socket.on("error", () => {})
            },
        )
        this.server = server
        const inner = await new Promise<number>(resolve =>
            server.listen(0, "127.0.0.1", () => resolve((server.address() as { port: number }).port)),
        )
        const proxy = createServer({ noDelay: true }, socket => {
            this.up = 0
            this.down = 0
            this.onArrival()
            const peer = connect(inner, "127.0.0.1")
            peer.setNoDelay(true)
            for (const each of [socket, peer]) {
                each.on("error", () => {})
                this.sockets.add(each)
            }
            socket.on("data", data => {
                this.up += data.length
                peer.write(data)
            })
            peer.on("data", data => {
                this.down += data.length
                socket.write(data)
            })
            socket.on("close", () => peer.destroy())
            peer.on("close", () => socket.end())
        })
        this.proxy = proxy
        this.port = await new Promise<number>(resolve =>
            proxy.listen(0, "127.0.0.1", () => resolve((proxy.address() as { port: number }).port)),
        )
    }

    /** Takes no ticket given out so far. */
    forget(): void {
        this.server?.setTicketKeys(randomBytes(48))
    }

    drop(): void {
        for (const each of this.sockets) each.destroy()
        this.sockets.clear()
    }

    close(): void {
        this.drop()
        this.proxy?.close()
        this.server?.close()
    }
}

/** The secrets without which installation is not over. */
function secrets(): Secret[] {
    const secret = (name: string, of: number, value: Buffer): Secret => ({
        key: { kind: of, address: "" },
        name,
        value: () => Buffer.from(value),
    })
    return [
        secret("KEY1PLC", kind.key1Plc, randomBytes(32)),
        secret("KEY2PLC", kind.key2Plc, randomBytes(32)),
        secret("the password's verifier", kind.password, passwordVerifier("a long password")),
    ]
}

async function commission(pki: string, state: string): Promise<void> {
    const { muc, close } = await openMuc("vm", state)
    try {
        await commissionMuc({
            muc,
            hardware: "plomb-muc-1",
            certifier: mucCertifierOf(pki),
            installation: () => ({ secrets: secrets(), ...broughtByHand(pki) }),
            now: () => new Date(),
            onStep: () => {},
            remember: () => {},
        })
    } finally {
        await close()
    }
}

/** Octets that `openssl s_client` sends and gets for a handshake at this server; undefined where there is none. */
async function opensslOctets(server: Counted, pki: string, folder: string, words: string[]): Promise<[number, number]> {
    const child = spawn(
        "openssl",
        [
            ...["s_client", "-connect", `127.0.0.1:${server.port}`, "-tls1_3", "-groups", "P-256", "-noservername"],
            ...["-key", join(folder, "key.pem"), "-cert", join(folder, "chain.pem")],
            ...["-cert_chain", join(pki, "manufacturer", "cert.pem"), "-CAfile", join(pki, "ca-root", "cert.pem")],
            ...words,
        ],
        { stdio: ["pipe", "ignore", "ignore"] },
    )
    const ended = new Promise<boolean>(resolve => {
        child.on("error", () => resolve(false))
        child.on("close", () => resolve(true))
    })
    let last = -1
    for (let i = 0; i < 100 && (server.up === 0 || last !== server.up + server.down); ++i) {
        last = server.up + server.down
        await Promise.race([ended, new Promise(resolve => setTimeout(resolve, 300))])
    }
    const came: [number, number] = [server.up, server.down]
    child.stdin?.end("Q\n")
    if (!(await ended)) throw new Error("there is no openssl")
    return came
}

async function measure(folder: string): Promise<MucFigures> {
    const pki = join(folder, "pki")
    const state = join(folder, "state")
    await layOutCalibrated(folder, [serial])
    await commission(pki, state)
    const server = new Counted()
    await server.listen(pki)
    const desk = await Desk.open({
        serials: [serial],
        state,
        clock: "virtual",
        startMs: Date.now(),
        // What the world's clock does while the server computes is no part of the figures.
        patienceMs: 1500,
        countSteps: true,
    })
    try {
        await desk.start()
        await desk.startMuc({ uplink: `127.0.0.1:${server.port}` })
        const { board, bench } = desk.muc!
        let elementMs = 0
        let commands = 0
        let free = Number.POSITIVE_INFINITY
        let shaking = false
        bench.bus.onTransaction = transaction => {
            const ms = elementTimeMs(transaction)
            elementMs += ms
            if (ms > 0) ++commands
            if (shaking && transaction.address === elementAddress)
                free = Math.min(free, board.heap()?.free ?? Number.POSITIVE_INFINITY)
        }
        const now = () => ({ steps: board.steps, busMs: bench.bus.busyMs, elementMs, commands })
        let from = now()
        server.onArrival = () => {
            shaking = true
            free = Number.POSITIVE_INFINITY
            from = now()
        }
        const opened = async (word: string): Promise<MucHandshake> => {
            const logged = board.log.length
            await desk.world.runUntil(
                () => board.log.slice(logged).some(line => line.startsWith("uplink") && line.endsWith(` ${word}`)),
                patienceMs,
            )
            shaking = false
            const end = now()
            await desk.world.runFor(2000)
            return {
                steps: end.steps - from.steps,
                busMs: end.busMs - from.busMs,
                elementMs: end.elementMs - from.elementMs,
                commands: end.commands - from.commands,
                free,
                octetsSent: server.up,
                octetsReceived: server.down,
            }
        }
        const full = await opened("open")
        const idleFree = board.heap()!.free
        const dropped = opened("resumed")
        server.drop()
        const resumed = await dropped
        const forgotten = opened("open")
        server.forget()
        server.drop()
        const again = await forgotten
        server.drop()
        await board.powerOff()
        await board.powerOn()
        const booted = await opened("open")
        server.onArrival = () => {}
        await board.powerOff()
        const { folder: other } = await issueWithKey(pki, "muc", mucServerId(99))
        const session = join(folder, "session.pem")
        const openssl = await (async () => {
            try {
                return {
                    full: await opensslOctets(server, pki, other, ["-sess_out", session]),
                    resumed: await opensslOctets(server, pki, other, ["-sess_in", session]),
                }
            } catch {
                return undefined
            }
        })()
        return { full, again, booted, resumed, idleFree, openssl }
    } finally {
        server.close()
        await desk.close()
    }
}

/** A commissioned MUC with its meter calls a server in node:tls; a broken connection is made again by resumption. */
export async function measureMuc(): Promise<MucFigures> {
    const folder = mkdtempSync(join(tmpdir(), "plomb-perf-"))
    try {
        return await measure(folder)
    } finally {
        rmSync(folder, { recursive: true, force: true })
    }
}
