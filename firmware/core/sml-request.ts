import { closeReq, getProcParameterReq, openReq } from "./sml-messages"
import type { SmlFile } from "./sml-read"
import { OPEN_RES } from "./sml-tables"
import { writeFile } from "./sml-transport"
import { octetsAt } from "./sml-values"

/** A request file for one parameter tree; `requestId` goes into reqFileId and all transaction ids. */
export function parameterRequest(requestId: Buffer, serverId: Buffer | undefined, path: Buffer): Buffer {
    return writeFile([
        openReq(requestId, requestId, requestId, serverId),
        getProcParameterReq(requestId, serverId, [path]),
        closeReq(requestId, undefined),
    ])
}

/** The server id in a file's Open: whom a request is for (empty = whoever hears it), or who sent a response. */
export function serverOf(file: SmlFile): Buffer {
    const open = file.messages[0]
    return octetsAt(file.octets, open.fields[3])
}

/** The reqFileId in a file's Open; a response repeats that of its request. */
export function requestIdOf(file: SmlFile): Buffer {
    return octetsAt(file.octets, file.messages[0].fields[2])
}

/** Is this a response file? */
export function isResponse(file: SmlFile): boolean {
    return file.messages[0].tag === OPEN_RES
}
