import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { instituteCrls } from "../../tools/calibrate/certifier.ts"
import { serverIdOf } from "../../tools/calibrate/station.ts"
import { attentionsOf, type Entry, Ledger } from "../../tools/campaign/ledger.ts"
import { constantLoad, type LoadSource } from "../../tools/chips/load-source.ts"
import { layOutCalibrated } from "../../tools/desk/calibrated.ts"
import { Desk } from "../../tools/desk/desk.ts"
import { LineProbe } from "../../tools/desk/line-probe.ts"
import { chainRequest, listRequest, profileRequest } from "../../tools/headend/requests.ts"
import { readResponse, treeValues } from "../../tools/headend/responses.ts"
import { derOfPem, readCertificate } from "../../tools/verify/certificate.ts"
import { judgeEvidence } from "../../tools/verify/evidence.ts"
import type { Verdict } from "../../tools/verify/findings.ts"

const period = 900_000

/** One calibrated meter in a virtual world, and the test as the master of its line. */
export class LineBench {
    readonly ledger: Ledger
    readonly probe: LineProbe
    readonly id: Buffer
    readonly log: string[] = []
    private asked = 0

    private constructor(
        readonly folder: string,
        readonly desk: Desk,
        serial: number,
    ) {
        this.id = Buffer.from(serverIdOf(serial), "hex")
        this.probe = new LineProbe(desk.world, desk.wire)
        const pem = readFileSync(join(folder, "pki", "meters", serverIdOf(serial), "cert.pem"), "utf8")
        this.ledger = new Ledger(readCertificate(derOfPem(pem, "CERTIFICATE")).key)
    }

    /** The meter has power and has measured for three seconds; the next period ends `leadMs` after power-on. */
    static async open(serial: number, load: LoadSource = constantLoad(3000), leadMs = 60_000): Promise<LineBench> {
        const folder = mkdtempSync(join(tmpdir(), "plomb-line-"))
        await layOutCalibrated(folder, [serial])
        const log: string[] = []
        const desk = await Desk.open({
            serials: [serial],
            state: join(folder, "state"),
            load,
            clock: "virtual",
            startMs: Math.ceil((Date.now() + leadMs) / period) * period - leadMs,
            onLog: (_, line) => log.push(line),
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

    /** A list made now. Fails where none comes. */
    async list(): Promise<Entry> {
        const raw = await this.probe.ask(listRequest(this.requestId(), this.id))
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
            const raw = await this.probe.ask(profileRequest(this.requestId(), this.id, begin, to), 15_000)
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
