import { LOAD_PROFILE } from "../../../firmware/core/signed-list.ts"
import {
    closeReq,
    getListReq,
    getProcParameterReq,
    openReq,
    setProcParameterReq,
} from "../../../firmware/core/sml-messages.ts"
import { octetsLeaf } from "../../../firmware/core/sml-parameter.ts"
import { GET_PROFILE_LIST_REQ } from "../../../firmware/core/sml-tables.ts"
import { writeFile } from "../../../firmware/core/sml-transport.ts"
import { writeMessage } from "../../../firmware/core/sml-write.ts"

/** Makes the message of one request for the device `target`. */
export type Request = (target: Buffer) => Buffer

const id = Buffer.from("bench")

/** GetProcParameter of a path. */
export function get(...path: Buffer[]): Request {
    return target => getProcParameterReq(id, target, path)
}

/** SetProcParameter of an octet string. */
export function set(path: Buffer, value: Uint8Array): Request {
    return target => setProcParameterReq(id, target, [path], octetsLeaf(path, Buffer.from(value)))
}

/** The signed list of now. */
export function list(): Request {
    return target => getListReq(id, id, target, undefined)
}

/** Signed rows of the load profile, UTC seconds. */
export function profile(from = 0, to = 0xffffffff): Request {
    return target =>
        writeMessage(id, 0, GET_PROFILE_LIST_REQ, [
            target,
            undefined,
            undefined,
            undefined,
            [2, from],
            [2, to],
            [LOAD_PROFILE],
            undefined,
            undefined,
        ])
}

/** A file of these requests that nobody has signed. */
export function unsigned(target: Buffer, requests: Request[]): Buffer {
    return writeFile([
        openReq(id, id, id, target),
        ...requests.map(request => request(target)),
        closeReq(id, undefined),
    ])
}

/** U32, big endian. */
export function word(value: number): Buffer {
    const octets = Buffer.alloc(4)
    octets.writeUInt32BE(value)
    return octets
}

/** U16, big endian. */
export function half(value: number): Buffer {
    const octets = Buffer.alloc(2)
    octets.writeUInt16BE(value)
    return octets
}
