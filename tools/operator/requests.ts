import { LOAD_PROFILE } from "../../firmware/core/signed-list.ts"
import {
    closeReq,
    getListReq,
    getProcParameterReq,
    openReq,
    setProcParameterReq,
} from "../../firmware/core/sml-messages.ts"
import { certificatesPath, octetsLeaf } from "../../firmware/core/sml-parameter.ts"
import { GET_PROFILE_LIST_REQ } from "../../firmware/core/sml-tables.ts"
import { writeFile } from "../../firmware/core/sml-transport.ts"
import { writeMessage } from "../../firmware/core/sml-write.ts"
import { partValues } from "../authority/bring.ts"

/** Makes one request message for a device. */
export type Request = (target: Buffer, transactionId: Buffer) => Buffer

/** GetProcParameter of a path. */
export function get(...path: Buffer[]): Request {
    return (target, id) => getProcParameterReq(id, target, path)
}

/** SetProcParameter of an octet string. */
export function set(path: Buffer, value: Uint8Array): Request {
    return (target, id) => setProcParameterReq(id, target, [path], octetsLeaf(path, Buffer.from(value)))
}

/** A signed list made now. */
export function list(): Request {
    return (target, id) => getListReq(id, id, target, undefined)
}

/** Signed rows of the 15-minute load profile, UTC seconds, both ends included. */
export function profile(from: number, to: number): Request {
    return (target, id) => {
        const values = [
            target,
            undefined,
            undefined,
            undefined,
            [2, from],
            [2, to],
            [LOAD_PROFILE],
            undefined,
            undefined,
        ]
        return writeMessage(id, 0, GET_PROFILE_LIST_REQ, values)
    }
}

/** Second element of a logbook's path: the first entry wanted. */
export function fromNumber(number: number): Buffer {
    return Buffer.concat([Buffer.alloc(2), word(number)])
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

/** A file of these requests that nobody has signed. */
export function unsignedFile(target: Buffer, requestId: Buffer, requests: Request[]): Buffer {
    const messages = requests.map((request, i) => request(target, Buffer.concat([requestId, Buffer.of(i)])))
    return writeFile([openReq(requestId, requestId, requestId, target), ...messages, closeReq(requestId, undefined)])
}

/** The parts in which a certificate, and what belongs to it, is brought; they prove nothing and need no signature. */
export function partsOf(octets: Buffer): Request[] {
    return partValues(octets).map(value => set(certificatesPath, value))
}
