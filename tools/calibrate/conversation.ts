import { type Call, LinkError, RefusedError } from "./link.ts"

/** Octets of a certificate or answer in one packet (services/*.md). */
const partSize = 192
const attempts = 3

/** Commands of one board's service, asked until they are answered, and what is longer than a packet in parts. */
export class Conversation {
    /** `slow`: commands in which keys are made or used; in software that takes its time on a board. */
    constructor(
        private readonly call: Call,
        private readonly board: string,
        private readonly slow: string[],
    ) {}

    /**
     * Sends a command and answers what follows the code in its report. Throws `RefusedError` for a code, `LinkError`. Jacdac
     * promises no delivery: what is not answered in time is asked again, and no command minds being repeated, but for what is sent `once`.
     */
    async command(
        name: string,
        command: number,
        payload: Uint8Array = Buffer.alloc(0),
        { once = false } = {},
    ): Promise<Buffer> {
        const most = once ? 1 : attempts
        const report = await this.ask(command, payload, this.slow.includes(name) ? 20_000 : 4000, most)
        if (report.length < 4)
            throw new LinkError(`the answer to "${name}" has ${report.length} octets, expected 4 or more`)
        const result = report.readUInt32LE(0)
        if (result !== 0) throw new RefusedError(this.board, name, result)
        return report.subarray(4)
    }

    /** Writes a whole certificate into a slot, by the service's commands "put" and "close". */
    async putCertificate(put: number, close: number, slot: number, der: Uint8Array): Promise<void> {
        await this.putParts(put, slot, der)
        await this.command("close", close, Buffer.from([der.length & 0xff, der.length >> 8, slot]))
    }

    /** Writes octets into a slot in parts; what they are a later command says. */
    async putParts(put: number, slot: number, octets: Uint8Array): Promise<void> {
        for (let offset = 0; offset < octets.length; offset += partSize) {
            const head = Buffer.from([offset & 0xff, offset >> 8, slot])
            await this.command("put", put, Buffer.concat([head, octets.subarray(offset, offset + partSize)]))
        }
    }

    /** Fetches the `length` octets that the last command prepared. */
    async fetch(command: number, length: number): Promise<Buffer> {
        const parts: Buffer[] = []
        for (let offset = 0; offset < length; ) {
            const part = await this.command("fetch", command, Buffer.from([offset & 0xff, offset >> 8]))
            if (part.length === 0)
                throw new LinkError(`the ${this.board}'s answer ended at ${offset} of ${length} octets`)
            parts.push(part)
            offset += part.length
        }
        return Buffer.concat(parts)
    }

    private async ask(command: number, payload: Uint8Array, timeoutMs: number, most: number): Promise<Buffer> {
        for (let attempt = 1; ; ++attempt)
            try {
                const report = await this.call(command, payload, timeoutMs)
                // An answer to the first time of asking may still be under way.
                if (attempt > 1) await new Promise(resolve => setTimeout(resolve, 300))
                return report
            } catch (error) {
                if (attempt === most || !(error instanceof LinkError)) throw error
            }
    }
}

/** The octets of a time for a command: seconds since 1970. */
export function utcOf(at: Date): Buffer {
    const payload = Buffer.alloc(4)
    payload.writeUInt32LE(Math.floor(at.getTime() / 1000))
    return payload
}
