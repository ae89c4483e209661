import { createPrivateKey } from "node:crypto"
import { readFileSync } from "node:fs"
import { Duplex } from "node:stream"
import * as tls from "node:tls"
import { echoing } from "../adversary/echo.ts"
import { ServerAdversary, type Sessions } from "../adversary/server.ts"
import type { TlsJob } from "../bench/tls-job.ts"
import { type BenchPki, openBenchPki } from "../bench/tls-pki.ts"
import { NodeWithin, type TlsWithin, VmWithin } from "../bench/tls-within.ts"
import { measureSteps } from "../vm/harness.ts"
import { marks } from "./marks.ts"
import { cpuMs, median, type Row, type Section } from "./row.ts"
import { type MucHandshake, measureMuc } from "./tls-muc.ts"

const chacha = 0x1303
const kilobyte = 1024
const rounds = 3

/** Microseconds a bytecode step: measured on an RP2040 at 125 MHz; an ESP32 taken to need as many cycles at 240 MHz. */
const stepUs = { pico: 2.5, esp32: (2.5 * 125) / 240 }

interface Timed {
    full: number
    resumed: number
}

function adversary(pki: BenchPki, sessions: Sessions): ServerAdversary {
    const key = createPrivateKey(readFileSync(pki.server.keyFile))
    const identity = { key, chain: pki.server.chain }
    return echoing(new ServerAdversary({ identity, suite: chacha, request: true, sessions }))
}

/** CPU milliseconds of our client's connections to an adversary, its part included. */
async function ours(pki: BenchPki, within: TlsWithin, onRun: (resumed: boolean) => void = () => {}): Promise<Timed> {
    const times: [number[], number[]] = [[], []]
    const { key, chain } = pki.client
    for (let round = 0; round <= rounds; ++round) {
        const sessions: Sessions = new Map()
        for (const resumed of [false, true]) {
            const job: TlsJob = {
                side: "client",
                suites: [chacha],
                key,
                chain,
                mutual: true,
                anchors: [pki.root],
                nowSeconds: Math.floor(Date.now() / 1000),
                hostName: "localhost",
                octets: 1,
                sessions: resumed ? "keep" : "fresh",
            }
            const start = cpuMs()
            const outcome = await within.run(job, adversary(pki, sessions))
            if (!outcome.closed || outcome.resumed !== resumed)
                throw new Error(`the handshake failed: E${outcome.code}`)
            // The first round warms up.
            if (round > 0) times[Number(resumed)].push(cpuMs() - start)
            onRun(resumed)
        }
    }
    return { full: median(times[0]), resumed: median(times[1]) }
}

/** The same with OpenSSL as a library (node:tls) in place of our client. */
async function openssl(pki: BenchPki): Promise<Timed> {
    const times: [number[], number[]] = [[], []]
    const own = {
        key: readFileSync(pki.client.keyFile),
        cert: readFileSync(pki.client.chainFile),
        ca: readFileSync(pki.rootFile),
        ecdhCurve: "prime256v1",
        ciphers: "TLS_CHACHA20_POLY1305_SHA256",
        servername: "localhost",
    }
    for (let round = 0; round <= rounds; ++round) {
        const sessions: Sessions = new Map()
        let session: Buffer | undefined
        for (const resumed of [false, true]) {
            const start = cpuMs()
            const server = adversary(pki, sessions)
            const stream: Duplex = new Duplex({
                read() {},
                write(chunk, _encoding, done) {
                    server.feed(chunk)
                    for (const octets of server.take()) stream.push(octets)
                    done()
                },
            })
            await new Promise<void>((resolve, reject) => {
                const socket = tls.connect({ ...own, socket: stream as never, session }, () => socket.write("d"))
                socket.on("session", each => {
                    session = each
                })
                socket.on("data", () => resolve())
                socket.on("error", reject)
            })
            if (server.resumed !== resumed) throw new Error("OpenSSL did not resume")
            if (round > 0) times[Number(resumed)].push(cpuMs() - start)
        }
    }
    return { full: median(times[0]), resumed: median(times[1]) }
}

/** Steps to protect 1 KB in a record, keys not counted. */
async function recordSteps(suite: number): Promise<number> {
    const octets = Buffer.alloc(kilobyte, 7)
    const request = (kind: number) => Buffer.concat([Buffer.of(kind, suite), octets])
    const [keys, sealed] = await measureSteps("tools/perf/device/tls-record.ts", [request(1), request(2)])
    return sealed - keys
}

function milliseconds({ steps, busMs, elementMs }: MucHandshake, us: number): number {
    return (steps * us) / 1000 + busMs + elementMs
}

function mucRows(kind: string, came: MucHandshake, peer: [number, number] | undefined, peerName: string): Row[] {
    return [
        { what: `MUC, ${kind}: octets sent`, unit: "octets", ours: came.octetsSent, peer: peer?.[0], peerName },
        { what: "  octets received", unit: "octets", ours: came.octetsReceived, peer: peer?.[1], peerName },
        { what: "  all steps of the board meanwhile", unit: "steps", ours: came.steps },
        { what: `  element, ${came.commands} commands`, unit: "ms", ours: came.elementMs },
        { what: "  bus", unit: "ms", ours: came.busMs },
        {
            what: "  on an ESP32, modelled",
            unit: "ms",
            ours: milliseconds(came, stepUs.esp32),
            mark: marks.handshakeMs,
        },
        { what: "  on a Pico W, modelled", unit: "ms", ours: milliseconds(came, stepUs.pico) },
        { what: "  heap at its lowest", unit: "octets free", ours: came.free, mark: marks.handshakeHeap },
    ]
}

/** The group "tls" of `plomb perf`. */
export async function tlsSection(): Promise<Section> {
    const pki = await openBenchPki()
    const vm = await VmWithin.open(true)
    const steps: [number[], number[]] = [[], []]
    try {
        const inVm = await ours(pki, vm, resumed => steps[Number(resumed)].push(vm.steps))
        const inNode = await ours(pki, new NodeWithin())
        const library = await openssl(pki)
        const muc = await measureMuc()
        const record = [await recordSteps(0), await recordSteps(1)]
        const same = "the same code in Node"
        const lib = "OpenSSL in node:tls, the same server"
        const client = muc.openssl ? "openssl s_client at the same server" : "not run: openssl is not installed"
        const kilobytePeer = "ChaCha20-Poly1305 in the same VM"
        const rows: Row[] = [
            { what: "1 KB in a record, ChaCha20-Poly1305", unit: "steps", ours: record[0], mark: marks.recordSteps },
            {
                what: "1 KB in a record, AES-128-GCM",
                unit: "steps",
                ours: record[1],
                peer: record[0],
                peerName: kilobytePeer,
            },
            { what: "full handshake, software P-256", unit: "steps", ours: median(steps[0]) },
            { what: "resumed handshake, software P-256", unit: "steps", ours: median(steps[1]) },
            { what: "full handshake in the VM", unit: "ms", ours: inVm.full, peer: inNode.full, peerName: same },
            {
                what: "resumed handshake in the VM",
                unit: "ms",
                ours: inVm.resumed,
                peer: inNode.resumed,
                peerName: same,
            },
            { what: "full handshake in Node", unit: "ms", ours: inNode.full, peer: library.full, peerName: lib },
            {
                what: "resumed handshake in Node",
                unit: "ms",
                ours: inNode.resumed,
                peer: library.resumed,
                peerName: lib,
            },
            ...mucRows("chain never judged", muc.full, muc.openssl?.full, client),
            ...mucRows("first after boot", muc.booted, muc.openssl?.full, client),
            ...mucRows("full, chain judged before", muc.again, muc.openssl?.full, client),
            ...mucRows("resumed", muc.resumed, muc.openssl?.resumed, client),
            { what: "MUC, open and idle: heap", unit: "octets free", ours: muc.idleFree },
        ]
        return {
            group: "tls",
            title: "TLS 1.3, client with a certificate",
            rows,
            notes: [
                "Handshakes in ms: CPU time of both sides, the server's in node:crypto; chain of two certificates.",
                "MUC: the image for the VM with the element's model and a meter on its line. A chain is judged once under the revocation lists that are held; what came of it survives restarts. Octets with tickets.",
                `Modelled: ${stepUs.pico} us a step on a Pico W (measured on an RP2040), ${stepUs.esp32.toFixed(1)} us on an ESP32 (as many cycles a step, 240 MHz), the element's longest times, its bus at 100 kHz; without network and hashing.`,
                "Heap: least at any transaction with the element, garbage collected.",
            ],
        }
    } finally {
        await vm.close()
        pki.remove()
    }
}
