import { type ChildProcess, spawn } from "node:child_process"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { checkout } from "../build/build.ts"

const alive = new Set<ChildProcess>()

/** Whatever ends this process ends them too. */
function killAll(): void {
    for (const child of alive) child.kill("SIGKILL")
}

function watch(): void {
    if (process.listeners("exit").includes(killAll)) return
    process.on("exit", killAll)
    for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1))
}

/** A plomb command in a process of its own, which can be killed and started again. */
export class Service {
    /** Where it listens, while it does. */
    port = 0
    /** The last lines of its log. */
    readonly log: string[] = []
    private child: ChildProcess | undefined
    private ended: Promise<void> = Promise.resolve()

    /** `onLine` gets each line of its standard output. */
    constructor(
        private readonly words: string[],
        private readonly onLine: (line: string) => void,
    ) {}

    /** Resolves when it listens; rejects when it ends before. */
    start(): Promise<void> {
        const child = spawn(process.execPath, [join(checkout, "tools", "plomb.mjs"), ...this.words], {
            stdio: ["ignore", "pipe", "pipe"],
        })
        this.child = child
        watch()
        alive.add(child)
        createInterface(child.stdout!).on("line", line => {
            if (this.child === child) this.onLine(line)
        })
        this.ended = new Promise(resolve =>
            child.once("close", () => {
                alive.delete(child)
                resolve()
            }),
        )
        return new Promise((resolve, reject) => {
            createInterface(child.stderr!).on("line", line => {
                this.log.push(line)
                if (this.log.length > 200) this.log.shift()
                const port = /(?:listening on \S+|ldaps:\/\/\S+):(\d+)(?:$|,)/.exec(line)?.[1]
                if (!port) return
                this.port = Number(port)
                resolve()
            })
            child.once("close", code =>
                reject(new Error(`plomb ${this.words[0]} ended with ${code}: ${this.log.pop()}`)),
            )
        })
    }

    /** SIGKILL: nothing is said, nothing is closed. Lines it had written still come in. */
    async kill(): Promise<void> {
        this.child?.kill("SIGKILL")
        await this.ended
    }
}
