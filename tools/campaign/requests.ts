import "../node/platform.ts"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { LOAD_PROFILE } from "../../firmware/core/signed-list.ts"
import {
    attentionRes,
    closeReq,
    closeRes,
    getListReq,
    getProcParameterReq,
    openReq,
    openRes,
} from "../../firmware/core/sml-messages.ts"
import {
    activeMetersPath,
    certificateChainPath,
    identificationPath,
    publicKeyPath,
    statusPath,
    timePath,
} from "../../firmware/core/sml-parameter.ts"
import { writeFile } from "../../firmware/core/sml-transport.ts"
import { type SmlValue, writeMessage } from "../../firmware/core/sml-write.ts"
import { serverIdOf } from "../calibrate/station.ts"
import { layOutDesk } from "../desk/calibrated.ts"
import { Desk } from "../desk/desk.ts"
import { LineOperator } from "../desk/line-operator.ts"
import { LineProbe } from "../desk/line-probe.ts"
import { UplinkPeer } from "../desk/uplink-peer.ts"
import { metersRequest } from "../headend/requests.ts"
import type { Board } from "../vm/board.ts"
import { attentionsOf, itemsOf } from "./ledger.ts"
import { type Outcome, randomFrom } from "./outcome.ts"

const serial = 4713
/**
 * Octets of heap that may come and go with what is under way: the last piece of the uplink is one of 1 KB, and what the connection holds of it.
 * It does not grow: 60, 150 and 600 requests end 1.5 to 1.8 KB below the beginning.
 */
const heapPlay = 2400
/** Longest file that a MUC takes from its line. */
const longestOnLine = 4096
/** After so many requests the line and the uplink are made trouble at together. */
const besetEach = 25
/** Longest answer either of them may give. */
const longestAnswer = 8192

type Random = (below: number) => number

/**
 * Request files that no head-end sends: many requests in one file, requests of every kind in any order, damaged octets, noise.
 * Half of them are put to a calibrated meter on its line, half to a MUC over TLS, both in the stock VM. Neither may
 * panic, restart or lose heap, and in the end both must still answer.
 */
export async function run(count: number, seed: number): Promise<Outcome> {
    const folder = mkdtempSync(join(tmpdir(), "plomb-requests-"))
    try {
        await layOutDesk(folder, [serial])
        return await bombard(folder, count, seed)
    } finally {
        rmSync(folder, { recursive: true, force: true })
    }
}

async function bombard(folder: string, count: number, seed: number): Promise<Outcome> {
    const failures: string[] = []
    const random = randomFrom(seed)
    const onLog = (board: string, line: string) => {
        if (/^!|panic|unhandled|memory/i.test(line)) failures.push(`${board}: ${line}`)
    }
    const desk = await Desk.open({
        serials: [serial],
        state: join(folder, "state"),
        clock: "virtual",
        startMs: Date.now(),
        onLog,
    })
    const { world } = desk
    const probe = new LineProbe(world, desk.wire)
    const id = Buffer.from(serverIdOf(serial), "hex")
    const operator = new LineOperator(world, join(folder, "pki"), id)
    const uplink = new UplinkPeer(join(folder, "pki"))
    await uplink.listen()
    /** The longest files of somebody on the line while the MUC shakes hands anew, and while it carries a long answer of its meter. */
    let crowded = 0
    const beset = async () => {
        const crowd = () => {
            for (let n = 0; n < 3; ++n)
                probe.send(crowded++ % 2 === 0 ? responses(id) : hostile(random, id, longestOnLine))
        }
        const { port } = uplink
        await uplink.close()
        crowd()
        await uplink.listen(port)
        await world.runUntil(() => uplink.connected() || !desk.muc!.board.powered, 130_000).catch(() => {})
        await world.runFor(20_000)
        uplink.ask(operator.profile(Buffer.from("beset"), 0, 0xffffffff))
        crowd()
        await world.runFor(30_000)
    }
    try {
        await desk.start()
        await desk.startMuc({ uplink: `127.0.0.1:${uplink.port}` })
        const meter = desk.meters[0].board
        const muc = desk.muc!.board
        await world.runUntil(() => muc.log.some(line => line.includes("found 1")) && uplink.connected(), 60_000)
        const alive = (board: Board) => board.powered
        await world.runFor(1000)
        // The first signed command of an operator fills caches that stay.
        await world.runUntil(() => muc.log.filter(line => line.includes("delivery to")).length >= 3, 60_000)
        const early = await probe.ask(operator.list(Buffer.from("early")), 8000)
        if (!early || itemsOf(early).length !== 1) failures.push("no list at the beginning")
        await beset()
        const heaps = [meter, muc].map(board => [board.heap()?.free ?? 0])
        let answers = 0
        let longest = 0
        for (let i = 0; i < count && alive(meter) && alive(muc); ++i) {
            const byLine = i < 6 ? (i & 1) === 0 : random(2) === 0
            const longestFile = byLine ? 1024 : 2048
            const target = random(4) > 0 ? id : undefined
            const what =
                i < 6
                    ? repeated(greedy[i >> 1], byLine ? id : undefined, longestFile)
                    : hostile(random, target, longestFile)
            let answer: Buffer | undefined
            if (byLine) answer = await probe.ask(what, 8000, () => !alive(meter))
            else {
                await world.runUntil(() => uplink.connected() || !alive(muc), 130_000)
                uplink.ask(what)
                const until = world.elapsedMs() + 25_000
                await world.runUntil(
                    () => uplink.files.length > 0 || !alive(muc) || world.elapsedMs() > until || !uplink.connected(),
                    26_000,
                )
                answer = uplink.files.shift()
            }
            if (answer) ++answers
            longest = Math.max(longest, answer?.length ?? 0)
            if (longest > longestAnswer) failures.push(`an answer of ${longest} octets to ${what.toString("hex")}`)
            if (!alive(meter) || !alive(muc))
                failures.push(`${alive(meter) ? "MUC" : "meter"} ended by case ${i}: ${what.toString("hex")}`)
            else if (i % besetEach === besetEach - 1) {
                await beset()
                if (!alive(meter) || !alive(muc))
                    failures.push(`${alive(meter) ? "MUC" : "meter"} ended, beset after case ${i}`)
            }
        }
        if (failures.length === 0) {
            await world.runFor(40_000)
            await world.runUntil(() => uplink.connected(), 130_000)
            const last = await probe.ask(operator.list(Buffer.from("end")))
            if (!last) failures.push("the meter answers no more")
            else if (itemsOf(last).length !== 1) failures.push(`no list at the end, but ${attentionsOf(last)}`)
            uplink.ask(metersRequest(Buffer.from("end")))
            await world.runUntil(() => uplink.files.length > 0, 30_000)
            await world.runFor(3000)
            for (const [i, board] of [meter, muc].entries()) heaps[i].push(board.heap()?.free ?? 0)
            for (const [before, after] of heaps)
                if (before - after > heapPlay) failures.push(`${before - after} octets of heap less at the end`)
        }
        const text = `${answers} answers, the longest ${longest} octets; free heap of meter ${heaps[0]}, of MUC ${heaps[1]}`
        return { summary: [text], failures }
    } finally {
        await uplink.close()
        world.close()
    }
}

const paths = [
    activeMetersPath,
    certificateChainPath,
    identificationPath,
    publicKeyPath,
    statusPath,
    timePath,
    LOAD_PROFILE,
]

function pick<T>(random: Random, from: readonly T[]): T {
    return from[random(from.length)]
}

function octetsOf(random: Random, length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => random(256)))
}

/** Requests with the longest answers of all. */
const greedy = [certificateChainPath, LOAD_PROFILE, activeMetersPath]

/** A file of as many requests for `path` as it holds. */
function repeated(path: Buffer, target: Buffer | undefined, longest: number): Buffer {
    const id = Buffer.from([1])
    const open = openReq(id, id, id, target)
    const close = closeReq(id, undefined)
    const values = [undefined, undefined, undefined, undefined, undefined, undefined, [path], undefined, undefined]
    const one = path === LOAD_PROFILE ? writeMessage(id, 0, 0x0400, values) : getProcParameterReq(id, undefined, [path])
    const count = Math.floor((longest - open.length - close.length - 19) / one.length)
    return writeFile([open, ...Array.from({ length: count }, () => one), close])
}

/** A file of responses of a meter, as many and as long as the MUC takes, with doubled escapes in it. */
function responses(id: Buffer): Buffer {
    const request = Buffer.from([1])
    const messages = [openRes(request, undefined, request, id, undefined)]
    for (let length = 200; length < longestOnLine - 110 && messages.length < 39; length += 110)
        messages.push(attentionRes(request, id, 0xfd00, "\x1b".repeat(40)))
    return writeFile([...messages, closeRes(request)])
}

/** Octets for the wire: a file of many requests, of any requests, a damaged one, or noise. */
function hostile(random: Random, target: Buffer | undefined, longest: number): Buffer {
    const transaction = octetsOf(random, 1 + random(random(8) === 0 ? 200 : 4))
    const one = oneRequest(random, target, transaction)
    const open = openReq(transaction, transaction, octetsOf(random, 1 + random(8)), target)
    const close = closeReq(transaction, random(4) === 0 ? octetsOf(random, 64) : undefined)
    const messages = [open]
    let length = open.length + close.length + 16
    const most = pick(random, [1, 1, 3, 8, 100])
    const same = random(2) === 0
    while (messages.length <= most) {
        const next = same ? one : oneRequest(random, target, transaction)
        length += next.length
        if (length > longest) break
        messages.push(next)
    }
    if (random(12) > 0) messages.push(close)
    if (random(12) === 0) messages.reverse()
    let raw: Buffer = writeFile(messages)
    for (let n = random(5) === 0 ? 1 + random(4) : 0; n > 0; --n) raw[random(raw.length)] ^= 1 << random(8)
    if (random(20) === 0) raw = raw.subarray(0, random(raw.length))
    if (random(10) === 0) raw = Buffer.concat([noise(random, longest), raw])
    return raw
}

/** What looks like the beginnings, middles and ends of files. */
function noise(random: Random, longest: number): Buffer {
    const piece = pick(random, ["1b1b1b1b01010101", "1b1b1b1b1a000000", "1b", "1b1b1b00", "1b1b1b1b", "76"])
    return Buffer.from(piece.repeat(1 + random((4 * longest) / piece.length)), "hex")
}

function oneRequest(random: Random, target: Buffer | undefined, transaction: Buffer): Buffer {
    const to = random(3) === 0 ? undefined : target
    const time = (): SmlValue =>
        pick<SmlValue>(random, [undefined, [1, random(2 ** 31)], [2, 2 ** 32 - 1], [3, [5, 6, 7]]])
    const path = Array.from({ length: random(6) === 0 ? 1 + random(30) : 1 }, () =>
        random(5) === 0 ? octetsOf(random, random(9)) : pick(random, paths),
    )
    const kind = random(8)
    if (kind < 2) return getProcParameterReq(transaction, to, path)
    if (kind < 4) {
        const stored = Buffer.concat([Buffer.from("8181c7f002ff", "hex"), octetsOf(random, 4)])
        return getListReq(transaction, transaction, to, pick(random, [undefined, stored, octetsOf(random, random(12))]))
    }
    if (kind < 6)
        return writeMessage(transaction, 0, pick(random, [0x0300, 0x0400]), [
            to,
            undefined,
            undefined,
            undefined,
            time(),
            time(),
            path,
            undefined,
            undefined,
        ])
    if (kind === 6) {
        let tree: SmlValue = [identificationPath, [1, [0, octetsOf(random, 20)]], undefined]
        for (let n = random(15); n > 0; --n) tree = [identificationPath, undefined, [tree]]
        return writeMessage(transaction, 0, 0x0600, [to, undefined, undefined, path, tree])
    }
    // What is no request at all.
    return writeMessage(transaction, 0, 0x0201, [undefined])
}
