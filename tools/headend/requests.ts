import { CURRENT_DATA, LOAD_PROFILE } from "../../firmware/core/signed-list.ts"
import { closeReq, getListReq, openReq } from "../../firmware/core/sml-messages.ts"
import { activeMetersPath, certificateChainPath, inventoryPath } from "../../firmware/core/sml-parameter.ts"
import { parameterRequest } from "../../firmware/core/sml-request.ts"
import { GET_PROFILE_LIST_REQ } from "../../firmware/core/sml-tables.ts"
import { writeFile } from "../../firmware/core/sml-transport.ts"
import { writeMessage } from "../../firmware/core/sml-write.ts"

/**
 * What a head-end asks: files that need no signature, and the messages of those that do (`commander.ts`). `requestId` (1 to 255
 * octets) comes back in the answer's reqFileId.
 */

const clientId = Buffer.from("headend")
const storedListName = Buffer.from("8181c7f002ff", "hex")

function file(requestId: Buffer, serverId: Buffer | undefined, request: Buffer): Buffer {
    return writeFile([openReq(requestId, clientId, requestId, serverId), request, closeReq(requestId, undefined)])
}

/** Which meters does the MUC at the other end have? */
export function metersRequest(requestId: Buffer): Buffer {
    return parameterRequest(requestId, undefined, activeMetersPath)
}

/** The meter's certificate chain. */
export function chainRequest(requestId: Buffer, serverId: Buffer): Buffer {
    return parameterRequest(requestId, serverId, certificateChainPath)
}

/** What the meter, or the MUC, holds. */
export function inventoryRequest(requestId: Buffer, serverId: Buffer): Buffer {
    return parameterRequest(requestId, serverId, inventoryPath)
}

/** The message that asks for a signed list made now; or, with `pagination`, for one that the meter made before and still keeps. */
export function listMessage(transactionId: Buffer, serverId: Buffer, pagination?: number): Buffer {
    let name = CURRENT_DATA
    if (pagination !== undefined) {
        const number = Buffer.alloc(4)
        number.writeUInt32BE(pagination)
        name = Buffer.concat([storedListName, number])
    }
    return getListReq(transactionId, clientId, serverId, name)
}

/** The message that asks for signed rows of the 15-minute load profile whose period ends from `from` to `to`, UTC seconds, both included. */
export function profileMessage(transactionId: Buffer, serverId: Buffer, from: number, to: number): Buffer {
    const values = [serverId, undefined, undefined, undefined, [2, from], [2, to], [LOAD_PROFILE], undefined, undefined]
    return writeMessage(transactionId, 0, GET_PROFILE_LIST_REQ, values)
}

/** `listMessage` in a file of its own that nobody has signed. */
export function listRequest(requestId: Buffer, serverId: Buffer, pagination?: number): Buffer {
    return file(requestId, serverId, listMessage(requestId, serverId, pagination))
}

/** `profileMessage` in a file of its own that nobody has signed. */
export function profileRequest(requestId: Buffer, serverId: Buffer, from: number, to: number): Buffer {
    return file(requestId, serverId, profileMessage(requestId, serverId, from, to))
}
