import { spawnSync } from "node:child_process"
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { ensureBuilt } from "../build/build.ts"
import { ModelSource } from "../calibrate/boards.ts"
import { instituteCrls } from "../calibrate/certifier.ts"
import { fingerprint, protocolPage } from "../calibrate/protocol.ts"
import { calibrateMeter, serverIdOf } from "../calibrate/station.ts"
import { readArgs } from "../cli/usage.ts"
import { installMuc, quietJob } from "../desk/calibrated.ts"
import { Desk } from "../desk/desk.ts"
import { partyTls } from "../desk/parties.ts"
import { parseEvidence } from "../evidence/format.ts"
import { HeadEnd } from "../headend/headend.ts"
import { initPki } from "../pki/init.ts"
import { judgeEvidence } from "../verify/evidence.ts"
import { extract } from "../verify/extract.ts"
import { forgeRegister } from "./forge.ts"
import { readingLines, verdictLines } from "./show.ts"

export const help = `plomb demo: one signed reading, from a bare board to a proof, on this desk (what npm start runs)

  plomb demo [--folder DIR] [--verbose]

Builds the images, boots a meter and a MUC in the stock DeviceScript VM with models of their chips, installs the MUC,
calibrates the meter, pulls one reading through the MUC, verifies it, and then the same reading with one bit changed.
Everything it makes is left in DIR (default .plomb/demo), which is made anew each time. --verbose says each
finding, each measurement and what the boards print.`

const serial = 20260001

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
    for (const image of ["meter_calibration", "meter", "muc_install", "muc"]) {
        const { report } = await ensureBuilt(image, "vm")
        const { code, image: octets } = report.sizes
        say(
            `${report.identification}: ${kb(code)} of 64 KB code, ${kb(octets)} image, SHA-256 ${report.sha256.slice(0, 16)}…`,
        )
    }

    step("The parties: two roots of trust, and who certifies whom")
    await initPki(pki, { hss: "H5/W4" })
    say("institute root -> calibration authority -> meters")
    say("CA root -> manufacturer, provider's security management -> operators, data collection")
    const anchor = join(folder, "institute-root.pem")
    copyFileSync(join(pki, "institute-root", "cert.pem"), anchor)
    const anchors = [readFileSync(anchor, "utf8")]

    const source = new ModelSource()
    const onLog = (board: string, line: string) => values.verbose && say(`[${board}] ${line}`)
    const program = "meter_calibration"
    const desk = await Desk.open({ serials: [serial], state: join(folder, "state"), load: source, onLog, program })
    const headEnd = new HeadEnd({
        store: join(folder, "evidence"),
        tls: partyTls(pki, "operator"),
        anchors,
        crls: () => instituteCrls(pki),
        refreshMs: 300,
    })
    try {
        step("A bare meter on the desk")
        say("Its program runs in the same virtual machine as on a board. On its I2C bus are models of")
        say("ATECC608B, ADE7953, DS3231, MB85RC1MT and SC16IS752, written from their data sheets.")
        await desk.start()

        step("A MUC: produced by the manufacturer, installed with its keys and whom it may believe")
        await installMuc(join(folder, "state"), pki, 1, (name, final) => {
            say(name)
            if (final) say(`  FINAL: ${final}`)
        })

        step("Calibration: the meter makes its key inside a secure element, where it stays")
        const { port } = await headEnd.listen(0)
        const protocol = await calibrate(desk, source, pki, values.verbose!)
        const page = join(folder, "calibration.html")
        writeFileSync(page, protocolPage(protocol))
        say(`meter ${protocol.serverId}, protected by: ${protocol.keyProtection}`)
        say(
            `it runs ${protocol.software.identification}, checksum ${protocol.software.checksum.slice(0, 16)}…, and has signed that`,
        )
        say(`public key ${fingerprint(protocol.publicKey)}; to print: ${page}`)

        step("One reading, asked for by the head-end, carried by the MUC over TLS 1.3 and RS-485")
        await desk.startMuc({ uplink: `127.0.0.1:${port}` })
        await source.apply({ name: "household", volts: 231.4, amperes: 8.2, lagDegrees: 12, hertz: 50 })
        const meter = await headEnd.waitForMeter(serverIdOf(serial), 30_000)
        say(`MUC ${meter.muc} has found the meter; it and the head-end know each other by certificates`)
        await headEnd.waitForProvider(meter.serverId, 60_000)
        say("the MUC has brought the provider's certificate to the meter: it knows now who may read it")
        const stored = await headEnd.pull(meter.serverId)
        const evidence = join(folder, "reading.evidence.json")
        copyFileSync(stored.path, evidence)
        const text = readFileSync(evidence, "utf8")
        const [verdict] = judgeEvidence(evidence, parseEvidence(text), { anchors })
        show(readingLines(verdict.reading))

        step("Is it proof? The judge has this file and the institute's root certificate, nothing else")
        show(verdictLines(verdict, values.verbose!))

        step("The same reading with one bit of 1-0:1.8.0 changed, and every checksum mended")
        const forged = forge(text)
        const forgedPath = join(folder, "forged.evidence.json")
        writeFileSync(forgedPath, forged)
        const [refusal] = judgeEvidence(forgedPath, parseEvidence(forged), { anchors })
        say(`energy drawn: ${verdict.reading["1-0:1.8.0"]} has become ${refusal.reading["1-0:1.8.0"]}`)
        show(verdictLines(refusal, values.verbose!))

        title("Look for yourself")
        say(`npx plomb verify ${evidence} --anchor ${anchor}`)
        say(`npx plomb verify ${forgedPath} --anchor ${anchor}`)
        const openssl = join(folder, "openssl")
        extract(openssl, [verdict])
        if (spawnSync("openssl", ["version"]).error)
            say(`There is no openssl here; what it needs to check the signature is in ${openssl}.`)
        else {
            say(`(cd ${openssl} && openssl dgst -sha256 -verify key.pem -signature signature.der signed.bin)`)
        }
        say("")
        say(`All of this took ${((Date.now() - started) / 1000).toFixed(1)} s. Everything is in ${folder}.`)
        return verdict.name === "proof" && refusal.name === "not proof" ? 0 : 1
    } finally {
        await headEnd.close()
        await desk.close()
    }
}

/** Calibrates the meter, and has it run the field image. */
async function calibrate(desk: Desk, source: ModelSource, pki: string, all: boolean) {
    const { bus, meter } = await desk.calibrationLink()
    try {
        return await calibrateMeter({
            ...(await quietJob(desk, meter, source, pki)),
            onStep: (name, final) => {
                say(name)
                if (final) say(`  FINAL: ${final}`)
            },
            onProgress: text => (all || text.startsWith("proof")) && say(`  ${text}`),
        })
    } finally {
        bus.dispose()
    }
}

function forge(text: string): string {
    const evidence = JSON.parse(text)
    evidence.sml = forgeRegister(Buffer.from(evidence.sml, "hex")).toString("hex")
    return JSON.stringify(evidence)
}

function show(lines: string[]): void {
    for (const line of lines) console.log(line)
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
