import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { SignedListFields, signedListRes, writeSignedList } from "../../firmware/core/signed-list"
import { closeRes, openRes } from "../../firmware/core/sml-messages"
import { readFile } from "../../firmware/core/sml-read"
import { SmlReceiver } from "../../firmware/core/sml-receive"
import { writeFile } from "../../firmware/core/sml-transport"
import { runCases } from "../vm/harness.ts"

/** One figure beside a peer's; `ratio` is peer / ours, so more than 1 = ours is quicker. 0 where there is no peer. */
export interface Row {
    what: string
    ours: number
    peer: number
    peerName: string
    ratio: number
    unit: string
}

const serverId = Buffer.from("0a01504c420100000001", "hex")

function build(): Buffer {
    const fields = Object.assign(new SignedListFields(), {
        serverId,
        software: Buffer.from("plomb-meter 0.1.0"),
        checksum: Buffer.alloc(32),
        previous: Buffer.alloc(32),
        timeQuality: 2,
        seconds: 1700000000,
        drawn: 1234567890,
    })
    return writeFile([
        openRes(Buffer.from([1]), undefined, Buffer.from("1"), serverId, undefined),
        signedListRes(Buffer.from([2]), undefined, writeSignedList(fields), Buffer.alloc(64)),
        closeRes(Buffer.from([3])),
    ])
}

/** Microseconds a call, the best of five batches: what the machine can do when left alone. */
function microseconds(work: () => void, turns: number): number {
    let best = Number.POSITIVE_INFINITY
    for (let batch = 0; batch < 5; ++batch) {
        const start = performance.now()
        for (let i = 0; i < turns; ++i) work()
        best = Math.min(best, (1000 * (performance.now() - start)) / turns)
    }
    return best
}

/** libsml's microseconds for parsing and writing `raw`, or `undefined` where it is not installed. */
function libsml(raw: Buffer): { parse: number; write: number } | undefined {
    if (!existsSync("/usr/include/sml/sml_file.h")) return undefined
    const folder = mkdtempSync(join(tmpdir(), "plomb-perf-"))
    try {
        const [program, file] = [join(folder, "time"), join(folder, "list.sml")]
        writeFileSync(file, raw)
        const source = new URL("libsml-time.c", import.meta.url).pathname
        if (spawnSync("cc", ["-O2", "-o", program, source, "-lsml", "-lm"]).status !== 0) return undefined
        const figures = spawnSync(program, [file, "20000"]).stdout.toString().split(" ").map(Number)
        return { parse: figures[0] / 1000, write: figures[1] / 1000 }
    } finally {
        rmSync(folder, { recursive: true })
    }
}

function row(what: string, ours: number, unit: string, peerName = "", peer = 0): Row {
    return { what, ours, peer, peerName, ratio: peer > 0 ? peer / ours : 0, unit }
}

/** Function of `device/sml.ts`, how often, and the file. */
function request(what: number, turns: number, raw: Buffer): Buffer {
    return Buffer.concat([Buffer.from([what, turns & 255, turns >> 8]), raw])
}

/** Steps and milliseconds in the VM of reading, receiving and writing; function 0, which does nothing, is taken off. */
async function measureVm(raw: Buffer): Promise<Row[]> {
    const program = "tools/perf/device/sml.ts"
    const names = ["read", "receive", "write"]
    const counted = await runCases(
        program,
        [0, 1, 2, 3].map(what => request(what, 1, raw)),
        { countSteps: true },
    )
    const steps = counted.map(each => ("steps" in each ? each.steps : Number.NaN))
    const turns = 200
    const ends: number[] = []
    const start = performance.now()
    await runCases(
        program,
        [0, 0, 1, 2, 3].map(what => request(what, turns, raw)),
        { onCase: () => ends.push(performance.now() - start) },
    )
    const idle = ends[1] - ends[0]
    return names.flatMap((name, i) => [
        row(`SML ${name}, ${raw.length} octets, VM`, steps[i + 1] - steps[0], "steps"),
        row(`SML ${name}, ${raw.length} octets, VM`, (ends[i + 2] - ends[i + 1] - idle) / turns, "ms"),
    ])
}

/** Reading and writing a signed list of 14 entries: in the VM, and in Node beside open-sml and libsml. */
export async function measureSml(): Promise<Row[]> {
    const raw = build()
    const { SmlFile } = createRequire(import.meta.url)("open-sml")
    const read = microseconds(() => readFile(raw, false, 0), 2000)
    const receiver = new SmlReceiver(
        2048,
        false,
        (file, crc) => readFile(file, false, crc),
        () => {},
    )
    const received = microseconds(() => receiver.feed(raw), 2000)
    const write = microseconds(build, 2000)
    const openRead = microseconds(() => new SmlFile().parse(raw), 2000)
    const c = libsml(raw)
    const node = (what: string) => `SML ${what}, ${raw.length} octets, Node`
    const rows = [
        row(node("read"), read, "us", "open-sml", openRead),
        row(node("receive and read"), received, "us", "open-sml", openRead),
        row(node("write"), write, "us", "open-sml (cannot write a signed list)"),
    ]
    if (c) {
        rows.push(row(node("read"), read, "us", "libsml (C, no CRC of the file)", c.parse))
        rows.push(row(node("write"), write, "us", "libsml (C, no transport)", c.write))
    }
    return [...(await measureVm(raw)), ...rows]
}
