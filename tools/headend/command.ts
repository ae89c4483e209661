import { existsSync, readFileSync } from "node:fs"
import { readArgs, UsageError } from "../cli/usage.ts"
import { addressOf, secondsOf } from "../cli/words.ts"
import { isIsoTime } from "../evidence/format.ts"
import { crlReader, readTlsSettings, tlsHelp, tlsWords } from "../tls/settings.ts"
import { splitPem } from "../verify/certificate.ts"
import { readAnchors } from "../verify/chain.ts"
import { DerDamage } from "../verify/der.ts"
import { isProof } from "../verify/text.ts"
import { serveControl } from "./control.ts"
import { HeadEnd } from "./headend.ts"
import { ExchangeError } from "./responses.ts"
import type { StoredReading } from "./store.ts"

export const help = `plomb headend --listen [HOST:]PORT --store DIR --key PEM --chain PEM --ca PEM [--crl PEM]...
              [--anchor PEM]... [--every SECONDS | --once] [--meter SERVERID] [--profile FROM..TO] [--timeout SECONDS]
              [--answer SECONDS] [--ping SECONDS] [--counter FILE] [--json]

Accepts MUCs and concentrators over mutual TLS 1.3, pulls signed readings of their meters, takes what concentrators
have collected, judges each reading and stores it as
DIR/SERVERID/NUMBER-TIME.evidence.json, with the revocation lists of the moment. What fails a check is
kept apart in DIR/SERVERID/refused. A reading lost on the way is fetched again by its number.

  --listen       where MUCs and concentrators connect (127.0.0.1 unless a host is named)
${tlsHelp}
                 (those of the institute's side go into the evidence)
                 The same key signs the commands by which readings are asked for.
  --counter FILE counter of the key's commands (default DIR/command-counter-KEY.json): whoever commands with
                 the same key must use the same file
  --anchor PEM   certificate of the institute; without it no reading is called proof
  --every N      pull every meter each N seconds (default 60), but those that a concentrator collects from
  --once         pull every meter once and end: exit code 0 if all were proof
  --meter ID     only this meter (hex)
  --profile F..T also the signed 15-minute rows from F to T (ISO 8601 with zone)
  --timeout N    longest wait for a MUC at the start, with --once (default 120)
  --answer N     longest wait for an answer, in seconds (default 30)
  --ping N       a peer is asked this often whether it is still there, in seconds (default 60)
  --control S    a socket S (a file of its owner only) by which \`plomb operator --through S\` has signed commands carried
  --json         one JSON line a reading; the log goes to stderr

Ctrl-C ends it; every reading reported is on disk.`

function anchorsOf(paths: string[]): string[] {
    return paths.flatMap(path => {
        if (!existsSync(path)) throw new UsageError(`--anchor ${path}: no such file`)
        const pems = splitPem(readFileSync(path, "latin1"), "CERTIFICATE")
        if (pems.length === 0) throw new UsageError(`--anchor ${path}: no PEM text of "CERTIFICATE" in it`)
        try {
            readAnchors(pems)
        } catch (error) {
            if (!(error instanceof DerDamage)) throw error
            throw new UsageError(`--anchor ${path}: ${error.message}`)
        }
        return pems
    })
}

function rangeOf(text: string | undefined): { from: number; to: number } | undefined {
    if (text === undefined) return undefined
    const parts = text.split("..")
    if (parts.length !== 2 || !parts.every(isIsoTime) || Date.parse(parts[0]) > Date.parse(parts[1]))
        throw new UsageError(`--profile ${text}: expected FROM..TO, two moments like 2026-11-22T14:00:00Z`)
    const [from, to] = parts.map(part => Math.floor(Date.parse(part) / 1000))
    return { from, to }
}

function jsonLines({ serverId, path, duplicate, verdicts }: StoredReading): string[] {
    return verdicts.map(({ name, statement, reading }) =>
        JSON.stringify({ serverId, verdict: name, proof: isProof(name), statement, reading, path, duplicate }),
    )
}

/** `plomb headend`; the answer is the exit code. */
export async function run(args: string[]): Promise<number> {
    const { values } = readArgs({
        args,
        options: {
            listen: { type: "string" },
            store: { type: "string" },
            anchor: { type: "string", multiple: true },
            ...tlsWords,
            every: { type: "string" },
            once: { type: "boolean" },
            meter: { type: "string" },
            profile: { type: "string" },
            timeout: { type: "string" },
            answer: { type: "string" },
            ping: { type: "string" },
            counter: { type: "string" },
            control: { type: "string" },
            json: { type: "boolean" },
        },
    })
    const { host, port } = addressOf("--listen", values.listen)
    if (!values.store) throw new UsageError("--store DIR: where the evidence goes")
    if (values.once && values.every !== undefined) throw new UsageError("--once or --every, not both")
    if (values.meter !== undefined && !/^([0-9a-fA-F]{2}){5,20}$/.test(values.meter))
        throw new UsageError(`--meter ${values.meter}: expected a server id in hex digits`)
    const everyMs = 1000 * secondsOf(values.every, "--every", 60)
    const waitMs = 1000 * secondsOf(values.timeout, "--timeout", 120)
    const timeoutMs = 1000 * secondsOf(values.answer, "--answer", 30)
    const pingMs = 1000 * secondsOf(values.ping, "--ping", 60)
    const range = rangeOf(values.profile)
    const anchors = anchorsOf(values.anchor ?? [])
    const log = (line: string) => {
        const text = `${new Date().toISOString()} ${line}`
        if (values.json) console.error(text)
        else console.log(text)
    }
    const crls = crlReader(values.crl ?? [], log)
    const tls = readTlsSettings(values, log)
    const headEnd = new HeadEnd({
        store: values.store,
        tls,
        counter: values.counter,
        anchors,
        crls,
        timeoutMs,
        pingMs,
        drainMs: Math.min(2000, pingMs),
    })
    headEnd.on("log", log)
    const tally = { readings: 0, proved: 0, failed: 0 }
    headEnd.on("reading", (stored: StoredReading) => {
        tally.readings += stored.verdicts.length
        tally.proved += stored.verdicts.filter(({ name }) => isProof(name)).length
        if (values.json) for (const line of jsonLines(stored)) console.log(line)
    })
    await headEnd.listen(port, host)
    const control = values.control === undefined ? undefined : await serveControl(values.control, headEnd)

    let stop = () => {}
    let stopped = false
    const asked = new Promise<void>(resolve => {
        stop = () => {
            stopped = true
            resolve()
        }
    })
    process.once("SIGINT", stop)
    process.once("SIGTERM", stop)
    try {
        await Promise.race([asked, work()])
    } finally {
        process.off("SIGINT", stop)
        process.off("SIGTERM", stop)
        await control?.close()
        await headEnd.close()
    }
    if (!values.once) return 0
    log(
        `${tally.proved} of ${tally.readings} readings are proof${tally.failed ? `, ${tally.failed} meters did not answer` : ""}`,
    )
    return tally.readings > 0 && tally.proved === tally.readings && tally.failed === 0 ? 0 : 1

    async function pullAll(): Promise<void> {
        const wanted = values.meter?.toLowerCase()
        const collecting = values.once || wanted ? [] : headEnd.collecting()
        const meters = headEnd
            .meters()
            .filter(({ serverId }) => !wanted || serverId === wanted)
            .filter(({ concentrator }) => !concentrator || !collecting.includes(concentrator))
        await Promise.all(
            meters.map(async ({ serverId }) => {
                try {
                    await headEnd.pull(serverId)
                    if (range) await headEnd.profile(serverId, range.from, range.to)
                } catch (error) {
                    if (!(error instanceof ExchangeError)) throw error
                    ++tally.failed
                }
            }),
        )
    }

    async function work(): Promise<void> {
        if (values.once) {
            await headEnd.waitForMeter(values.meter, waitMs)
            await pullAll()
            return
        }
        while (!stopped) {
            const started = Date.now()
            await pullAll()
            const pause = headEnd.meters().length > 0 ? everyMs - (Date.now() - started) : 500
            await Promise.race([asked, new Promise(resolve => setTimeout(resolve, Math.max(100, pause)))])
        }
    }
}
