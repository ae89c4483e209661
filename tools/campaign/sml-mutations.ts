import { crc16 } from "../../firmware/core/crc16"
import { Code } from "../../firmware/core/errors"
import {
    SignedListFields,
    signedListRes,
    signedRowRes,
    writeSignedList,
    writeSignedRow,
} from "../../firmware/core/signed-list"
import {
    attentionRes,
    closeReq,
    closeRes,
    getListReq,
    getProcParameterReq,
    openReq,
    openRes,
} from "../../firmware/core/sml-messages"
import { writeFile } from "../../firmware/core/sml-transport"
import { type SmlValue, writeMessage } from "../../firmware/core/sml-write"
import type { Reply } from "../vectors/format.ts"
import { askNode, replyOf } from "../vectors/run.ts"
import { sml, streamRequest } from "../vectors/sml.ts"
import { runCases } from "../vm/harness.ts"
import { type Outcome, randomFrom } from "./outcome.ts"

/** Octets longer than anything a line carries are cut off. */
const longest = 1500

/** Bytecode steps a case may take: so many, and so many for each octet. */
const stepsBound = (octets: number) => 30_000 + 400 * octets

const octets = (text: string) => Buffer.from(text, "hex")
const server = octets("0a01504c420100000001")

/** Whole files of every kind of message, as their messages without CRC and end. */
function bases(): Buffer[][] {
    const fields = new SignedListFields()
    Object.assign(fields, { serverId: server, software: Buffer.from("plomb-meter 0.1.0"), timeQuality: 2 })
    Object.assign(fields, { checksum: Buffer.alloc(32, 1), previous: Buffer.alloc(32, 2), drawn: 12345678901 })
    const id = (n: number) => Buffer.from([n])
    const open = openRes(id(1), id(9), id(2), server, [1, 77])
    const askOpen = openReq(id(1), id(9), id(2), server)
    const path = [octets("8181c78611ff")]
    const time: SmlValue = [3, [1700000000, 60, 60]]
    const tree: SmlValue = [
        octets("8181c78201ff"),
        [1, [0, server]],
        [
            [octets("8181c78204ff"), [2, [octets("0100010800ff"), 30, -1, [0x68, 5], undefined]], undefined],
            [octets("8181c78205ff"), [4, time], [[octets("010203040506"), [1, [0x71, time]], undefined]]],
        ],
    ]
    const row: SmlValue = [
        time,
        5,
        [
            [[0x68, 1], undefined],
            [[0x54, -1], undefined],
        ],
        undefined,
    ]
    const pack: SmlValue[] = [
        server,
        time,
        900,
        path,
        [
            [octets("0100010800ff"), 30, -1],
            [octets("0100020800ff"), 30, -1],
        ],
        [row, row],
        undefined,
        undefined,
    ]
    const profile: SmlValue[] = [server, undefined, undefined, true, time, [2, 5], path, path, undefined]
    const files = [
        [open, signedListRes(id(2), undefined, writeSignedList(fields), Buffer.alloc(64, 0x1b)), closeRes(id(3))],
        [open, signedRowRes(id(2), writeSignedRow(fields), Buffer.alloc(64, 3)), closeRes(id(3))],
        [open, writeMessage(id(2), 0, 0x0301, pack), attentionRes(id(4), server, 0xfe13, "none"), closeRes(id(3))],
        [open, writeMessage(id(2), 0, 0x0501, [server, path, tree]), closeRes(id(3))],
        [
            askOpen,
            writeMessage(id(2), 0, 0x0600, [server, undefined, undefined, path, tree]),
            closeReq(id(3), Buffer.alloc(64)),
        ],
        [
            askOpen,
            getListReq(id(2), id(9), server, undefined),
            getProcParameterReq(id(4), undefined, path),
            closeReq(id(3), undefined),
        ],
        [
            askOpen,
            writeMessage(id(2), 0, 0x0400, profile),
            writeMessage(id(2), 0, 0x0300, profile),
            closeReq(id(3), undefined),
        ],
    ]
    return files.map(messages => messages.map(each => each.subarray(0, -4)))
}

const telling = [0x00, 0x01, 0x1b, 0x70, 0x71, 0x72, 0x77, 0x7f, 0x80, 0x81, 0x8f, 0xf1, 0xff, 0x42, 0x55, 0x69]

/** One change somewhere: an octet, a bit, a stretch lost, doubled or put in. */
function changed(data: Buffer, random: (below: number) => number, donor: Buffer): Buffer {
    const at = random(data.length + 1)
    const end = Math.min(data.length, at + 1 + random(random(4) === 0 ? 40 : 3))
    const [before, middle, after] = [data.subarray(0, at), data.subarray(at, end), data.subarray(end)]
    switch (random(7)) {
        case 0:
            return Buffer.concat([before, after])
        case 1:
            return Buffer.concat([before, middle, middle, after])
        case 2: {
            const from = random(donor.length)
            return Buffer.concat([before, donor.subarray(from, from + 1 + random(20)), after])
        }
        case 3:
            return Buffer.concat([before, Buffer.from([telling[random(telling.length)]]), middle, after])
        case 4:
            return data.subarray(0, at)
        default: {
            const copy = Buffer.from(data)
            if (at < copy.length)
                copy[at] = random(2) === 0 ? telling[random(telling.length)] : copy[at] ^ (1 << random(8))
            return copy
        }
    }
}

function withCrc(covered: Buffer): Buffer {
    const crc = crc16(covered, 0, covered.length, 0xffff) ^ 0xffff
    return Buffer.concat([covered, Buffer.from([0x63, crc & 255, crc >> 8, 0])])
}

/** A damaged file: mostly with good checksums, so that the damage reaches what lies behind them. */
function damaged(files: Buffer[][], random: (below: number) => number): Buffer {
    const messages = files[random(files.length)].slice()
    for (let n = random(1 + random(4)); n >= 0; --n) {
        const which = random(messages.length)
        const donor = files[random(files.length)]
        messages[which] = changed(messages[which], random, donor[random(donor.length)])
    }
    let raw: Buffer = writeFile(messages.map(withCrc))
    if (random(4) === 0) raw = changed(raw, random, raw)
    return raw.subarray(0, longest)
}

/** What a reply says in few words; the offset of an error must lie in the file. */
function briefly(reply: Reply, length: number): { text: string; wrong?: string } {
    if ("octets" in reply) return { text: reply.octets.toString("hex") }
    if ("escaped" in reply) return { text: reply.escaped, wrong: `escaped: ${reply.escaped}` }
    const placed = reply.error > 2000 && reply.at >= 0 && reply.at <= length
    return {
        text: `${reply.error} at ${reply.at}`,
        wrong: placed ? undefined : `error ${reply.error} at ${reply.at} of ${length}`,
    }
}

/** `count` damaged files; in the VM each answer must also equal Node's and keep within the step bound. */
export async function run(count: number, seed: number, where: "node" | "vm"): Promise<Outcome> {
    const random = randomFrom(seed)
    const files = bases()
    const failures: string[] = []
    const came = new Map<string, number>()
    const requests = Array.from({ length: count }, () => {
        const raw = damaged(files, random)
        const what = random(3)
        const tolerant = random(2)
        if (what === 0) return streamRequest(raw, 1 + random(80), 512 + random(1024), tolerant === 1)
        return Buffer.concat([Buffer.from([what, tolerant]), raw])
    })
    const judge = (request: Buffer, reply: Reply): string => {
        const { text, wrong } = briefly(reply, request.length)
        if (wrong) failures.push(`${wrong}: ${request.toString("hex")}`)
        const name =
            "error" in reply
                ? Code[reply.error]
                : "octets" in reply
                  ? request[0] === 0
                      ? "stream"
                      : "read"
                  : "escaped"
        came.set(name, (came.get(name) ?? 0) + 1)
        return text
    }
    const texts = requests.map(request => judge(request, askNode(sml, request)))
    let most = 0
    if (where === "vm") {
        const outcomes = await runCases(sml.program, requests, { countSteps: true })
        outcomes.forEach((outcome, i) => {
            const { text } = briefly(replyOf(outcome), requests[i].length)
            if (text !== texts[i]) failures.push(`VM: ${text}, Node: ${texts[i]}: ${requests[i].toString("hex")}`)
            if (!("steps" in outcome)) return
            most = Math.max(most, outcome.steps / requests[i].length)
            if (outcome.steps > stepsBound(requests[i].length))
                failures.push(`${outcome.steps} steps: ${requests[i].toString("hex")}`)
        })
    }
    const counts = [...came].sort((a, b) => b[1] - a[1]).map(([name, n]) => `${name} ${n}`)
    const steps = where === "vm" ? [`at most ${Math.round(most)} steps an octet`] : []
    return { summary: [counts.join(", "), ...steps], failures }
}
