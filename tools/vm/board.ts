import { randomFillSync } from "node:crypto"
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import type { Image } from "./compile.ts"
import { type HeapFigure, heapOf } from "./heap.ts"
import { answerHypercall, hypercallHost, isHypercall, Op, type Reply } from "./hypercall.ts"
import { panicMeaning } from "./panic.ts"
import { BoardSocket } from "./socket.ts"
import { mapStackLine } from "./stack.ts"
import { Rebooted, Wasm } from "./wasm.ts"
import { type Timer, World } from "./world.ts"

/** What a board needs of a bus of chip models; `I2cBusModel` of tools/chips is one. */
export interface BoardBus {
    /** One transaction: status 0, or -1 address, -2 data not acknowledged, -3 bus stuck. */
    transfer(address: number, write: Uint8Array, readLength: number): { status: number; data: Uint8Array }
    /** Milliseconds the wire was busy so far: in a virtual world each transfer takes its time. */
    readonly busyMs?: number
}

/** A part that shares the board's supply; every `I2cDevice` of tools/chips is one. */
export interface PoweredPart {
    powerOff(): void
    powerOn(): void
}

/** How a board came to stand still. */
export interface BoardEnd {
    /**
     * off: `powerOff`; panic: the VM's, see `code`; restart: the program called `ds.restart()`; reboot:
     * `ds.reboot()`; cut: the power was cut by a chip model or at the step limit; fault: host code threw.
     */
    reason: "off" | "panic" | "restart" | "reboot" | "cut" | "fault"
    /** The panic's code. */
    code?: number
    message: string
    /** Host errors only. */
    cause?: unknown
}

/** A board ended and nobody was watching. */
export class BoardError extends Error {
    constructor(
        board: Board,
        readonly end: BoardEnd,
    ) {
        super(`board ${board.deviceId}: ${end.message}\n${board.log.slice(-12).join("\n")}`, { cause: end.cause })
        this.name = "BoardError"
    }
}

export interface BoardOptions {
    image: Image
    /** 16 hex digits; one more than the last board of this process by default. */
    deviceId?: string
    bus?: BoardBus
    /** The part on the SPI bus; a `W5500` of tools/chips is one. */
    spi?: { transfer(write: Uint8Array, readLength: number): Uint8Array }
    /** Parts that lose and get their supply with the board. */
    parts?: PoweredPart[]
    /** File that holds the flash (program and settings); kept in memory over power cycles by default. */
    flash?: string
    /** Octets of flash: 128 KB by default, as on a Pico. */
    flashSize?: number
    /** What `VmSettings` reads. */
    settings?: Record<string, string>
    /** Level of an input pin, 0 or 1; 0 by default. */
    gpio?(pin: number): number
    world?: World
    /** Each line of `log` as it comes. */
    onLog?(line: string): void
    /** Answers hypercalls 16 to 255; `undefined` = status -1. */
    onHostCall?(op: number, a: number, write: Uint8Array): Uint8Array | undefined
    /** The board ended, however; whoever gives this is taken to watch. */
    onEnd?(end: BoardEnd): void
    /** Go on after a restart (1 s later) or a panic (5 s later), as a real board does; they are still told to `onEnd`. */
    restart?: boolean
    /** Count bytecode steps (`steps`); costs a tenth of the speed. */
    countSteps?: boolean
    /** Cut the power after this many bytecode steps since power-on. */
    cutAtStep?: number
    /**
     * Real milliseconds a program may run without letting the host have its turn or calling it; then the board ends as
     * a fault. 120,000 by default. (A loop around `sleep(0)` does that: it never meets the VM's own step limit.)
     */
    stuckMs?: number
    /** Source of the board's randomness; the system's by default. */
    random?(target: Uint8Array): void
}

/** Virtual milliseconds between two looks at the clock by the VM: keeps loops that wait by looking from standing still. */
const lookMs = 0.001
/**
 * Virtual worlds: what a board's clock shows of its bus transfers before the world gives it its next turn. With all of it, while
 * fibers keep the bus busy, one after the other would be due, and what others did in all that time would reach this board too late.
 */
const mostBusMs = 10

/** From power to the first instruction. */
const bootMs = 10

let boardCount = 0

/** One board: an instance of the stock VM with flash, bus, socket and Jacdac link. */
export class Board {
    readonly deviceId: string
    readonly world: World
    /** What the program printed, and the VM's reports, with source positions. */
    readonly log: string[] = []
    /** How the last run ended by itself, where it was a panic. */
    panic: { code: number; message: string } | undefined
    /** Gets each Jacdac frame the board sends. Do not call into the board from there: `world.after(0, …)`. */
    onFrame?: (frame: Uint8Array) => void
    private readonly socket: BoardSocket
    private image: Image
    private flash: Uint8Array | undefined
    private wasm: Wasm | undefined
    private timer: Timer | undefined
    private pending: BoardEnd | undefined
    private running = false
    private kicked = false
    /** Time that its bus took since the world gave it its turn. */
    private busMs = 0
    /** World time up to which its work has gone already: boards work at the same time, but have their turns one after the other. */
    private untilMs = 0
    private stuckAt = 0
    private watched = false
    private lastSteps = 0
    private readonly frames: Uint8Array[] = []
    private resolveEnd: (end: BoardEnd) => void = () => {}
    private endPromise: Promise<BoardEnd> = Promise.resolve({ reason: "off", message: "never powered" })

    constructor(private readonly options: BoardOptions) {
        this.deviceId = options.deviceId ?? "504c4d42" + (++boardCount).toString(16).padStart(8, "0")
        this.world = options.world ?? new World()
        this.watched = options.onEnd !== undefined
        this.image = options.image
        this.socket = new BoardSocket(this.world, () => this.kick())
        if (options.flash && existsSync(options.flash)) this.flash = readFileSync(options.flash)
    }

    get powered(): boolean {
        return this.wasm !== undefined
    }

    /** Bytecode steps since power-on, of the last run once it is over. Needs `countSteps` or `cutAtStep`. */
    get steps(): number {
        const counting = this.options.countSteps === true || this.options.cutAtStep !== undefined
        if (!counting) throw new Error("this board does not count steps (countSteps)")
        return this.wasm?.steps ?? this.lastSteps
    }

    /** Free heap of the running program after a full collection; exact. `undefined` before it has started. */
    heap(): HeapFigure | undefined {
        if (!this.wasm) throw new Error(`board ${this.deviceId} is off`)
        return heapOf(this.wasm)
    }

    /** Resolves when the board stands still, for whatever reason; asking for it counts as watching. */
    get exited(): Promise<BoardEnd> {
        this.watched = true
        return this.endPromise
    }

    /** Applies power: a fresh VM with the flash as it was; the program starts as soon as the world runs. */
    async powerOn(): Promise<void> {
        if (this.wasm) throw new Error(`board ${this.deviceId} is on`)
        this.panic = undefined
        this.pending = undefined
        this.endPromise = new Promise(resolve => {
            this.resolveEnd = resolve
        })
        const { cutAtStep } = this.options
        const counting = this.options.countSteps === true || cutAtStep !== undefined
        const wasm = await Wasm.create(
            {
                now: () => this.now(),
                random: target => (this.options.random ?? randomFillSync)(target),
                log: line => this.print(line),
                panic: code => this.onPanic(code),
                frame: frame => this.onFrame?.(frame),
                flashSize: this.options.flashSize ?? 128 * 1024,
                flashLoad: target => {
                    if (this.flash) target.set(this.flash.subarray(0, target.length))
                },
                flashSave: octets => this.saveFlash(octets),
                socketOpen: (host, port) => (host === hypercallHost ? 0 : this.socket.open(host, port)),
                socketWrite: octets => this.socketWrite(octets),
                socketClose: () => this.socket.close(),
            },
            counting,
        )
        if (cutAtStep !== undefined) wasm.limitSteps(cutAtStep)
        for (const part of this.options.parts ?? []) part.powerOn()
        this.wasm = wasm
        wasm.setDeviceId(this.deviceId)
        wasm.init()
        const refused = wasm.deploy(this.image.bytecode)
        if (refused !== 0) {
            this.end({ reason: "fault", message: `the VM refused the image (${refused})` })
            return
        }
        // Not at once: in the first millisecond of its clock the VM takes a wake-up time for "none".
        this.timer = this.world.after(bootMs, () => this.run())
    }

    /** Puts another program on the board, from the next start on; settings stay, and what the parts keep. */
    program(image: Image): void {
        this.image = image
    }

    /** Takes the power away, wherever the program is. Nothing is told to the program. */
    async powerOff(): Promise<void> {
        if (this.wasm) this.end({ reason: "off", message: "powered off" })
    }

    /** One Jacdac frame for the board; it sees it as soon as the world runs. */
    receiveFrame(frame: Uint8Array): void {
        // Nobody hears a frame without power; kept, it would strike the program after the next start.
        if (!this.wasm) return
        this.frames.push(frame)
        this.kick()
    }

    /** Has the VM run as soon as the world does. */
    private kick(): void {
        this.kicked = true
        if (!this.wasm || this.running) return
        this.timer?.cancel()
        this.timer = this.world.after(this.untilMs - this.world.elapsedMs(), () => this.run())
    }

    private run(): void {
        const wasm = this.wasm
        if (!wasm) return
        this.timer = undefined
        let waitMs: number | undefined
        const tookMs = this.world.aside(() => {
            waitMs = this.turn(wasm)
        })
        this.untilMs = this.world.elapsedMs() + tookMs
        if (waitMs !== undefined) this.timer = this.world.after(tookMs + waitMs, () => this.run())
    }

    /** Milliseconds until the program wants its next turn; undefined where it has ended. */
    private turn(wasm: Wasm): number | undefined {
        this.running = true
        this.busMs = 0
        this.stillAlive()
        this.kicked = false
        let waitMs = 0
        try {
            for (const frame of this.frames.splice(0)) wasm.frameReceived(frame)
            const event = this.socket.take()
            if (event) wasm.socketEvent(event.kind, event.data)
            waitMs = wasm.process() / 1000
            if (event || this.kicked) waitMs = 0
        } catch (error) {
            this.running = false
            this.end(this.explain(error))
            return undefined
        }
        this.running = false
        const pending = this.pending
        this.pending = undefined
        if (pending) {
            if (!this.options.restart) {
                this.end(pending)
                return undefined
            }
            this.options.onEnd?.(pending)
        }
        return Math.max(0, waitMs - this.hiddenMs())
    }

    /** Time of its bus that the program does not see yet. */
    private hiddenMs(): number {
        return Math.max(0, this.busMs - mostBusMs)
    }

    private now(): number {
        if (this.running && performance.now() > this.stuckAt)
            throw new Error("the program runs on and on without letting the host have its turn")
        if (!this.world.virtual || !this.running) return this.world.elapsedMs()
        this.world.spend(lookMs)
        return this.world.elapsedMs() - this.hiddenMs()
    }

    private socketWrite(octets: Uint8Array): number {
        if (!isHypercall(octets)) return this.socket.write(octets)
        answerHypercall(octets, (op, a, write, readLength) => this.answer(op, a, write, readLength))
        return 0
    }

    private stillAlive(): void {
        this.stuckAt = performance.now() + (this.options.stuckMs ?? 120_000)
    }

    private answer(op: number, a: number, write: Uint8Array, readLength: number): Reply {
        const none = new Uint8Array(0)
        this.stillAlive()
        switch (op) {
            case Op.i2c: {
                const bus = this.options.bus
                if (!bus) return { status: -1, data: none }
                const busyMs = bus.busyMs ?? 0
                const reply = bus.transfer(a, write, readLength)
                if (this.world.virtual) {
                    const tookMs = (bus.busyMs ?? 0) - busyMs
                    this.busMs += tookMs
                    this.world.spend(tookMs)
                }
                return reply
            }
            case Op.setting: {
                const value = this.options.settings?.[Buffer.from(write).toString("utf8")]
                return { status: 0, data: Buffer.from(value ?? "", "utf8") }
            }
            case Op.spi: {
                const spi = this.options.spi
                return spi ? { status: 0, data: spi.transfer(write, readLength) } : { status: -1, data: none }
            }
            case Op.gpio:
                return { status: 0, data: Uint8Array.of(this.options.gpio?.(a) ? 1 : 0) }
            default: {
                const data = op >= Op.firstFree ? this.options.onHostCall?.(op, a, write) : undefined
                return data ? { status: 0, data } : { status: -1, data: none }
            }
        }
    }

    private print(line: string): void {
        const match = /^\s*([*!?>#]) (.*)$/s.exec(line)
        if (!match) return
        const [, marker, raw] = match
        const text = mapStackLine(this.image.debug, raw)
        const shown = marker === ">" ? text : marker + " " + text
        this.log.push(shown)
        this.options.onLog?.(shown)
    }

    private onPanic(code: number): void {
        if (code === 0) {
            this.pending = { reason: "restart", message: "the program restarted itself" }
            return
        }
        const message = `panic ${code}: ${panicMeaning(code)}`
        this.panic = { code, message }
        this.pending = { reason: "panic", code, message }
    }

    private explain(error: unknown): BoardEnd {
        if (error instanceof Rebooted) return { reason: "reboot", message: error.message }
        const message = error instanceof Error ? error.message : String(error)
        // The step counter's trap; the VM itself ends in asserts, never in a bare trap at exactly the limit.
        const { cutAtStep } = this.options
        if (error instanceof WebAssembly.RuntimeError && cutAtStep !== undefined && this.steps > cutAtStep)
            return { reason: "cut", message: `the power was cut after ${cutAtStep} steps` }
        if (error instanceof Error && error.name === "PowerCut") return { reason: "cut", message }
        return { reason: "fault", message, cause: error }
    }

    private end(end: BoardEnd): void {
        const counting = this.options.countSteps === true || this.options.cutAtStep !== undefined
        if (counting && this.wasm)
            this.lastSteps = Math.min(this.wasm.steps, this.options.cutAtStep ?? Number.POSITIVE_INFINITY)
        this.wasm = undefined
        this.timer?.cancel()
        this.timer = undefined
        this.frames.length = 0
        this.socket.drop()
        for (const part of this.options.parts ?? []) part.powerOff()
        this.options.onEnd?.(end)
        this.resolveEnd(end)
        if (!this.watched && end.reason !== "off" && end.reason !== "cut") {
            const error = new BoardError(this, end)
            this.world.noteFailure(error)
        }
    }

    private saveFlash(octets: Uint8Array): void {
        this.flash = octets
        const file = this.options.flash
        if (!file) return
        // A power cut of the host leaves the old file or the new one, never half of one.
        writeFileSync(file + ".new", octets)
        renameSync(file + ".new", file)
    }
}
