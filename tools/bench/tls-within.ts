import "../node/platform.ts"
import { pump, type Side } from "../adversary/pump.ts"
import { Board } from "../vm/board.ts"
import { compile } from "../vm/compile.ts"
import type { HeapFigure } from "../vm/heap.ts"
import { World } from "../vm/world.ts"
import { Endpoint, Sessions } from "./device/tls-endpoint.ts"
import { readResult, type TlsJob, type TlsOutcome, writeJob } from "./tls-job.ts"
import { NodeAgreement } from "./tls-runner.ts"

/** `firmware/tls` against a peer in this process, without a network. */
export interface TlsWithin {
    /** Does a job; what neither side answers any more counts as the end of the transport. */
    run(job: TlsJob, peer: Side): Promise<TlsOutcome>
    close(): Promise<void>
}

/** In Node. */
export class NodeWithin implements TlsWithin {
    readonly sessions = new Sessions()

    async run(job: TlsJob, peer: Side): Promise<TlsOutcome> {
        const endpoint = new Endpoint(writeJob(job), new NodeAgreement(), this.sessions)
        const ours: Side = { take: () => endpoint.take(), feed: octets => !endpoint.done() && endpoint.feed(octets) }
        pump(ours, peer)
        if (!endpoint.done()) endpoint.ended()
        return readResult(endpoint.result())
    }

    async close(): Promise<void> {}
}

/** As bytecode in the stock VM, in a virtual world. */
export class VmWithin implements TlsWithin {
    private next: TlsJob | undefined
    private peer: Side | undefined
    private outcome: TlsOutcome | undefined
    private readonly input: Buffer[] = []
    private startSteps = 0
    /** Bytecode steps of the job done last. */
    steps = 0
    /** Octets that came from the VM and went to it in that job. */
    sent = 0
    received = 0
    /** Called at each exchange of octets: the VM is within a call then. */
    onExchange: () => void = () => {}

    private constructor(
        readonly world: World,
        readonly board: Board,
        private readonly counts: boolean,
    ) {}

    static async open(countSteps = false): Promise<VmWithin> {
        const world = new World({ clock: "virtual" })
        const within: VmWithin = new VmWithin(
            world,
            new Board({
                image: await compile("tools/bench/device/tls.ts"),
                world,
                countSteps,
                onHostCall: (op, _a, octets) => within.onCall(op, octets),
                onEnd: () => {},
            }),
            countSteps,
        )
        await within.board.powerOn()
        return within
    }

    async run(job: TlsJob, peer: Side): Promise<TlsOutcome> {
        this.input.length = 0
        this.peer = peer
        this.outcome = undefined
        this.next = job
        this.sent = 0
        this.received = 0
        await this.world.runUntil(() => this.outcome !== undefined || !this.board.powered, 600_000)
        const { outcome, board } = this
        if (outcome) return outcome
        const why = board.panic?.message ?? "it ended"
        const log = board.log.slice(-4).join(" | ")
        await board.powerOff()
        await board.powerOn()
        throw new Error(`${why}: ${log}`)
    }

    /** Free heap between two jobs. */
    async heap(): Promise<HeapFigure> {
        await this.world.runFor(20)
        return this.board.heap()!
    }

    async close(): Promise<void> {
        await this.board.powerOff()
        this.world.close()
    }

    private onCall(op: number, octets: Uint8Array): Uint8Array | undefined {
        const { peer } = this
        if (op === 20) {
            const job = this.next
            this.next = undefined
            if (this.counts) this.startSteps = this.board.steps
            return job ? writeJob(job) : Uint8Array.of(0)
        }
        if (op === 21) {
            this.sent += octets.length
            peer?.feed(Buffer.from(octets))
            this.onExchange()
            return new Uint8Array(0)
        }
        if (op === 22) {
            for (const each of peer?.take() ?? [])
                for (let at = 0; at < each.length; at += 1024) this.input.push(each.subarray(at, at + 1024))
            const piece = this.input.shift()
            this.received += piece?.length ?? 0
            return piece ? Buffer.concat([Buffer.of(1), piece]) : Uint8Array.of(2)
        }
        if (op === 23) {
            if (this.counts) this.steps = this.board.steps - this.startSteps
            this.outcome = readResult(octets)
            return new Uint8Array(0)
        }
        return undefined
    }
}
