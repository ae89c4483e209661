import "../node/platform.ts"
import { createECDH } from "node:crypto"
import { connect, type Socket } from "node:net"
import { Code, fail } from "../../firmware/core/errors.ts"
import type { KeyAgreement } from "../../firmware/tls/config.ts"
import { Board } from "../vm/board.ts"
import { compile } from "../vm/compile.ts"
import { World } from "../vm/world.ts"
import { Endpoint, Sessions } from "./device/tls-endpoint.ts"
import { readResult, type TlsJob, type TlsOutcome, writeJob } from "./tls-job.ts"

/** Where `firmware/tls` runs, one connection after the other; tickets and sessions outlive a connection. */
export interface TlsRunner {
    readonly where: "VM" | "Node"
    /** Does a job. A client connects to `job.port`; a server needs the socket of its client. */
    run(job: TlsJob, socket?: Socket): Promise<TlsOutcome>
    close(): Promise<void>
}

const patienceMs = 180_000

/** Ephemeral keys by node:crypto. */
export class NodeAgreement implements KeyAgreement {
    private ecdh = createECDH("prime256v1")

    begin(): Buffer {
        return Buffer.from(this.ecdh.generateKeys().subarray(1))
    }

    agree(peer: Buffer): Buffer {
        try {
            return this.ecdh.computeSecret(Buffer.concat([Buffer.of(4), peer]))
        } catch {
            return fail(Code.BadPublicKey, -1, "a point of P-256", "another")
        }
    }
}

/** In this process, over a socket of Node. */
export class NodeRunner implements TlsRunner {
    readonly where = "Node"
    private readonly sessions = new Sessions()

    async run(job: TlsJob, socket = connect(job.port!, "127.0.0.1")): Promise<TlsOutcome> {
        const endpoint = new Endpoint(writeJob(job), new NodeAgreement(), this.sessions)
        socket.setNoDelay(true)
        const flush = () => {
            for (const octets of endpoint.take()) if (!socket.destroyed) socket.write(octets)
        }
        flush()
        await new Promise<void>((resolve, reject) => {
            const timer = setTimeout(() => reject(new Error("the connection goes on and on")), patienceMs)
            const finish = () => {
                clearTimeout(timer)
                resolve()
            }
            socket.on("data", data => {
                try {
                    if (endpoint.done()) return
                    endpoint.feed(Buffer.from(data))
                    flush()
                    if (endpoint.done()) finish()
                } catch (error) {
                    clearTimeout(timer)
                    reject(error)
                }
            })
            socket.on("error", finish)
            socket.on("close", () => {
                if (!endpoint.done()) endpoint.ended()
                finish()
            })
        })
        socket.end()
        return readResult(endpoint.result())
    }

    async close(): Promise<void> {}
}

/** As bytecode in the stock VM: a client on the VM's own socket, a server by calls to the host. */
export class VmRunner implements TlsRunner {
    readonly where = "VM"
    private next: TlsJob | undefined
    private finish: (outcome: TlsOutcome) => void = () => {}
    private readonly input: Buffer[] = []
    private ended = false
    private socket: Socket | undefined

    private constructor(
        readonly world: World,
        readonly board: Board,
    ) {}

    static async open(countSteps = false): Promise<VmRunner> {
        const world = new World()
        const runner: VmRunner = new VmRunner(
            world,
            new Board({
                image: await compile("tools/bench/device/tls.ts"),
                world,
                countSteps,
                onHostCall: (op, _a, octets) => runner.onCall(op, octets),
                onEnd: () => {},
            }),
        )
        await runner.board.powerOn()
        return runner
    }

    async run(job: TlsJob, socket?: Socket): Promise<TlsOutcome> {
        this.input.length = 0
        this.ended = false
        this.socket = socket
        socket?.on("data", data => {
            for (let at = 0; at < data.length; at += 1024) this.input.push(data.subarray(at, at + 1024))
        })
        socket?.on("close", () => {
            this.ended = true
        })
        socket?.on("error", () => {})
        let outcome: TlsOutcome | undefined
        this.finish = each => {
            outcome = each
        }
        this.next = job
        await this.world.runUntil(() => outcome !== undefined || !this.board.powered, patienceMs)
        socket?.end()
        if (!outcome) throw new Error(`the VM ended: ${this.board.log.slice(-8).join(" | ")}`)
        return outcome
    }

    async close(): Promise<void> {
        await this.board.powerOff()
        this.world.close()
    }

    private onCall(op: number, octets: Uint8Array): Uint8Array | undefined {
        if (op === 20) {
            const job = this.next
            this.next = undefined
            return job ? writeJob(job) : Uint8Array.of(0)
        }
        if (op === 21) {
            if (!this.socket?.destroyed) this.socket?.write(Buffer.from(octets))
            return new Uint8Array(0)
        }
        if (op === 22) {
            const piece = this.input.shift()
            if (piece) return Buffer.concat([Buffer.of(1), piece])
            return Uint8Array.of(this.ended ? 2 : 0)
        }
        if (op === 23) {
            this.finish(readResult(octets))
            return new Uint8Array(0)
        }
        return undefined
    }
}
