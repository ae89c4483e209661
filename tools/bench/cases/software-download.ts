import { createHash } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Code } from "../../../firmware/core/errors.ts"
import { PackageSigner } from "../../../firmware/core/package.ts"
import { attestationPath, blockPath, softwarePath } from "../../../firmware/core/sml-parameter.ts"
import { blocksOf, blockValue, digestOf } from "../../package/delivery.ts"
import { anchorsOf, judgePackage } from "../../package/judge.ts"
import type { Package } from "../../package/package.ts"
import { approve, countersign } from "../../package/steps.ts"
import { initPki } from "../../pki/init.ts"
import { revoke } from "../../pki/revoke.ts"
import { expected, type Matrix, type Report, unexpected } from "../report.ts"
import { codeText } from "./answer.ts"
import { hss } from "./ground.ts"
import { Installer } from "./installer.ts"
import { nextVersion, testModule } from "./modules.ts"
import { onGround, type Where } from "./on-ground.ts"
import { altered, type Flaw, oversized, signed, spoilt, submission } from "./packages.ts"
import { evidenceOf, verdictOf } from "./proof.ts"
import { get, set } from "./requests.ts"
import type { Story } from "./story.ts"

const signers: [PackageSigner, string][] = [
    [PackageSigner.manufacturerEs256, "manufacturer's ES256"],
    [PackageSigner.manufacturerHss, "manufacturer's HSS/LMS"],
    [PackageSigner.instituteEs256, "institute's ES256"],
    [PackageSigner.instituteHss, "institute's HSS/LMS"],
]

/**
 * "Download of Metrological Software": the manufacturer submits, the institute approves and signs, the manufacturer countersigns, the
 * provider distributes; the device checks all of them before anything runs.
 */
export function run({ where = "vm" }: { where?: Where }): Promise<Report> {
    return onGround("Download of metrological software", where, async (installer, story) => {
        const image = await nextVersion()
        await installed(installer, story, image)
        const rows = await refusedPackages(installer)
        rows.push(...(await revokedSigners(installer)))
        await installer.ground.powerCut()
        await installer.ground.pass(3)
        const { name, verdict } = await installer.reading(sha256(image))
        story.shows("meter", "after a power cut, its software's signers revoked, runs", "metrology 2.0.0", name)
        story.shows("verifier", "judges that reading beside package and build", "proof", verdict.name)
        return [table(rows)]
    })
}

/** The flow in the paper's order. */
async function installed(installer: Installer, story: Story, image: Buffer): Promise<void> {
    const { ground, by } = installer
    const { company, hardware } = ground
    const { pki, meter } = company
    const submitted = submission(hardware, image, { version: "2.0.0", floor: "1.0.0" })
    const accepted = (made: Package) => {
        const signatures = made.signatures.length
        const good = signatures > 0 && judgePackage(made.octets(), anchorsOf(pki), company.now()).accepted
        return `${signatures} signatures, ${good ? "accepted" : "not accepted"}`
    }
    story.shows("manufacturer", "submits metrology 2.0.0", "0 signatures, not accepted", accepted(submitted))
    const approved = await approve(submitted, pki)
    story.shows("institute", "approves and signs it", "2 signatures, not accepted", accepted(approved))
    const made = await countersign(approved, pki)
    story.shows("manufacturer", "countersigns it", "4 signatures, accepted", accepted(made))

    const file = made.octets()
    const collector = await company.certify("data-collection", "data collection")
    const asCollector = new Installer(ground, collector, collector)
    story.refused(collector, "announces it", await asCollector.announce(file), Code.FunctionDenied)
    story.done(by, "announces it", await installer.announce(file))
    const blocks = blocksOf(file).length
    const half = blocks >> 1
    const energies: number[] = []
    const readings = async () => {
        const { verdict, name, energy } = await installer.reading()
        if (verdict.name === "proof" && name === "metrology 1.0.0") energies.push(energy)
    }
    for (let i = 0; i < half; ++i) {
        await installer.block(file, i)
        if (i % 2 === 0) await readings()
    }
    await ground.powerCut()
    const kept = (await installer.state()).blocks.filter(Boolean).length
    story.shows("meter", "after a power cut in the midst, blocks that are there", `${half}`, `${kept}`)
    const other = blocksOf(file)[half].map(octet => octet ^ 1)
    const wrong = await company.ask(meter, [set(blockPath, blockValue(half, other))])
    story.refused("nobody", "brings another block than was announced", wrong, Code.SlotBlock)
    let sent = 0
    const end = await installer.deliver(file, async index => {
        ++sent
        if (index % 2 === 0) await readings()
    })
    story.shows(
        by.name,
        "delivers the rest, over the same way",
        `done, ${blocks - half} blocks`,
        `${end.text}, ${sent} blocks`,
    )
    const rising = energies.every((each, i) => i === 0 || each > energies[i - 1])
    story.shows(
        "verifier",
        "judges the readings meanwhile",
        `${energies.length} proofs, rising`,
        `${energies.length} proofs, ${rising ? "rising" : "not rising"}`,
        rising && energies.length >= blocks / 2,
    )
    const verified = await installer.state()
    story.shows(
        "meter",
        "holds it; what runs",
        "verified; metrology 1.0.0",
        `${verified.slots[0].state}; ${verified.identification}`,
    )

    story.refused(collector, "activates it", await asCollector.activate(file), Code.FunctionDenied)
    story.refused(by, "confirms what is not on trial", await installer.confirm(file), Code.SlotState)
    story.done(by, "activates it; its self-test is good", await installer.activate(file))
    const trial = await installer.state()
    story.shows(
        "meter",
        "has it on trial; the floor",
        "on trial; none",
        `${trial.slots[0].state}; ${trial.floor === 0 ? "none" : trial.floor}`,
    )
    await ground.pass(5)
    const first = await installer.reading(sha256(image))
    story.shows(
        "verifier",
        "judges a reading beside package and build",
        "proof: metrology 2.0.0",
        `${first.verdict.name}: ${first.name}`,
    )
    story.shows("registers", "went on", "higher", first.energy > (energies.at(-1) ?? 0) ? "higher" : "lower")
    story.done(by, "confirms it", await installer.confirm(file))
    const after = await installer.state()
    story.shows(
        "meter",
        "has it active; the floor",
        "active; 1.0.0",
        `${after.slots[0].state}; ${after.floor >> 16}.0.0`,
    )

    const asked = await company.tell(installer.inspector, meter, [get(attestationPath)])
    const evidence = evidenceOf(company, meter, asked)
    const known = { module: sha256(image), image: ground.fixedPart }
    story.shows(
        "institute",
        "has it attested, beside package and build",
        "proof",
        verdictOf(company, evidence, 0, known).name,
    )
    const elsewhere = { ...known, module: sha256(Buffer.from("another")) }
    story.shows(
        "institute",
        "the same beside another package",
        "not proof",
        verdictOf(company, evidence, 0, elsewhere).name,
    )
    for (const path of ["manufacturer", "security-management"])
        story.done(
            company.person(path),
            "sees what the slots hold",
            await company.tell(company.person(path), meter, [get(softwarePath)]),
        )
    const told = (await installer.entries()).map(({ event }) => event).filter(event => event.startsWith("software"))
    const wanted = ["softwareAnnounced", "softwareReceived", "softwareActivated", "softwareConfirmed"]
    story.shows("logbook", "tells it in order", wanted.join(", "), told.join(", "))
}

/** One line of the matrix of what must not run. */
interface Refused {
    what: string
    codes: Code[]
    code: number
    /** Code in the newest entry about a failure, 0 = there is none. */
    logged: number
    goesOn: boolean
}

/** Packages that are not for this meter, and packages that not all have signed who must. */
async function refusedPackages(installer: Installer): Promise<Refused[]> {
    const { company, hardware } = installer.ground
    const { pki } = company
    const small = await testModule("sound")
    const make = (said = {}, of = hardware) => signed(pki, submission(of, small, said))
    const rows: Refused[] = []
    const attempt = async (what: string, file: Buffer, ...codes: Code[]) =>
        void rows.push(await tried(installer, what, file, codes))
    await attempt("for other hardware", (await make({}, "plomb-2")).octets(), Code.SoftwareHardware)
    await attempt("for another component", (await make({ component: "muc" })).octets(), Code.SoftwareComponent)
    await attempt("not metrological", (await make({ metrological: false })).octets(), Code.SoftwareComponent)
    await attempt("for a newer runtime", (await make({ runtime: "2.17.0" })).octets(), Code.SoftwareRuntime)
    await attempt("the same version", (await make({ version: "2.0.0" })).octets(), Code.SoftwareVersion)
    await attempt("older, above the floor", (await make({ version: "1.5.0" })).octets(), Code.SoftwareVersion)
    await attempt("older, below the floor", (await make({ version: "0.9.0" })).octets(), Code.SoftwareVersion)
    const sound = await make()
    const large = await signed(pki, oversized(hardware))
    await attempt("an image larger than there is room for", large.octets(), Code.PackageForm)
    await attempt("another image than was signed", altered(sound), Code.PackageHash)
    const foreign = await foreignPackage(hardware, small, company.now())
    for (const [signer, name] of signers)
        for (const flaw of ["missing", "broken", "by the wrong party"] as Flaw[])
            await attempt(`${name} ${flaw}`, spoilt(sound, signer, flaw, foreign), ...codesOf(signer, flaw))
    return rows
}

function codesOf(signer: PackageSigner, flaw: Flaw): Code[] {
    if (flaw === "broken") return [Code.PackageSignature]
    if (flaw === "by the wrong party" && signer === PackageSigner.instituteEs256) return [Code.ChainKeyId]
    return [Code.PackageSigner]
}

/** A good package whose signers are revoked, one after the other; one that is there is not activated either. */
async function revokedSigners(installer: Installer): Promise<Refused[]> {
    const { company, hardware } = installer.ground
    const { pki, meter } = company
    const small = await testModule("sound")
    const good = (await signed(pki, submission(hardware, small, { version: "3.0.0" }))).octets()
    const next = (await signed(pki, submission(hardware, small, { version: "3.1.0" }))).octets()
    const rows: Refused[] = []
    await installer.deliver(good)
    await revoke(pki, join(pki, "institute-approval", "cert.pem"), "keyCompromise", { now: company.now() })
    await company.bringList(meter, "institute-root")
    rows.push(await tried(installer, "institute's ES256 revoked", next, [Code.ChainRevoked]))
    rows.push(
        await tried(installer, "the same, delivered before", good, [Code.ChainRevoked], file =>
            installer.activate(file),
        ),
    )
    await revoke(pki, join(pki, "manufacturer", "cert.pem"), "keyCompromise", { now: company.now() })
    await company.bringList(meter, "ca-root")
    rows.push(await tried(installer, "manufacturer's ES256 and HSS/LMS revoked", next, [Code.CertificateMissing]))
    return rows
}

/** Has the meter take a package, or do something with it, and looks at what came of it. */
async function tried(
    installer: Installer,
    what: string,
    file: Buffer,
    codes: Code[],
    how = (octets: Buffer) => installer.deliver(octets),
): Promise<Refused> {
    const before = await installer.reading()
    const came = await how(file)
    const state = await installer.state()
    await installer.ground.pass(2)
    const after = await installer.reading()
    // A line repeats commands.
    const failures = (await installer.entries()).filter(({ code }) => code > 0 && code !== Code.CommandReplayed)
    const logged = failures.at(-1)?.code ?? 0
    const sound = after.verdict.name === "proof" && after.name === before.name && after.energy > before.energy
    const mine = digestOf(file).toString("hex")
    const ready = state.slots.some(
        each => each.digest === mine && each.state !== "failed" && each.state !== "receiving",
    )
    return { what, codes, code: came.code, logged, goesOn: sound && !ready }
}

/** The same manifest and image, signed by a manufacturer and an institute that no device knows. */
async function foreignPackage(hardware: string, image: Buffer, now: Date): Promise<Package> {
    const folder = mkdtempSync(join(tmpdir(), "plomb-foreign-"))
    try {
        const pki = join(folder, "pki")
        await initPki(pki, { hss, now })
        return await signed(pki, submission(hardware, image))
    } finally {
        rmSync(folder, { recursive: true, force: true })
    }
}

function table(rows: Refused[]): Matrix {
    return {
        title: "Packages that must not run: refused with, told in the logbook as, and what measures then",
        head: ["package", "expected", "refused with", "logbook", "preceding version"],
        rows: rows.map(({ what, codes, code, logged, goesOn }) => {
            const wanted = codes.map(codeText).join(" or ")
            const cell = (good: boolean, text: string) =>
                good ? expected(text) : unexpected(text, `expected ${wanted}`)
            return {
                names: [what, wanted],
                cells: [
                    cell(codes.includes(code), codeText(code)),
                    cell(logged === code && logged > 0, logged > 0 ? `E${logged}` : "nothing"),
                    cell(goesOn, goesOn ? "measures" : "does not measure"),
                ],
            }
        }),
    }
}

function sha256(octets: Buffer): string {
    return createHash("sha256").update(octets).digest("hex")
}
