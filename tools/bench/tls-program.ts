import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { createServer } from "node:net"
import { setTimeout as pause } from "node:timers/promises"
import { type PeerSettings, patternLine } from "./tls-peers.ts"

/** First line a program prints about its version; undefined where there is no such program. */
export function versionOf(program: string, ...args: string[]): string | undefined {
    const { error, stdout } = spawnSync(program, args, { encoding: "utf8" })
    return error ? undefined : stdout.split("\n")[0].trim()
}

/** A port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
    const server = createServer()
    await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve))
    const { port } = server.address() as { port: number }
    await new Promise(resolve => server.close(resolve))
    return port
}

/** What a program is told on its standard input in the midst of the lines. */
export interface Orders {
    update?: string
    /** For each time it is to end; its input is closed where there are no more. */
    ends?: string[]
}

/** A program on the console whose lines of the pattern, read from its standard output, are written to its standard input. */
export class EchoProgram {
    readonly child: ChildProcess
    text = ""
    private line = ""
    private lines = 0
    private ends = 0
    private readonly ended: Promise<void>
    private work = Promise.resolve()

    constructor(
        program: string,
        args: string[],
        private readonly settings: PeerSettings,
        private readonly orders: Orders,
        /** Whether the program itself sends nothing back. */
        private readonly echoes: boolean,
    ) {
        this.child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"] })
        this.child.stdin!.on("error", () => {})
        this.child.stdout!.on("data", data => this.take(data))
        this.child.stderr!.on("data", data => {
            this.text += data
        })
        this.ended = new Promise(resolve => this.child.once("close", () => resolve()))
    }

    /** Waits until the program has printed this; answers the match. */
    async until(pattern: RegExp, milliseconds = 60_000): Promise<RegExpMatchArray> {
        const end = performance.now() + milliseconds
        for (;;) {
            const match = this.text.match(pattern)
            if (match) return match
            if (this.child.exitCode !== null || performance.now() > end)
                throw new Error(`${this.child.spawnfile}: no "${pattern.source}" in ${this.text.slice(-1000)}`)
            await pause(5)
        }
    }

    /** Waits for the program's own end. */
    async end(milliseconds = 180_000): Promise<void> {
        const timer = setTimeout(() => this.child.kill("SIGKILL"), milliseconds)
        await this.ended
        clearTimeout(timer)
    }

    async stop(): Promise<void> {
        if (this.child.exitCode === null) this.child.kill("SIGKILL")
        await this.ended
    }

    tell(text: string): void {
        this.child.stdin!.write(text)
    }

    private take(data: Buffer): void {
        this.text += data
        this.line += data.toString("latin1")
        const lines = this.line.split("\n")
        this.line = lines.pop()!
        for (const line of lines) if (patternLine.test(line)) this.work = this.work.then(() => this.answer(line))
    }

    private async answer(line: string): Promise<void> {
        const { updateAfterLines, endAfterLines } = this.settings
        ++this.lines
        if (this.echoes) this.tell(`${line}\n`)
        // gnutls-cli loses what it reads at once beyond one record.
        if (this.echoes && this.settings.recordLimit) await pause(3)
        // Orders count only at the beginning of what is read at once.
        if (this.lines === updateAfterLines && this.orders.update) {
            await pause(30)
            this.tell(this.orders.update)
            await pause(30)
        }
        if (this.lines === endAfterLines) {
            await pause(50)
            this.lines = 0
            const order = this.orders.ends?.[this.ends++]
            if (order) this.tell(order)
            else this.child.stdin!.end()
        }
    }
}
