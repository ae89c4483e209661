import { readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { Code } from "../../firmware/core/errors"
import { judgeOctets } from "./aead.ts"
import { answer } from "./device/tls-answer.ts"
import type { Case, Format } from "./format.ts"

interface HelloCase {
    kind: "client_hello" | "server_hello"
    comment?: string
    Buffer: string
    Message_Type: string
    Exception: string
}

type Trace = Record<string, string>

/** Handshakes recorded octet by octet (RFC 8448), with the shared secrets of `derived.json` beside them; and hellos, sound and broken. */
export const tls: Format = {
    name: "TLS 1.3 handshakes and hellos",
    program: "tools/vectors/device/tls.ts",
    capacity: 4096,
    answer,
    recognises: (json, path) => {
        const first = (json as { cases?: Partial<HelloCase>[] } | undefined)?.cases?.[0]
        return first ? first.Message_Type !== undefined && first.Buffer !== undefined : path.endsWith(".vec")
    },
    cases: (json, path) => {
        if (json) return (json as { cases: HelloCase[] }).cases.map(hello)
        const derived = JSON.parse(readFileSync(join(dirname(path), "derived.json"), "utf8"))
        return traces(readFileSync(path, "utf8")).map(([name, trace]) => replay(name, trace, derived[name].dhe))
    },
}

const octets = (digits: string | undefined) => Buffer.from(digits ?? "", "hex")

function requestOf(kind: number, ...fields: Buffer[]): Buffer {
    const parts = fields.flatMap(field => [Buffer.from([field.length & 0xff, field.length >> 8]), field])
    return Buffer.concat([Buffer.from([kind]), ...parts])
}

/** Sections `[name]` of lines `field = hex`. */
function traces(text: string): [string, Trace][] {
    const found: [string, Trace][] = []
    for (const line of text.split("\n")) {
        const section = /^\[(.+)\]$/.exec(line.trim())
        const field = /^(\w+) = (\w*)$/.exec(line.trim())
        if (section) found.push([section[1], {}])
        else if (field) found.at(-1)![1][field[1]] = field[2]
    }
    return found
}

/** A handshake message in a plain record. */
const message = (record: string | undefined) => octets(record?.slice(10))

function replay(id: string, trace: Trace, shared: string): Case {
    const fromServer = [
        trace.Record_ServerHello,
        trace.Record_ServerHandshakeMessages,
        trace.Record_NewSessionTicket,
        trace.Record_Server_AppData,
        trace.Record_Server_CloseNotify,
    ]
    const wanted = [
        trace.Record_ClientFinished,
        trace.Record_Client_AppData,
        trace.Record_Client_CloseNotify,
        trace.Server_AppData,
    ]
    return {
        id,
        request: requestOf(
            0,
            octets(shared),
            message(trace.Record_ClientHello_1),
            message(trace.Record_HelloRetryRequest),
            message(trace.Record_ClientHello_2),
            octets(fromServer.join("")),
            octets(trace.Client_AppData),
        ),
        judge: reply => judgeOctets(reply, octets(wanted.join(""))),
    }
}

/** What a hello is refused with: the files hold hellos of TLS 1.2 too, and none that our client's own would bring about. */
function expected({ kind, Message_Type: type, Exception: reason }: HelloCase): Code {
    if (reason === "" && type.endsWith("_12")) return Code.TlsVersion
    // Its key share is not of the group that our client offers
    if (reason === "" && kind === "server_hello") return Code.TlsIllegal
    return /compression/.test(reason) ? Code.TlsIllegal : Code.TlsDecode
}

function hello(test: HelloCase, index: number): Case {
    const id = `${index} ${test.kind}: ${test.comment ?? test.Exception}`
    if (/legacy_version/.test(test.Exception))
        return { id, unsupported: "RFC 8446 4.2.1: where supported_versions is, legacy_version does not count" }
    return {
        id,
        request: requestOf(test.kind === "client_hello" ? 1 : 2, octets(test.Buffer)),
        judge: reply => {
            if (!("octets" in reply)) return { fail: "escaped" in reply ? reply.escaped : `E${reply.error}` }
            const came = reply.octets.readUInt16LE(0)
            return came === expected(test) ? "pass" : { fail: `expected E${expected(test)}, came E${came}` }
        },
    }
}
