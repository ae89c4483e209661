import { Code } from "../../firmware/core/errors"
import { type Cosem, cosemTree } from "../decode/cosem.ts"
import { obisText } from "../decode/obis.ts"
import { answer } from "./device/field-answer.ts"
import { cipherRequest, readApduDump, readAssociationDump, readFramesDump } from "./field-dump.ts"
import type { Case, Format } from "./format.ts"
import { answered, refused, same } from "./judge.ts"

/** HDLC frames, push lists, APDUs and ciphering of DLMS/COSEM. */
export const dlms: Format = {
    name: "DLMS/COSEM",
    recognises: json => kinds.some(([name]) => has(json, name)),
    cases(json) {
        const cases = (json as { cases: any[] }).cases
        return cases.flatMap(kinds.find(([name]) => has(json, name))![1])
    },
    answer,
    program: "tools/vectors/device/field.ts",
    capacity: 4096,
}

const kinds: [string, (each: any) => Case[]][] = [
    ["stream", hdlcCases],
    ["llcPdu", pushCases],
    ["apdu", apduCases],
    ["systemTitle", cipherCases],
]

function has(json: unknown, name: string): boolean {
    const first = (json as { cases?: unknown[] } | undefined)?.cases?.[0]
    return typeof first === "object" && first !== null && name in first
}

const hex = (digits: string | undefined) => Buffer.from(digits ?? "", "hex")

const controls: Record<number, string> = { 131: "SNRM", 99: "UA", 3: "UI", 67: "DISC", 15: "DM" }

function hdlcCases({ name, stream, expected }: { name: string; stream: string; expected: any[] }): Case[] {
    const octets = hex(stream)
    const compare = (reply: Buffer) => {
        const { frames } = readFramesDump(reply)
        same("frames", frames.length, expected.length)
        for (const [i, frame] of frames.entries()) {
            const { length, segmented, destination, source, control, information } = expected[i]
            same("length", frame.octets.length, length)
            same("segmented", frame.segmented, segmented)
            same("addresses", [frame.destination, frame.source], [destination, source])
            same("control", frame.control, Number.parseInt(control, 16))
            const numbers = `I N(S)=${frame.sendNumber} N(R)=${frame.receiveNumber}`
            same("kind", frame.kind === 0 ? numbers : controls[frame.kind], expected[i].frame)
            same("information", frame.information.toString("hex"), information ?? "")
        }
    }
    const cases = [1, 5, 250].map(piece =>
        answered(`${name}, in pieces of ${piece}`, Buffer.concat([Buffer.of(2, piece), octets]), compare),
    )
    const [only] = expected
    if (expected.length !== 1) return cases
    if (only.apdu) {
        const pdu = hex(only.information).subarray(3)
        cases.push(notification(`${name}: APDU`, pdu, only.apdu))
    }
    // A frame with any bit of it changed must not come.
    for (let at = octets.indexOf(0x7e) + 1; at < octets.length - 1; ++at) {
        const damaged = Buffer.from(octets)
        damaged[at] ^= 1 << (at & 7)
        cases.push(
            answered(`${name}, octet ${at} changed`, Buffer.concat([Buffer.of(2, 250), damaged]), reply => {
                same("frames", readFramesDump(reply).frames.length, 0)
            }),
        )
    }
    return cases
}

function notification(id: string, pdu: Buffer, expected: any): Case {
    return answered(id, Buffer.concat([Buffer.of(4), pdu]), reply => {
        const read = readApduDump(reply)
        same("tag", read.tag, 0x0f)
        same("invoke id", read.invoke, Number.parseInt(expected.longInvokeIdAndPriority, 16))
        same("time", pdu.toString("hex", read.timeAt, read.timeAt + read.timeLength), expected.dateTime)
        same("body", cosemTree(pdu, read.elements), expected.body)
        same("octets left", pdu.length - read.dataEnd, expected.restOctets)
        compareReadings(pdu, read.readings, expected.body)
    })
}

/** The list's own tree gives the readings again: names with the simple value behind each, power of ten and unit if there are some. */
function compareReadings(pdu: Buffer, readings: ReturnType<typeof readApduDump>["readings"], body: Cosem): void {
    const wanted: unknown[] = []
    const simple = (node: any) => node !== undefined && !node.structure && !node.array
    const walk = (node: any) => {
        const children: any[] = node.structure ?? node.array ?? []
        for (let i = 0; i < children.length; ++i) {
            const name = children[i]["octet-string"]
            if (typeof name === "string" && name.length === 12 && simple(children[i + 1])) {
                const unit = children[i + 2]?.structure
                const [value] = Object.values(children[i + 1])
                wanted.push([name, value, unit ? unit[0].integer : 0, unit ? unit[1].enum : 255])
                ++i
            } else walk(children[i])
        }
    }
    walk(body)
    const found = readings.map(each => {
        const value = pdu.subarray(each.at, each.at + each.length)
        const text = pdu[each.at - 2] === 10 ? value.toString("latin1") : value.toString("hex")
        return [each.obis, each.exact ? each.value : text, each.exponent, each.unit]
    })
    same("readings", found, wanted)
}

function pushCases({ name, llcPdu, expected }: { name: string; llcPdu: string; expected: any }): Case[] {
    const pdu = hex(llcPdu).subarray(3)
    const cases = [notification(name, pdu, expected)]
    for (let length = 0; length < pdu.length; length += 3)
        cases.push(refused(`${name}, cut to ${length}`, Buffer.concat([Buffer.of(4), pdu.subarray(0, length)])))
    return cases
}

function apduCases({ name, apdu, expected }: { name: string; apdu: string; expected: any }): Case[] {
    const octets = hex(apdu)
    const associates = expected.type === "aarq" || expected.type === "aare"
    const compare = associates ? compareAssociation : compareApdu
    const cases = [
        answered(name, Buffer.concat([Buffer.of(associates ? 5 : 4), octets]), reply => {
            compare(octets, reply, expected)
        }),
    ]
    for (let length = 0; length < octets.length; ++length)
        cases.push(
            refused(
                `${name}, cut to ${length}`,
                Buffer.concat([Buffer.of(associates ? 5 : 4), octets.subarray(0, length)]),
            ),
        )
    return cases
}

const types: Record<string, [number, number]> = {
    "get-request-normal": [0xc0, 1],
    "get-request-next": [0xc0, 2],
    "get-response-normal": [0xc4, 1],
    "set-request-normal": [0xc1, 1],
    "set-response-normal": [0xc5, 1],
}

function compareApdu(octets: Buffer, reply: Buffer, expected: any): void {
    const read = readApduDump(reply)
    same("type", [read.tag, read.choice], types[expected.type])
    if (expected.invokeId !== undefined) same("invoke id", read.invoke & 15, expected.invokeId)
    if (expected.confirmed !== undefined) same("confirmed", (read.invoke & 0x40) !== 0, expected.confirmed)
    if (expected.priority !== undefined)
        same("priority", (read.invoke & 0x80) !== 0 ? "high" : "normal", expected.priority)
    if (expected.classId !== undefined)
        same(
            "object",
            [read.classId, obisText(read.instance), read.attribute],
            [expected.classId, expected.instance, expected.attribute],
        )
    if (expected.block !== undefined) same("block", read.block, expected.block)
    if (expected.data !== undefined) same("data", cosemTree(octets, read.elements), expected.data)
    const result = expected.dataAccessResult ?? expected.result
    same("result", read.result, result ?? -1)
}

const results = ["accepted", "rejected-permanent", "rejected-transient"]

function compareAssociation(_octets: Buffer, reply: Buffer, expected: any): void {
    const read: any = readAssociationDump(reply)
    same("type", read.tag, expected.type === "aarq" ? 0x60 : 0x61)
    if (expected.applicationContext) same("context", `2.16.756.5.8.1.${read.context}`, expected.applicationContext)
    if (expected.result) same("result", results[read.result], expected.result)
    if (expected.diagnostic !== undefined) same("diagnostic", read.diagnostic, expected.diagnostic)
    const initiate = expected.initiateRequest ?? expected.initiateResponse
    if (!initiate) return
    same("version", read.initiate.version, initiate.dlmsVersion)
    same("conformance", read.initiate.conformance, Number.parseInt(initiate.conformance, 16))
    same("longest APDU", read.initiate.maxPduSize, initiate.maxPduSize)
    if (initiate.vaaName !== undefined) same("name", read.user.readUInt16BE(read.user.length - 2), initiate.vaaName)
}

function cipherCases(each: any): Case[] {
    const keys = [
        hex(each.encryptionKey),
        hex(each.authenticationKey),
        hex(each.systemTitle),
        hex(each.invocationCounter),
    ]
    const control = hex(each.securityControl)
    if (each.challenge)
        return [
            answered(each.name, cipherRequest(8, keys, hex(each.challenge)), reply => {
                same("answer", reply.toString("hex"), each.securityControl + each.invocationCounter + each.tag)
            }),
        ]
    const plain = hex(each.plaintext)
    const body = Buffer.concat([control, hex(each.invocationCounter), hex(each.ciphertextAndTag)])
    const glo = Buffer.concat([Buffer.of(0xc8, body.length), body])
    const general = Buffer.concat([Buffer.of(0xdb, 8), hex(each.systemTitle), Buffer.of(body.length), body])
    const open = (octets: Buffer, [encryption, authentication, title] = keys, last?: Buffer) =>
        cipherRequest(6, [encryption, authentication, title, last], octets)
    const gives = (expected: Buffer) => (reply: Buffer) => {
        same("octets", reply.toString("hex"), expected.toString("hex"))
    }
    const cases = [
        answered(
            `${each.name}: ciphered`,
            cipherRequest(7, keys, Buffer.concat([control, Buffer.of(0xc8), plain])),
            gives(glo),
        ),
        answered(`${each.name}: opened`, open(glo), gives(plain)),
        answered(
            `${each.name}: opened, general ciphering`,
            open(general, [keys[0], keys[1], Buffer.alloc(0)]),
            gives(plain),
        ),
        refused(`${each.name}: no key`, open(glo, [Buffer.alloc(0), keys[1], keys[2]]), Code.DlmsNoKey),
        refused(`${each.name}: another key`, open(glo, [Buffer.alloc(16), keys[1], keys[2]]), Code.DlmsWrongKey),
        refused(
            `${each.name}: another authentication key`,
            open(glo, [keys[0], Buffer.alloc(16), keys[2]]),
            Code.DlmsMac,
        ),
        refused(`${each.name}: replayed`, open(glo, keys, keys[3]), Code.DlmsReplayed),
        refused(
            `${each.name}: suite 1`,
            open(Buffer.concat([Buffer.of(0xc8, body.length, 0x31), body.subarray(1)])),
            Code.DlmsMode,
        ),
    ]
    for (let at = 0; at < glo.length; ++at) {
        const damaged = Buffer.from(glo)
        damaged[at] ^= 1 << (at & 7)
        cases.push(refused(`${each.name}: octet ${at} changed`, open(damaged)))
    }
    return cases
}
