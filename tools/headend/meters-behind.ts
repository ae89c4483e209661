import { randomBytes } from "node:crypto"
import { closeReq, getProcParameterReq, openReq } from "../../firmware/core/sml-messages.ts"
import { writeFile } from "../../firmware/core/sml-transport.ts"
import type { Answer } from "./connection.ts"
import { ExchangeError, treeChildren } from "./responses.ts"

/** Path of a concentrator's tree of who is behind it: one child a meter or MUC, named by its server id, value the MUC's. */
export const behindPath = Buffer.from("8181c7f101ff", "hex")
const mostPages = 1000

/** Asks a concentrator `id` (hex) for those whose server id comes after `after`, in the order of the ids. */
export function behindRequest(requestId: Buffer, id: string, after: Buffer): Buffer {
    const server = Buffer.from(id, "hex")
    const path = after.length > 0 ? [behindPath, after] : [behindPath]
    return writeFile([
        openReq(requestId, requestId, requestId, server),
        getProcParameterReq(requestId, server, path),
        closeReq(requestId, undefined),
    ])
}

/** Everybody behind a concentrator, page by page: server id and MUC, in hex. */
export async function metersBehind(
    id: string,
    exchange: (request: Buffer, requestId: Buffer) => Promise<Answer>,
): Promise<[string, string][]> {
    const found: [string, string][] = []
    let after: Buffer = Buffer.alloc(0)
    for (let page = 0; page < mostPages; ++page) {
        const requestId = randomBytes(8)
        const { response } = await exchange(behindRequest(requestId, id, after), requestId)
        const children = treeChildren(response)
        for (const { name, value } of children) {
            if (name.length < 5 || name.length > 20 || Buffer.compare(name, after) <= 0)
                throw new ExchangeError("damaged", "the list of meters is out of order")
            found.push([name.toString("hex"), value.toString("hex")])
            after = name
        }
        if (children.length === 0) return found
    }
    throw new ExchangeError("damaged", `a list of more than ${mostPages} pages`)
}
