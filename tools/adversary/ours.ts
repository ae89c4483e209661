import { PlombError } from "../../firmware/core/errors.ts"
import type { TlsConnection } from "../../firmware/tls/connection.ts"
import type { Side } from "./pump.ts"

/** A connection of `firmware/tls` as one side; its typed error is kept, any other goes through. */
export class Ours<T extends TlsConnection = TlsConnection> implements Side {
    error: PlombError | undefined
    /** Application data that came. */
    data: Buffer = Buffer.alloc(0)

    constructor(readonly connection: T) {}

    feed(octets: Buffer): void {
        if (this.error) return
        try {
            this.connection.feed(octets)
        } catch (error) {
            if (!(error instanceof PlombError)) throw error
            this.error = error
        }
        for (;;) {
            const came = this.connection.read()
            if (!came) break
            this.data = Buffer.concat([this.data, came])
        }
    }

    take(): Buffer[] {
        return this.connection.output()
    }
}
