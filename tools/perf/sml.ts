import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { SignedListFields, signedListRes, writeSignedList } from "../../firmware/core/signed-list"
import { closeRes, openRes } from "../../firmware/core/sml-messages"
import { readFile } from "../../firmware/core/sml-read"
import { SmlReceiver } from "../../firmware/core/sml-receive"
import { writeFile } from "../../firmware/core/sml-transport"
import { runCases } from "../vm/harness.ts"
import { marks } from "./marks.ts"
import { cpuMs, median, type Row, type Section } from "./row.ts"

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

const rounds = 9

/** Microseconds a call of each of these, medians of rounds in which they take turns; the first round warms up. */
function microseconds(works: (() => void)[], turns: number): number[] {
    const taken: number[][] = works.map(() => [])
    for (let round = 0; round <= rounds; ++round)
        works.forEach((work, i) => {
            const start = cpuMs()
            for (let turn = 0; turn < turns; ++turn) work()
            if (round > 0) taken[i].push((1000 * (cpuMs() - start)) / turns)
        })
    return taken.map(median)
}

/** libsml's microseconds for parsing and writing `raw`, or why there are none. */
function libsml(raw: Buffer): { parse: number; write: number } | string {
    if (!existsSync("/usr/include/sml/sml_file.h")) return "not run: libsml is not installed (libsml-dev)"
    const folder = mkdtempSync(join(tmpdir(), "plomb-perf-"))
    try {
        const [program, file] = [join(folder, "time"), join(folder, "list.sml")]
        writeFileSync(file, raw)
        const source = fileURLToPath(new URL("libsml-time.c", import.meta.url))
        if (spawnSync("cc", ["-O2", "-o", program, source, "-lsml", "-lm"]).status !== 0)
            return "not run: libsml's program does not compile (cc)"
        const figures = Array.from({ length: rounds }, () =>
            spawnSync(program, [file, "4000"]).stdout.toString().split(" ").map(Number),
        )
        return {
            parse: median(figures.map(each => each[0])) / 1000,
            write: median(figures.map(each => each[1])) / 1000,
        }
    } finally {
        rmSync(folder, { recursive: true })
    }
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
    const turns = 100
    const taken: number[][] = names.map(() => [])
    for (let round = 0; round < 3; ++round) {
        const ends: number[] = []
        await runCases(
            program,
            [0, 0, 1, 2, 3].map(what => request(what, turns, raw)),
            { onCase: () => ends.push(cpuMs()) },
        )
        const idle = ends[1] - ends[0]
        names.forEach((_, i) => {
            taken[i].push((ends[i + 2] - ends[i + 1] - idle) / turns)
        })
    }
    return names.flatMap((name, i) => [
        { what: `${name} in the VM`, ours: steps[i + 1] - steps[0], unit: "steps", mark: marks.smlSteps },
        { what: `${name} in the VM`, ours: median(taken[i]), unit: "ms" },
    ])
}

/** Reading and writing `raw`: in the VM, and in Node beside open-sml and libsml. */
async function measure(raw: Buffer): Promise<Row[]> {
    const { SmlFile } = createRequire(import.meta.url)("open-sml")
    const receiver = new SmlReceiver(
        2048,
        false,
        (file, crc) => readFile(file, false, crc),
        () => {},
    )
    const works = [
        () => readFile(raw, false, 0),
        () => receiver.feed(raw),
        () => new SmlFile().parse(raw),
        () => build(),
    ]
    const [read, received, openRead, write] = microseconds(works, 500)
    const c = libsml(raw)
    const openSml = "open-sml 1.0.4 (JavaScript); it cannot write a signed list"
    const cRead =
        typeof c === "string" ? { peerName: c } : { peer: c.parse, peerName: "libsml (C), parse; no CRC of the file" }
    const cWrite =
        typeof c === "string" ? { peerName: c } : { peer: c.write, peerName: "libsml (C), write; no transport frame" }
    const node = (what: string) => `${what} in Node`
    return [
        ...(await measureVm(raw)),
        { what: node("read"), ours: read, unit: "us", peer: openRead, peerName: openSml },
        { what: node("receive (CRC) and read"), ours: received, unit: "us", peer: openRead, peerName: openSml },
        { what: node("read"), ours: read, unit: "us", ...cRead },
        { what: node("write"), ours: write, unit: "us", ...cWrite },
    ]
}

/** Reading and writing a signed list of 14 entries. */
export async function measureSml(): Promise<Row[]> {
    return measure(build())
}

/** The group "sml" of `plomb perf`. */
export async function smlSection(): Promise<Section> {
    const raw = build()
    return {
        group: "sml",
        title: `SML: a signed list of 14 entries, ${raw.length} octets`,
        rows: await measure(raw),
        notes: [
            "read: of a whole file, every check of the strict profile; write: the list, its file and transport frame.",
        ],
    }
}
