import { connect, createServer, type Server, type Socket } from "node:net"

/** How a line breaks. */
export type Break = "reset" | "dark" | "half-open to the caller" | "half-open to the called"

interface Pair {
    caller: Socket
    called: Socket
    /** Octets go nowhere and nobody is told. */
    dark: boolean
}

/** A TCP line that can be broken in the ways that lines break; what comes in after the break goes through again. */
export class BadLine {
    port = 0
    /** Octets carried, both ways. */
    carried = 0
    private readonly server: Server
    private readonly pairs = new Set<Pair>()
    private down = false
    private armed: { after: number; cut(): void } | undefined

    /** `target`: port on this machine where the line ends, asked at each call. */
    constructor(private readonly target: () => number) {
        this.server = createServer(caller => this.join(caller))
    }

    listen(): Promise<void> {
        return new Promise(resolve => {
            this.server.listen(0, "127.0.0.1", () => {
                this.port = (this.server.address() as { port: number }).port
                resolve()
            })
        })
    }

    /** Breaks the line once `octets` more have been carried, or after `withinMs`. */
    breakAfter(octets: number, withinMs: number, how: Break): Promise<void> {
        return new Promise(resolve => {
            const cut = () => {
                clearTimeout(timer)
                this.armed = undefined
                this.break(how)
                resolve()
            }
            const timer = setTimeout(cut, withinMs)
            this.armed = { after: this.carried + octets, cut }
        })
    }

    /** Calls come through again. */
    heal(): void {
        this.down = false
    }

    close(): void {
        this.server.close()
        for (const { caller, called } of this.pairs) {
            caller.destroy()
            called.destroy()
        }
    }

    private break(how: Break): void {
        if (how !== "reset") this.down = how === "dark"
        for (const pair of [...this.pairs]) {
            if (how === "reset") {
                pair.caller.resetAndDestroy()
                pair.called.resetAndDestroy()
                continue
            }
            // From here on these two never hear of each other again.
            pair.dark = true
            if (how === "half-open to the caller") pair.called.resetAndDestroy()
            if (how === "half-open to the called") pair.caller.resetAndDestroy()
        }
    }

    private join(caller: Socket): void {
        const called = connect(this.target(), "127.0.0.1")
        const pair: Pair = { caller, called, dark: this.down }
        this.pairs.add(pair)
        const forward = (from: Socket, to: Socket) => {
            from.on("data", octets => {
                if (pair.dark) return
                const left = this.armed ? this.armed.after - this.carried : octets.length + 1
                this.carried += octets.length
                if (left > octets.length) {
                    to.write(octets)
                    return
                }
                // In the midst of whatever this is.
                to.write(octets.subarray(0, Math.max(0, left)))
                this.armed?.cut()
            })
            from.on("error", () => {})
            from.on("close", () => {
                if (!pair.dark) to.destroy()
                if (from.destroyed && to.destroyed) this.pairs.delete(pair)
            })
        }
        forward(caller, called)
        forward(called, caller)
    }
}
