import { join } from "node:path"
import { Signer } from "../authority/signer.ts"
import type { Answer } from "./connection.ts"
import type { Hub } from "./hub.ts"

/**
 * The signer of this key and chain (PEM), whose counter is kept in `file`, or in `folder` in a file of that key. `nowSeconds`: the devices'
 * time, where that is not the system's.
 */
export function signerIn(
    folder: string,
    { key, chain }: { key: string; chain: string },
    file?: string,
    nowSeconds?: () => number,
): Signer {
    const { id } = new Signer({ key, chain })
    return new Signer({ key, chain, counterFile: file ?? join(folder, `command-counter-${id}.json`), nowSeconds })
}

/** Puts questions that need a right: each is a command of one signer, with a counter of its own each time it is put. */
export class Commander {
    /** Devices that have answered a command of ours, and so know our certificate. */
    private readonly introduced = new Set<string>()

    constructor(
        private readonly hub: Hub,
        private readonly signer: Signer,
    ) {}

    /**
     * `Hub.ask` with the message that `question` makes from transaction id and server id. Until a device has answered the command
     * carries our certificate: also to one that forgot it.
     */
    async ask(
        serverId: string,
        tags: number[],
        question: (transactionId: Buffer, serverId: Buffer) => Buffer,
        source = "",
    ): Promise<Answer & { request: Buffer; muc: string }> {
        const answer = await this.hub.ask(
            serverId,
            tags,
            (requestId, target) => {
                const withCertificate = !this.introduced.delete(serverId)
                const message = question(requestId, target)
                return this.signer.command(target, [message], { requestId, withCertificate })
            },
            source,
        )
        this.introduced.add(serverId)
        return answer
    }
}
