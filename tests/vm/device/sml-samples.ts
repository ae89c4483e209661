import {
    SignedListFields,
    signedListRes,
    signedRowRes,
    writeSignedList,
    writeSignedRow,
} from "../../../firmware/core/signed-list"
import {
    attentionRes,
    closeReq,
    closeRes,
    getListReq,
    getProcParameterReq,
    getProcParameterRes,
    openReq,
    openRes,
} from "../../../firmware/core/sml-messages"
import { writeFile } from "../../../firmware/core/sml-transport"
import { writeMessage } from "../../../firmware/core/sml-write"

/** Files that use every writer, with the extremes of every integer; the same octets are due in Node and in the VM. */
export function samples(): Buffer {
    const server = hex`0a01504c420100000001`
    const path = [hex`8181c78611ff`, hex`8181c78612ff`]
    const id = hex`1b1b1b1b1b`
    const fields = new SignedListFields()
    fields.serverId = server
    fields.software = Buffer.from("plomb-meter 0.1.0")
    fields.checksum = Buffer.alloc(32)
    fields.previous = Buffer.alloc(32)
    fields.drawn = 9007199254740991
    fields.drawn1 = 4294967296
    fields.drawn2 = 4294967295
    fields.power = -2147483648
    fields.status = 4294967295
    fields.secondsIndex = 2147483648
    const values: any[] = [
        [0x51, -128],
        [0x52, -32768],
        [0x54, 2147483647],
        [0x58, -9007199254740991],
        [0x58, -4294967297],
        [0x58, hex`8000000000000000`],
        [0x68, hex`ffffffffffffffff`],
        [0x40, true],
        [0x71, [3, [1700000000, -60, 60]]],
        [0x72, [[1, 5], 9, [0x61, 255]]],
        [0x73, [-3, 30]],
        [0x00, Buffer.alloc(300)],
    ]
    const children: any[] = []
    for (let i = 0; i < values.length; ++i) children.push([Buffer.from([i]), [1, values[i]], undefined])
    const tree = [path[0], undefined, children]
    const responses = writeFile([
        openRes(id, id, id, server, [2, 4294967295]),
        signedListRes(id, undefined, writeSignedList(fields), Buffer.alloc(64)),
        signedRowRes(id, writeSignedRow(fields), Buffer.alloc(64)),
        getProcParameterRes(id, server, path, tree),
        attentionRes(id, server, 0xfe03, "gone"),
        closeRes(id),
    ])
    const requests = writeFile([
        openReq(id, id, id, undefined),
        getListReq(id, id, server, undefined),
        getProcParameterReq(id, server, path),
        writeMessage(id, 3, 0x0600, [server, undefined, undefined, path, tree]),
        writeMessage(id, 3, 0x0400, [server, undefined, undefined, false, [1, 0], [2, 5], path, path, undefined]),
        closeReq(id, Buffer.alloc(64)),
    ])
    const all = Buffer.alloc(responses.length + requests.length)
    all.blitAt(0, responses, 0, responses.length)
    all.blitAt(responses.length, requests, 0, requests.length)
    return all
}
