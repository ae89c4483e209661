import { Code } from "../../../firmware/core/errors.ts"
import { digestOf } from "../../package/delivery.ts"
import type { SlotContent } from "../../verify/software.ts"
import { expected, type Matrix, type Report, unexpected } from "../report.ts"
import { type Came, codeText } from "./answer.ts"
import type { Installer } from "./installer.ts"
import type { LogEntry } from "./logs.ts"
import { nextVersion, testModule } from "./modules.ts"
import { onGround, type Where } from "./on-ground.ts"
import { signed, submission } from "./packages.ts"
import type { Story } from "./story.ts"

/** Where packages lie in the meter's FRAM, and how far apart (firmware/meter/layout.ts). */
const packagesAt = 0x14000
const slotSize = 0x4000
/** A trial lasts this long (firmware/core/slots.ts). */
const trialSeconds = 900

/**
 * What becomes of software that does not hold, and of software that is taken back: each time the version before measures on, and the
 * reason stands in slot and logbook.
 */
export function run({ where = "vm" }: { where?: Where }): Promise<Report> {
    return onGround("Software that does not hold", where, async (installer, story) => {
        const { by } = installer
        const second = await packaged(installer, "2.0.0", await nextVersion(), "1.0.0")
        await installer.deliver(second)
        await installer.activate(second)
        story.done(by, "confirms metrology 2.0.0, which measures from now on", await installer.confirm(second))
        await installer.entries()
        const rows = await withdrawn(installer)
        await putBack(installer, story)
        await belowFloor(installer, story)
        await noneLeft(installer, story)
        return [table(rows)]
    })
}

/** A sound package of this version, signed by all. */
async function packaged({ ground }: Installer, version: string, image: Buffer, floor = "1.0.0"): Promise<Buffer> {
    return (await signed(ground.company.pki, submission(ground.hardware, image, { version, floor }))).octets()
}

/** What came of one module. */
interface Ended {
    what: string
    code: Code
    slot: SlotContent | undefined
    activated: Came
    /** The newest entry that tells of a failure or a withdrawal. */
    logged: LogEntry | undefined
    goesOn: boolean
}

/** Modules that fail, each in its own way, and trials that nobody ends. */
async function withdrawn(installer: Installer): Promise<Ended[]> {
    const { ground } = installer
    const rows: Ended[] = []
    const attempt = async (
        what: string,
        version: string,
        module: string,
        code: Code,
        then: (file: Buffer) => Promise<unknown>,
    ) => {
        const file = await packaged(installer, version, await testModule(module))
        const before = await installer.reading()
        await installer.deliver(file)
        const activated = await installer.activate(file)
        await then(file)
        await ground.pass(8)
        const mine = digestOf(file).toString("hex")
        const slot = (await installer.state()).slots.find(({ digest }) => digest === mine)
        const after = await installer.reading()
        const entries = await installer.entries()
        // A line repeats commands.
        const told = entries.filter(each => each.code !== Code.CommandReplayed)
        const logged = told.filter(each => each.code > 0 || each.event === "softwareWithdrawn").at(-1)
        const sound = after.verdict.name === "proof" && after.name === before.name && after.energy > before.energy
        rows.push({ what, code, activated, slot, logged, goesOn: sound })
    }
    const wait = (seconds: number) => () => ground.pass(seconds)
    await attempt("throws", "3.0.0", "throws", Code.ModuleThrew, wait(2))
    await attempt("loops", "3.0.1", "loops", Code.ModuleSteps, wait(2))
    await attempt("eats memory", "3.0.2", "hoards", Code.ModuleMemory, wait(2))
    await attempt("fails its self-test", "3.0.3", "fails", Code.SoftwareSelfTest, wait(0))
    await attempt("is not confirmed", "3.0.4", "sound", Code.SoftwareUnconfirmed, wait(trialSeconds + 30))
    await attempt("loses power too often on trial", "3.0.5", "sound", Code.SoftwareStarts, async () => {
        for (let i = 0; i < 3; ++i) {
            await ground.pass(10)
            await ground.powerCut()
        }
    })
    await attempt("is put back on trial", "3.0.6", "sound", Code.SoftwarePutBack, () => installer.rollback())
    await attempt("throws 400 s after it was confirmed", "3.0.7", "later", Code.ModuleThrew, async file => {
        await installer.confirm(file)
        await ground.pass(410)
    })
    return rows
}

/** A power cut in a trial, and a rollback of what was confirmed. */
async function putBack(installer: Installer, story: Story): Promise<void> {
    const { ground, by } = installer
    const file = await packaged(installer, "3.1.0", await testModule("sound"))
    await installer.deliver(file)
    await installer.activate(file)
    await ground.pass(10)
    const before = await installer.reading()
    await ground.powerCut()
    await ground.pass(6)
    const after = await installer.reading()
    story.shows("meter", "after a power cut in the trial, runs", "metrology 3.1.0", after.name)
    story.shows("registers", "went on", "higher", after.energy > before.energy ? "higher" : "lower")
    const { trialStarts } = await installer.state()
    story.shows("meter", "has counted the start", "2 of 3", `${trialStarts} of 3`)
    story.done(by, "confirms it", await installer.confirm(file))
    await installer.entries()
    story.done(by, "puts the former version back", await installer.rollback())
    await ground.pass(6)
    const back = await installer.reading()
    story.shows("meter", "runs", "metrology 2.0.0", back.name)
    story.shows("registers", "went on", "higher", back.energy > after.energy ? "higher" : "lower")
    const entry = (await installer.entries()).filter(({ code }) => code !== Code.CommandReplayed).at(-1)
    story.shows(
        "logbook",
        "tells who did it",
        by.signer.id,
        entry?.event === "softwareWithdrawn" ? entry.signer : "nothing",
    )
}

/** What is below the floor never runs again. */
async function belowFloor(installer: Installer, story: Story): Promise<void> {
    const { ground, by } = installer
    const file = await packaged(installer, "3.2.0", await testModule("sound"), "3.2.0")
    await installer.deliver(file)
    await installer.activate(file)
    story.done(by, "confirms metrology 3.2.0, below which nothing may run any more", await installer.confirm(file))
    story.refused(by, "puts version 2.0.0 back", await installer.rollback(), Code.SoftwareFloor)
    await ground.pass(6)
    const { name, verdict } = await installer.reading()
    story.shows("verifier", "judges a reading", "proof: metrology 3.2.0", `${verdict.name}: ${name}`)
}

/** The active slot is damaged and what was before it is below the floor: nothing measures until something newer comes. */
async function noneLeft(installer: Installer, story: Story): Promise<void> {
    const { ground, by } = installer
    const before = await installer.reading()
    const { running } = await installer.state()
    story.shows("meter", "runs the module of", "a slot", typeof running === "number" ? "a slot" : running)
    if (typeof running !== "number") return
    await installer.entries()
    ground.damage(packagesAt + running * slotSize + 600)
    await ground.powerCut()
    await ground.pass(5)
    const state = await installer.state()
    story.shows("meter", "after one bit of the slot has changed, runs", "none", `${state.running}`)
    const reason = state.slots[running]
    story.shows("slot", "tells why", "failed", reason.state, reason.state === "failed" && reason.reason > 0)
    const entries = (await installer.entries()).filter(({ code }) => code !== Code.CommandReplayed)
    const told = entries.map(({ event, code }) => `${event} E${code}`).join(", ")
    story.shows(
        "logbook",
        "tells it",
        `softwareWithdrawn E${reason.reason}, softwareWithdrawn E${Code.SoftwareFloor}, failed E${Code.SoftwareNone}`,
        told,
    )
    const still = await installer.reading()
    story.shows("verifier", "judges its list: nothing measures", "not proof: ", `${still.verdict.name}: ${still.name}`)
    story.shows(
        "registers",
        "stand still",
        `${before.energy} or more`,
        `${still.energy}`,
        still.energy >= before.energy,
    )
    const older = await packaged(installer, "2.5.0", await testModule("sound"))
    story.refused("provider", "delivers what is below the floor", await installer.deliver(older), Code.SoftwareFloor)
    const newer = await packaged(installer, "4.0.0", await testModule("sound"), "3.2.0")
    const delivered: Came = await installer.deliver(newer)
    story.shows("provider", "delivers metrology 4.0.0", "done", delivered.text)
    story.done(by, "activates it", await installer.activate(newer))
    story.done(by, "confirms it", await installer.confirm(newer))
    await ground.pass(6)
    const { name, verdict, energy } = await installer.reading()
    story.shows("verifier", "judges a reading", "proof: metrology 4.0.0", `${verdict.name}: ${name}`)
    story.shows("registers", "went on", "higher", energy > still.energy ? "higher" : "lower")
}

function table(rows: Ended[]): Matrix {
    return {
        title: "A module that …: why it ended, the logbook, what measures then",
        head: ["a module that", "expected", "activation", "slot", "logbook", "preceding version"],
        rows: rows.map(({ what, code, activated, slot, logged, goesOn }) => {
            const wanted = codeText(code)
            const ordered = code === Code.SoftwarePutBack
            const cell = (good: boolean, text: string) =>
                good ? expected(text) : unexpected(text, `expected ${wanted}`)
            return {
                names: [what, wanted],
                cells: [
                    cell(activated.code === (code === Code.SoftwareSelfTest ? code : 0), activated.text),
                    cell(
                        slot?.state === "failed" && slot.reason === code,
                        slot ? `${slot.state} E${slot.reason}` : "gone",
                    ),
                    cell(
                        logged?.code === (ordered ? 0 : code),
                        logged ? `${logged.event}${ordered ? " by order" : ` E${logged.code}`}` : "nothing",
                    ),
                    cell(goesOn, goesOn ? "measures" : "does not measure"),
                ],
            }
        }),
    }
}
