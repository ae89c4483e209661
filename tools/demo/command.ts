import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { ensureBuilt } from "../build/build.ts"
import { ModelSource } from "../calibrate/boards.ts"
import { certifierOf, instituteCrls } from "../calibrate/certifier.ts"
import { judgeWith } from "../calibrate/judge.ts"
import { fingerprint, protocolPage } from "../calibrate/protocol.ts"
import { calibrateMeter, serverIdOf } from "../calibrate/station.ts"
import { readArgs } from "../cli/usage.ts"
import { Desk } from "../desk/desk.ts"
import { parseEvidence } from "../evidence/format.ts"
import { HeadEnd } from "../headend/headend.ts"
import { initPki } from "../pki/init.ts"
import { judgeEvidence } from "../verify/evidence.ts"
import type { Verdict } from "../verify/findings.ts"
import { forgeRegister } from "./forge.ts"

export const help = `plomb demo: one signed reading, from a bare board to a proof, on this desk (what npm start runs)

  plomb demo [--folder DIR] [--verbose]

Builds the images, boots a meter and a MUC in the stock DeviceScript VM with models of their chips, calibrates
the meter, pulls one reading through the MUC, verifies it, and then the same reading with one bit changed.
Everything it makes is left in DIR (default .plomb/demo), which is made anew each time.`

const serial = 20260001
const hardware = "plomb-1"

export async function run(args: string[]): Promise<number> {
    const { values } = readArgs({
        args,
        options: { folder: { type: "string", default: ".plomb/demo" }, verbose: { type: "boolean", default: false } },
    })
    const started = Date.now()
    const folder = values.folder!
    const pki = join(folder, "pki")
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })

    title("A meter that signs what it measures, and one reading proved on this desk")

    step("Images for the stock DeviceScript VM")
    for (const image of ["meter", "muc"]) {
        const { report } = await ensureBuilt(image, "vm")
        const { code, image: octets } = report.sizes
        say(
            `${report.identification}: ${kb(code)} of 64 KB code, ${kb(octets)} image, SHA-256 ${report.sha256.slice(0, 16)}…`,
        )
    }

    step("The parties: two trust anchors and who certifies whom")
    await initPki(pki)
    say("institute root -> calibration authority -> meters")
    say("CA root -> manufacturer, provider's security management -> operators, data collection")

    const source = new ModelSource()
    const onLog = (board: string, line: string) => values.verbose && say(`[${board}] ${line}`)
    const desk = await Desk.open({ serials: [serial], state: join(folder, "state"), load: source, onLog })
    try {
        step("A bare meter on the desk")
        say(
            "models of ATECC608B, ADE7953, DS3231, MB85RC1MT and SC16IS752, written from their data sheets, on its I2C bus",
        )
        await desk.start()

        step("Calibration: the key is made inside and never leaves")
        const protocol = await calibrate(desk, source, pki)
        writeFileSync(join(folder, "calibration.html"), protocolPage(protocol))
        say(`meter ${protocol.serverId}, public key ${fingerprint(protocol.publicKey)} (${protocol.keyProtection})`)
        say(`protocol for the file: ${join(folder, "calibration.html")}`)

        step("One reading, asked for by the head-end, carried by the MUC")
        const headEnd = new HeadEnd({
            store: join(folder, "evidence"),
            anchors: [readFileSync(join(pki, "institute-root", "cert.pem"), "utf8")],
            crls: () => instituteCrls(pki),
            refreshMs: 300,
        })
        const evidencePath = await pull(desk, source, headEnd)

        step("Is it proof? plomb verify knows the file and the institute's root certificate, nothing else")
        const text = readFileSync(evidencePath, "utf8")
        const anchors = [readFileSync(join(pki, "institute-root", "cert.pem"), "utf8")]
        const [verdict] = judgeEvidence(evidencePath, parseEvidence(text), { anchors })
        show(verdict)

        step("The same reading with one bit changed: in 1-0:1.8.0, both checksums mended")
        const forged = forge(text)
        const forgedPath = join(folder, "forged.evidence.json")
        writeFileSync(forgedPath, forged)
        const [refusal] = judgeEvidence(forgedPath, parseEvidence(forged), { anchors })
        show(refusal)

        title("Look for yourself")
        const anchor = join(pki, "institute-root", "cert.pem")
        say(`npx plomb verify ${evidencePath} --anchor ${anchor}`)
        say(`npx plomb verify ${forgedPath} --anchor ${anchor}`)
        say(`npx plomb verify ${evidencePath} --anchor ${anchor} --extract ${join(folder, "openssl")}`)
        const [key, signature, signed] = ["key.pem", "signature.der", "signed.bin"].map(name =>
            join(folder, "openssl", name),
        )
        say(`openssl dgst -sha256 -verify ${key} -signature ${signature} ${signed}`)
        say("")
        say(`done in ${((Date.now() - started) / 1000).toFixed(1)} s`)
        return verdict.name === "proof" && refusal.name === "not proof" ? 0 : 1
    } finally {
        await desk.close()
    }
}

async function calibrate(desk: Desk, source: ModelSource, pki: string) {
    const { bus, meter } = await desk.calibrationLink()
    try {
        return await calibrateMeter({
            meter,
            serial,
            hardware,
            reference: source,
            certifier: certifierOf(pki),
            judge: judgeWith(instituteCrls(pki)),
            now: () => new Date(),
            onStep: (name, final) => say(final ? `${name} (FINAL: ${final})` : name),
            onProgress: text => say(`  ${text}`),
            remember: async () => {},
        })
    } finally {
        bus.dispose()
    }
}

/** Applies a household load for a moment, lets the MUC find the meter, and pulls one reading. Answers the evidence file. */
async function pull(desk: Desk, source: ModelSource, headEnd: HeadEnd): Promise<string> {
    try {
        await source.apply({ name: "household", volts: 231.4, amperes: 8.2, lagDegrees: 12, hertz: 50 })
        const { port } = await headEnd.listen(0)
        await desk.startMuc(`127.0.0.1:${port}`)
        say(`head-end on 127.0.0.1:${port}; the MUC looks round its RS-485 line`)
        const meter = await headEnd.waitForMeter(serverIdOf(serial), 30_000)
        say(`MUC ${meter.muc} has found meter ${meter.serverId}`)
        const stored = await headEnd.pull(meter.serverId)
        say(`signed list ${stored.pagination} received, stored as ${stored.path}`)
        return stored.path
    } finally {
        await headEnd.close()
    }
}

function forge(text: string): string {
    const evidence = JSON.parse(text)
    evidence.sml = forgeRegister(Buffer.from(evidence.sml, "hex")).toString("hex")
    return JSON.stringify(evidence)
}

function show(verdict: Verdict): void {
    for (const finding of verdict.findings) {
        const mark = finding.result === "proved" ? "+" : finding.result === "failed" ? "X" : "-"
        say(
            `${mark} ${finding.check}: ${finding.result === "proved" ? finding.came : `expected ${finding.expected}, came ${finding.came}`}`,
        )
    }
    say("")
    say(`=> ${verdict.name.toUpperCase()}: ${verdict.statement}`)
}

let steps = 0

function title(text: string): void {
    console.log(`\n${text}\n${"=".repeat(text.length)}`)
}

function step(text: string): void {
    console.log(`\n${++steps}. ${text}`)
}

function say(text: string): void {
    console.log(`   ${text}`)
}

function kb(octets: number): string {
    return `${(octets / 1024).toFixed(1)} KB`
}
