import { describe, expect, it } from "vitest"
import {
    closeReq,
    closeRes,
    getListReq,
    getProcParameterReq,
    openReq,
    readRequest,
} from "../../firmware/core/sml-messages"
import { readFile } from "../../firmware/core/sml-read"
import { writeFile } from "../../firmware/core/sml-transport"
import { wrapMessage, writeMessage } from "../../firmware/core/sml-write"
import { codeThrown } from "../helpers/errors"
import { octets } from "../helpers/tlv"

const bytes = (text: string) => Buffer.from(text, "hex")
const [id, client, file, server] = ["0102", "c1", "f11e", "0a01504c420100000001"].map(bytes)
const path = [bytes("8181c78611ff"), bytes("0002")]

function read(...messages: Buffer[]) {
    return readFile(writeFile(messages), false, 0).messages.map(readRequest)
}

describe("a request", () => {
    it("gives who asks, whom, and what for", () => {
        const range = [server, bytes("aa"), bytes("bb"), true, [1, 5], [2, 1700000000], path, undefined, undefined]
        const [open, list, parameter, set, pack, rows, close] = read(
            openReq(id, client, file, server),
            getListReq(id, client, server, bytes("0100620affff")),
            getProcParameterReq(id, undefined, path),
            writeMessage(id, 0, 0x0600, [server, undefined, undefined, path, [path[0], undefined, undefined]]),
            writeMessage(id, 0, 0x0300, range),
            writeMessage(id, 0, 0x0400, [
                undefined,
                undefined,
                undefined,
                undefined,
                undefined,
                undefined,
                path,
                undefined,
                undefined,
            ]),
            closeReq(id, bytes("51")),
        )
        const empty = bytes("")
        const none = { clientId: empty, reqFileId: empty, serverId: empty, listName: empty, path: [], value: empty }
        const noRange = { begin: 0, beginKind: 0, end: 0, endKind: 0 }
        const common = { ...none, ...noRange, transactionId: id }
        expect({ ...open }).toEqual({ ...common, tag: 0x0100, clientId: client, reqFileId: file, serverId: server })
        expect({ ...list }).toEqual({
            ...common,
            tag: 0x0700,
            clientId: client,
            serverId: server,
            listName: bytes("0100620affff"),
        })
        expect({ ...parameter }).toEqual({ ...common, tag: 0x0500, path })
        expect({ ...set }).toEqual({ ...common, tag: 0x0600, serverId: server, path })
        const asked = { begin: 5, beginKind: 1, end: 1700000000, endKind: 2 }
        expect({ ...pack }).toEqual({ ...common, ...asked, tag: 0x0300, serverId: server, path })
        expect({ ...rows }).toEqual({ ...common, tag: 0x0400, path })
        expect({ ...close }).toEqual({ ...common, tag: 0x0200 })
    })

    it("is none: a response, a Cosem message, an unknown tag", () => {
        for (const tag of [0x0000, 0x0800, 0x00ff, 0xff00, 0x070000])
            expect(codeThrown(() => read(wrapMessage(id, 0, tag, octets("aa"))))).toBe("SmlTag")
        expect(codeThrown(() => read(closeRes(id)))).toBe("SmlTag")
    })
})
