import { parseCertificate } from "../../firmware/core/x509.ts"
import { Role, readRole } from "../../firmware/core/x509-role.ts"
import { readArgs, UsageError } from "../cli/usage.ts"
import { addressOf, secondsOf } from "../cli/words.ts"
import { readPair, readTlsSettings, tlsHelp, tlsWords } from "../tls/settings.ts"
import { derOfPem } from "../verify/certificate.ts"
import type { KeptReading } from "./collector.ts"
import { Concentrator } from "./concentrator.ts"

export const help = `plomb concentrator --listen [HOST:]PORT --provider HOST:PORT... --store DIR
              --key PEM --chain PEM --ca PEM --crl PEM... [--every SECONDS --sign-key PEM --sign-chain PEM]
              [--limit MB] [--answer SECONDS] [--ping SECONDS] [--json]

Accepts MUCs and calls providers, both over mutual TLS 1.3 with its own certificate. A provider's requests go to the
MUC that has the meter and the answers come back, octet for octet. With --every it also collects readings by itself,
keeps them in DIR and hands them to the providers in order; they leave DIR when every provider has said that it holds them.

  --listen       where MUCs connect (127.0.0.1 unless a host is named)
  --provider     a head-end, by the name or address in its certificate; repeat for several
  --store DIR    what was collected and not yet delivered; one process at a time
${tlsHelp}
  --every N      standing order: a reading of every meter each N seconds
  --sign-key PEM, --sign-chain PEM   who reads then: key, and certificate with its issuer, of a party with the role
                 dataCollection, which the provider's security management has certified (its own key serves TLS alone)
  --answer N     longest wait for a MUC's answer, in seconds (default 20)
  --ping N       a MUC is asked this often whether it is still there, in seconds (default 60)
  --limit MB     most that is kept (default 256); then nothing more is collected until something is delivered
  --json         one JSON line for each reading that is on disk; the log goes to stderr

Ctrl-C ends it; so may a power cut.`

const mostMegabytes = 1_000_000

/** Who reads by the standing order. Throws `UsageError` for what is missing, unreadable, or may do more than it should. */
function collectorOf(key = "", chain = ""): { key: string; chain: string } {
    if (!key || !chain)
        throw new UsageError("--every needs --sign-key and --sign-chain: meters answer who may read them")
    const texts = readPair(key, chain, ["--sign-key", "--sign-chain"])
    const role = readRole(parseCertificate(derOfPem(texts.chain, "CERTIFICATE")))?.role
    if (role !== Role.dataCollection)
        throw new UsageError(
            `--sign-chain ${chain}: expected the role dataCollection, came ${Role[role ?? -1] ?? role}`,
        )
    return texts
}

/** `plomb concentrator`; the answer is the exit code. */
export async function run(args: string[]): Promise<number> {
    const { values } = readArgs({
        args,
        options: {
            listen: { type: "string" },
            provider: { type: "string", multiple: true },
            store: { type: "string" },
            ...tlsWords,
            every: { type: "string" },
            "sign-key": { type: "string" },
            "sign-chain": { type: "string" },
            limit: { type: "string" },
            answer: { type: "string" },
            ping: { type: "string" },
            json: { type: "boolean" },
        },
    })
    const { host, port } = addressOf("--listen", values.listen)
    const providers = (values.provider ?? []).map(text => addressOf("--provider", text, true))
    if (providers.length === 0) throw new UsageError("--provider HOST:PORT: to whom it delivers")
    if (!values.store) throw new UsageError("--store DIR: where it keeps what it collects")
    const everyMs = values.every === undefined ? undefined : 1000 * secondsOf(values.every, "--every", 60)
    const timeoutMs = 1000 * secondsOf(values.answer, "--answer", 20)
    const pingMs = 1000 * secondsOf(values.ping, "--ping", 60)
    const megabytes = Number(values.limit ?? 256)
    if (!(megabytes > 0 && megabytes <= mostMegabytes))
        throw new UsageError(`--limit ${values.limit}: expected megabytes`)
    const log = (line: string) => {
        const text = `${new Date().toISOString()} ${line}`
        if (values.json) console.error(text)
        else console.log(text)
    }
    const tls = readTlsSettings(values, log)
    const sign = everyMs === undefined ? undefined : collectorOf(values["sign-key"], values["sign-chain"])
    const concentrator = new Concentrator({
        tls,
        store: values.store,
        providers,
        everyMs,
        sign,
        limit: megabytes * 1e6,
        timeoutMs,
        pingMs,
        silenceMs: Math.min(45_000, 3 * pingMs),
    })
    concentrator.on("log", log)
    concentrator.on("kept", (kept: KeptReading) => {
        if (values.json) console.log(JSON.stringify(kept))
        else log(`meter ${kept.serverId} reading ${kept.pagination}: kept`)
    })
    let stop = () => {}
    const asked = new Promise<void>(resolve => {
        stop = resolve
    })
    process.once("SIGINT", stop)
    process.once("SIGTERM", stop)
    try {
        log(`concentrator ${concentrator.id}`)
        await concentrator.listen(port, host)
        await asked
    } finally {
        process.off("SIGINT", stop)
        process.off("SIGTERM", stop)
        await concentrator.close()
    }
    return 0
}
