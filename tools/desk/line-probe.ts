import { SmlReceiver } from "../../firmware/core/sml-receive.ts"
import type { Rs485Wire, WireTap } from "../chips/rs485-wire.ts"
import type { World } from "../vm/world.ts"

/**
 * The host as master of an RS-485 line: puts request files to the boards that hang on it and hears what comes back,
 * octet for octet. Made for virtual worlds, which run only while an answer is awaited.
 */
export class LineProbe {
    /** All files heard and not yet taken, the oldest first. */
    readonly files: Buffer[] = []
    private readonly tap: WireTap
    private readonly receiver: SmlReceiver

    constructor(
        private readonly world: World,
        wire: Rs485Wire,
    ) {
        this.receiver = new SmlReceiver(
            8192,
            false,
            raw => this.files.push(Buffer.from(raw)),
            () => {},
        )
        this.tap = wire.tap({ onOctets: octets => this.receiver.feed(Buffer.from(octets)) })
    }

    /** Puts octets on the line as they are. */
    send(octets: Uint8Array): void {
        this.tap.send(octets)
    }

    /**
     * Sends a request file and answers the next file that comes, or `undefined` where none comes within `timeoutMs` of
     * world time or `over` says that there is nothing to wait for. What came before is dropped.
     */
    async ask(request: Uint8Array, timeoutMs = 6000, over = () => false): Promise<Buffer | undefined> {
        this.files.length = 0
        this.receiver.timeout()
        this.send(request)
        const until = this.world.elapsedMs() + timeoutMs
        await this.world.runUntil(
            () => this.files.length > 0 || over() || this.world.elapsedMs() >= until,
            timeoutMs + 1000,
        )
        return this.files.shift()
    }
}
