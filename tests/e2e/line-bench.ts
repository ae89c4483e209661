import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { instituteCrls } from "../../tools/calibrate/certifier.ts"
import { serverIdOf } from "../../tools/calibrate/station.ts"
import { attentionsOf, type Entry, Ledger } from "../../tools/campaign/ledger.ts"
import { constantLoad, type LoadSource } from "../../tools/chips/load-source.ts"
import { layOutReadable } from "../../tools/desk/calibrated.ts"
import { Desk } from "../../tools/desk/desk.ts"
import { LineOperator } from "../../tools/desk/line-operator.ts"
import { LineProbe } from "../../tools/desk/line-probe.ts"
import { chainRequest } from "../../tools/headend/requests.ts"
import { readResponse, treeValues } from "../../tools/headend/responses.ts"
import { derOfPem, readCertificate } from "../../tools/verify/certificate.ts"
import { judgeEvidence } from "../../tools/verify/evidence.ts"
import type { Verdict } from "../../tools/verify/findings.ts"

const period = 900_000

/** One calibrated meter in a virtual world, and the test as the master of its line, in the name of the operator. */
export class LineBench {
    readonly ledger: Ledger
    readonly probe: LineProbe
    readonly id: Buffer
    private readonly operator: LineOperator
    private asked = 0

    private constructor(
        readonly folder: string,
        readonly desk: Desk,
        serial: number,
    ) {
        this.id = Buffer.from(serverIdOf(serial), "hex")
        this.probe = new LineProbe(desk.world, desk.wire)
        this.operator = new LineOperator(desk.world, join(folder, "pki"), this.id)
        const pem = readFileSync(join(folder, "pki", "meters", serverIdOf(serial), "cert.pem"), "utf8")
        this.ledger = new Ledger(readCertificate(derOfPem(pem, "CERTIFICATE")).key)
    }

    /** The meter has power and has measured for three seconds; the next period ends `leadMs` after power-on. */
    static async open(serial: number, load: LoadSource = constantLoad(3000), leadMs = 60_000): Promise<LineBench> {
        const folder = mkdtempSync(join(tmpdir(), "plomb-line-"))
        await layOutReadable(folder, [serial])
        const desk = await Desk.open({
            serials: [serial],
            state: join(folder, "state"),
            load,
            clock: "virtual",
            startMs: Math.ceil((Date.now() + leadMs) / period) * period - leadMs,
        })
        const bench = new LineBench(folder, desk, serial)
        await desk.start()
        await desk.world.runFor(3000)
        return bench
    }

    get meter() {
        return this.desk.meters[0]
    }

    requestId(): Buffer {
        return Buffer.from([0xe2, ++this.asked >> 8, this.asked & 0xff])
    }

    /** A command of the operator with these requests. */
    command(...requests: Buffer[]): Buffer {
        return this.operator.command(this.requestId(), ...requests)
    }

    /** The command that asks for a list made now, or for a stored one. */
    listRequest(pagination?: number): Buffer {
        return this.operator.list(this.requestId(), pagination)
    }

    /** The command that asks for rows, UTC seconds. */
    profileRequest(from: number, to: number): Buffer {
        return this.operator.profile(this.requestId(), from, to)
    }

    /** A list made now. Fails where none comes. */
    async list(): Promise<Entry> {
        const raw = await this.probe.ask(this.listRequest())
        if (!raw) throw new Error(`no answer; log: ${this.meter.board.log.slice(-8).join(" | ")}`)
        const [entry] = this.ledger.take(raw)
        if (!entry) throw new Error(`no list, but attention ${attentionsOf(raw)}`)
        return entry
    }

    /** Asks with a request file and judges each list and row of the answer as a provider would. */
    async judged(request: Buffer): Promise<Verdict[]> {
        const chainFile = await this.probe.ask(chainRequest(this.requestId(), this.id))
        const sml = await this.probe.ask(request)
        if (!chainFile || !sml) throw new Error("no answer")
        this.ledger.take(sml)
        const pems = treeValues(readResponse(chainFile), 8).map(
            der => `-----BEGIN CERTIFICATE-----\n${der.toString("base64")}\n-----END CERTIFICATE-----\n`,
        )
        const pki = join(this.folder, "pki")
        const evidence = {
            sml,
            request,
            chain: pems,
            crls: instituteCrls(pki),
            receivedAt: new Date(this.desk.world.nowMs()).toISOString(),
            source: { muc: "", headend: "test" },
        }
        const anchors = [readFileSync(join(pki, "institute-root", "cert.pem"), "utf8")]
        return judgeEvidence("answer", evidence, { anchors })
    }

    /** Attention numbers of the answer; "silence" where there is none. */
    async attentions(request: Buffer, timeoutMs = 4000): Promise<string[] | "silence"> {
        const raw = await this.probe.ask(request, timeoutMs)
        return raw ? attentionsOf(raw) : "silence"
    }

    /** Rows whose periods ended in a range of UTC seconds, fetched as a head-end does. */
    async rows(from: number, to: number): Promise<Entry[]> {
        const rows: Entry[] = []
        for (let begin = from; begin <= to; ) {
            const raw = await this.probe.ask(this.profileRequest(begin, to), 15_000)
            if (!raw) throw new Error("no answer")
            if (attentionsOf(raw).length > 0) break
            rows.push(...this.ledger.take(raw))
            begin = (rows[rows.length - 1].periodEnd ?? to) + 1
        }
        return rows
    }

    seconds(): number {
        return Math.floor(this.desk.world.nowMs() / 1000)
    }

    async close(): Promise<void> {
        await this.meter.board.powerOff()
        this.desk.world.close()
        rmSync(this.folder, { recursive: true, force: true })
    }
}
