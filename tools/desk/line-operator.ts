import { readFileSync } from "node:fs"
import { join } from "node:path"
import { closeReq, openReq, setProcParameterReq } from "../../firmware/core/sml-messages.ts"
import { certificatesPath, octetsLeaf } from "../../firmware/core/sml-parameter.ts"
import { writeFile } from "../../firmware/core/sml-transport.ts"
import { Brought, bringValues } from "../authority/bring.ts"
import { Signer } from "../authority/signer.ts"
import { serverIdOf } from "../calibrate/station.ts"
import { listMessage, profileMessage } from "../headend/requests.ts"
import { readAttention, readResponse } from "../headend/responses.ts"
import { readPem } from "../pki/pem.ts"
import type { Desk } from "./desk.ts"
import { LineProbe } from "./line-probe.ts"

/** The operator of a PKI's folder: what it asks one device, each question a command in a file of its own. */
export class LineOperator {
    private readonly signer: Signer

    /** `world`: the time the device lives in; `id`: the device's server id. */
    constructor(
        world: { nowMs(): number },
        pki: string,
        private readonly id: Buffer,
    ) {
        const read = (name: string) => readFileSync(join(pki, "operator", name), "utf8")
        const nowSeconds = () => world.nowMs() / 1000
        this.signer = new Signer({ key: read("key.pem"), chain: read("chain.pem"), nowSeconds })
    }

    /** Any request messages. */
    command(requestId: Buffer, ...messages: Buffer[]): Buffer {
        return this.signer.command(this.id, messages, { requestId })
    }

    /** See `listMessage`. */
    list(requestId: Buffer, pagination?: number): Buffer {
        return this.command(requestId, listMessage(requestId, this.id, pagination))
    }

    /** See `profileMessage`. */
    profile(requestId: Buffer, from: number, to: number): Buffer {
        return this.command(requestId, profileMessage(requestId, this.id, from, to))
    }
}

/**
 * Brings the provider of the folder `pki` to all meters of a desk with power, as a MUC would: from then on they obey those whom it
 * has certified. Throws where one refuses.
 */
export async function bringProvider({ world, wire, meters }: Desk, pki: string): Promise<void> {
    const probe = new LineProbe(world, wire)
    const der = (party: string) => readPem(readFileSync(join(pki, party, "cert.pem"), "utf8"))[0].der
    for (const { serial } of meters) {
        const id = Buffer.from(serverIdOf(serial), "hex")
        for (const value of bringValues(Brought.provider, der("security-management"), der("ca-root"))) {
            const set = setProcParameterReq(id, id, [certificatesPath], octetsLeaf(certificatesPath, value))
            const raw = await probe.ask(writeFile([openReq(id, id, id, id), set, closeReq(id, undefined)]), 20_000)
            const came = raw && readAttention(readResponse(raw))
            if (came?.code !== "fd00")
                throw new Error(`meter ${serial} does not take its provider: ${came?.text ?? "no answer"}`)
        }
    }
}
