import { readFileSync } from "node:fs"
import { Code } from "../../firmware/core/errors.ts"
import {
    activatePath,
    announcePath,
    blockPath,
    confirmPath,
    rollbackPath,
    softwarePath,
} from "../../firmware/core/sml-parameter.ts"
import { UsageError } from "../cli/usage.ts"
import { ExchangeError } from "../headend/responses.ts"
import { announcementOf, blocksOf, blockValue, digestOf } from "../package/delivery.ts"
import { anchorsOf, judgePackage } from "../package/judge.ts"
import { Package } from "../package/package.ts"
import { readSoftware, type SlotContent, type SoftwareState, versionName } from "../verify/software.ts"
import { sayEntry } from "./logbooks.ts"
import { codeIn, refusalText } from "./refusals.ts"
import { get, list, set } from "./requests.ts"
import { deviceText, type Session } from "./session.ts"

/** How a line that was lost is waited for: pauses in milliseconds between tries of one block. */
const pauses = [500, 2000, 5000, 15_000, 30_000]
/** Between two blocks, so that readings on the same line come through. */
const yieldMs = 50
/** Longest wait for the first list that names a module just started, and pause between two looks. */
const namedMs = 30_000
const lookMs = 2000
/** Longest wait until a device has judged a package, or a MUC is back from the start that an order leads to. */
const judgedMs = 180_000

/** A package on disk. */
export interface Delivered {
    path: string
    file: Buffer
    made: Package
    digest: Buffer
}

/** Reads a package. Throws `UsageError`, and `PkiError` for what is none. */
export function packageAt(path: string): Delivered {
    let file: Buffer
    try {
        file = readFileSync(path)
    } catch (error) {
        throw new UsageError(`PACKAGE ${path} can not be read (${(error as NodeJS.ErrnoException).code})`)
    }
    return { path, file, made: Package.read(file), digest: digestOf(file) }
}

/** Pause between two looks and tries; tests shorten it. */
export const waiting = { sleep: (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms)) }

const isMuc = ({ target }: Session) => target.length === 7

/** As `ask`; a MUC starts anew after an order, and is asked until what the order leads to is `done`. */
async function askAfter(session: Session, done: (state: SoftwareState) => boolean): Promise<SoftwareState | undefined> {
    if (!isMuc(session)) return ask(session, true)
    const { failed } = session
    for (let waited = 0; ; waited += lookMs) {
        await waiting.sleep(lookMs)
        const late = waited >= judgedMs
        try {
            const state = await ask(session, true)
            if (late || (state && done(state))) return state
        } catch (error) {
            if (!(error instanceof ExchangeError) || late) throw error
        }
        session.failed = failed
    }
}

/** Asks what the slots hold; undefined where that is not answered. */
async function ask(session: Session, quiet: boolean): Promise<SoftwareState | undefined> {
    const told = await session.tell([get(softwarePath)], { quiet })
    const tree = told?.requests[0].tree
    const state = tree && readSoftware(tree)
    return told && !state ? session.fail("  The answer does not tell of slots.") : state
}

function slotText(slot: SlotContent, i: number, { running, trialSeconds, trialStarts, blocks }: SoftwareState): string {
    const head = `  slot ${i + 1}  ${slot.state.padEnd(9)}`
    if (slot.state === "empty") return head.trimEnd()
    const name = slot.version > 0 ? ` version ${versionName(slot.version)},` : ""
    const parts = [`${head}${name} ${slot.length} octets, SHA-256 ${slot.digest.slice(0, 16)}…`]
    const there = blocks.filter(Boolean).length
    if (slot.state === "receiving")
        parts.push(there === blocks.length ? "whole, to be judged" : `${there} of ${blocks.length} blocks are there`)
    if (slot.state === "on trial") parts.push(`${trialSeconds} s left to confirm it, start ${trialStarts} of 3`)
    if (running === i) parts.push("runs")
    if (slot.reason > 0) parts.push(refusalText(undefined, `E${slot.reason}`))
    return parts.join("; ")
}

/** Shows slots, what runs, the floor. */
export async function showSoftware(session: Session): Promise<void> {
    const state = await ask(session, false)
    if (!state) return
    sayState(session, state)
}

/** Says what a device told of its slots. */
export function sayState(session: Session, state: SoftwareState): void {
    const { running, identification, checksum, floor } = state
    const where = running === "built in" ? ", as shipped" : ""
    session.say(
        running === "none"
            ? `  nothing ${isMuc(session) ? "runs" : "measures"}: no software may run`
            : `  running   ${identification}${where}, SHA-256 of its image ${checksum.slice(0, 16)}…`,
    )
    for (const [i, slot] of state.slots.entries()) session.say(slotText(slot, i, state))
    session.say(`  floor     ${floor === 0 ? "none yet" : `nothing below version ${versionName(floor)} runs`}`)
    session.result.software = {
        ...state,
        version: versionName(state.version),
        floor: versionName(floor),
        slots: state.slots.map(each => ({ ...each, version: versionName(each.version) })),
        blocks: { there: state.blocks.filter(Boolean).length, of: state.blocks.length },
    }
}

/** Judges the package as the device will; says what is wrong and answers whether it would be taken. */
function judged(session: Session, { file, path }: Delivered): boolean {
    const { pki } = session.party
    if (pki === undefined) {
        session.say("  The package was not judged here: that takes the PKI folder of --as.")
        return true
    }
    const { accepted, findings } = judgePackage(file, anchorsOf(pki), new Date())
    for (const { what, why, good } of findings)
        if (!good) session.fail(`  ${path} would be refused: ${what}: ${why}. Nothing was sent.`)
    return accepted
}

/**
 * Delivers a package: announces it, and sends the blocks that the device lacks. After any break the same command goes on where the device
 * stands; a block that it has is not sent again.
 */
export async function deliver(session: Session, delivered: Delivered): Promise<void> {
    const { made, file, digest, path } = delivered
    const { manifest } = made
    const name = `${manifest.name} ${versionName(manifest.version)}`
    const blocks = blocksOf(file)
    session.say(
        `${path}: ${name}, ${file.length} octets in ${blocks.length} blocks, for ${deviceText(session.target)}.`,
    )
    if (!judged(session, delivered)) return
    if (session.dry) {
        await session.tell([set(announcePath, announcementOf(file))])
        session.say(`  then ${blocks.length} blocks, each proved by its announced digest.`)
        return
    }
    const state = await ask(session, true)
    if (!state) return
    const mine = state.slots.find(each => each.digest === digest.toString("hex") && each.state !== "failed")
    if (mine && mine.state !== "receiving" && mine.state !== "empty") {
        session.say(`  It is there already, ${mine.state}: nothing to send.`)
        session.result.delivery = { sent: 0, of: blocks.length, state: mine.state }
        return
    }
    if (manifest.version <= state.version)
        session.say(`  Note: ${state.identification} runs; the device will refuse what is not newer.`)
    if (manifest.version < state.floor) {
        session.fail(`  It would be refused: the floor is ${versionName(state.floor)}. Nothing was sent.`)
        return
    }
    // The same announcement again changes nothing, and after a power cut within the first it completes it.
    if (!(await session.tell([set(announcePath, announcementOf(file))]))) return
    const now = await ask(session, true)
    if (!now) return
    // Nothing is missing where the device has judged it meanwhile.
    const receiving = now.slots.some(each => each.state === "receiving" && each.digest === digest.toString("hex"))
    const missing = receiving ? blocks.map((_, i) => i).filter(i => !now.blocks[i]) : []
    if (missing.length < blocks.length)
        session.say(`  ${blocks.length - missing.length} of ${blocks.length} blocks are there already.`)
    const began = Date.now()
    let sent = 0
    for (const index of missing) {
        if (!(await sendBlock(session, index, blocks[index], digest))) return
        ++sent
        const done = blocks.length - missing.length + sent
        const left = ((Date.now() - began) / sent) * (missing.length - sent)
        session.say(
            `  ${Math.round((100 * done) / blocks.length)} %: block ${index + 1} of ${blocks.length}${sent < missing.length ? `, about ${Math.ceil(left / 1000)} s left` : ""}`,
        )
        await waiting.sleep(yieldMs)
    }
    session.result.delivery = { sent, of: blocks.length }
    const slot = await judgedSlot(session, digest)
    if (slot?.state === "verified")
        session.say("  The device has verified it. plomb operator software activate puts it on trial.")
    else if (slot?.state === "failed")
        session.fail(`  The device refused it: ${refusalText(undefined, `E${slot.reason}`)}.`)
    else if (slot)
        session.fail(
            `  The device has not judged it in ${judgedMs / 1000} s. Is its clock set? plomb operator software list`,
        )
    else session.fail("  The device does not tell of it: plomb operator software list")
}

/** The slot of a whole package, once the device has judged it or the time for that is over. */
async function judgedSlot(session: Session, digest: Buffer): Promise<SlotContent | undefined> {
    for (let waited = 0; ; waited += lookMs) {
        // While it judges it is busy, and tells nothing; a MUC is away.
        const told = await session.talk.tell(session.target, [get(softwarePath)]).catch(error => {
            if (!(error instanceof ExchangeError) || !isMuc(session)) throw error
            return undefined
        })
        const tree = told?.requests[0].tree
        const state = tree && readSoftware(tree)
        const mine = state?.slots.filter(each => each.digest === digest.toString("hex")) ?? []
        const slot = mine.find(({ state }) => state !== "failed") ?? mine[0]
        if ((state && slot?.state !== "receiving") || waited >= judgedMs) return slot
        if (waited === 0) session.say("  All blocks are there; the device judges it.")
        await waiting.sleep(lookMs)
    }
}

/** Sends one block until it is there. False where the device refuses it, or others deliver something else meanwhile. */
async function sendBlock(session: Session, index: number, block: Buffer, digest: Buffer): Promise<boolean> {
    const request = set(blockPath, blockValue(index, block))
    for (let tries = 0; ; ++tries) {
        try {
            const came = await session.talk.ask(session.target, request)
            if (came === undefined || came.code === "fd00") return true
            // A MUC that carries blocks only under a signature.
            if (codeIn(came.text) === Code.NotSigned)
                return (await session.tell([request], { brief: true, quiet: true })) !== undefined
            if (!/^fe15|^fe03/.test(came.code)) {
                session.fail(`  block ${index + 1} refused: ${refusalText(came.code, came.text)}`)
                return false
            }
            if (tries >= pauses.length) {
                session.fail(`  block ${index + 1}: ${refusalText(came.code, came.text)}. Deliver again to go on here.`)
                return false
            }
        } catch (error) {
            if (!(error instanceof ExchangeError) || tries >= pauses.length) throw error
        }
        await waiting.sleep(pauses[tries])
        // It may have come and only its answer was lost; or somebody else has announced another package.
        const state = await ask(session, true).catch(error => {
            if (!(error instanceof ExchangeError)) throw error
            return undefined
        })
        session.failed = false
        if (!state) continue
        const slot = state.slots.find(each => each.digest === digest.toString("hex"))
        if (slot?.state !== "receiving" && slot?.state !== "verified") {
            session.fail(
                `  The device no longer receives this package (${slot ? slot.state : "another was announced"}).`,
            )
            return false
        }
        if (slot.state === "verified" || state.blocks[index]) return true
    }
}

/** Puts a delivered package on trial; then waits for the first signed list that names it and confirms it, unless `keep` is false. */
export async function activate(session: Session, { made, digest }: Delivered, keep: boolean): Promise<void> {
    const name = `${made.manifest.name} ${versionName(made.manifest.version)}`
    if (session.dry) {
        await session.tell([set(activatePath, digest)])
        return
    }
    const before = await ask(session, true)
    if (!before) return
    const old = before.running === "none" ? "nothing" : before.identification
    const slot = before.slots.find(each => each.digest === digest.toString("hex"))
    if (slot?.state !== "verified" && slot?.state !== "on trial") {
        session.fail(`  ${name} is not ready on the device (${slot?.state ?? "not there"}): deliver it first.`)
        return
    }
    session.say(`${deviceText(session.target)}: ${old} -> ${name}`)
    if (slot.state === "verified") {
        if (!(await onTrial(session, digest))) return
        if (!isMuc(session)) await sayEntry(session)
    }
    const image = Buffer.from(made.manifest.sha256).toString("hex")
    if (!(isMuc(session) ? await attested(session, name, image, digest) : await listed(session, name, image))) return
    if (!keep) {
        session.say("  Not confirmed (--no-confirm): it goes back within 900 s unless plomb operator software confirm.")
        return
    }
    if (await session.tell([set(confirmPath, digest)])) {
        session.say(`  ${name} stays.`)
        await sayEntry(session)
    }
}

/** Waits for the first signed list that names the module. */
async function listed(session: Session, name: string, image: string): Promise<boolean> {
    const named = await firstNaming(session, name, image)
    if (named) {
        session.say(`  The signed list of ${named} names it.`)
        return true
    }
    const after = await ask(session, true)
    if (after) sayState(session, after)
    session.fail(`  No signed list names ${name}: not confirmed.`)
    return false
}

/** Waits until a MUC, which signs no lists, is back from its start and says under its signature that the module runs. */
async function attested(session: Session, name: string, image: string, digest: Buffer): Promise<boolean> {
    session.say("  The MUC starts anew with it.")
    const onTrial = ({ slots }: SoftwareState) =>
        slots.some(slot => slot.state === "on trial" && slot.digest === digest.toString("hex"))
    const after = await askAfter(session, state => state.checksum === image || !onTrial(state))
    if (!after) return false
    if (after.checksum === image) {
        session.say(`  It says under its signature that ${name} runs.`)
        return true
    }
    sayState(session, after)
    session.fail(`  ${name} does not run: not confirmed.`)
    return false
}

/** Has a device put a package on trial. One that was started since the delivery proves the package anew first, and says that it is busy meanwhile. */
async function onTrial(session: Session, digest: Buffer): Promise<boolean> {
    for (let waited = 0; ; waited += lookMs) {
        const told = await session.talk.tell(session.target, [set(activatePath, digest)])
        const busy = told.requests[0].code === Code.Busy && waited < judgedMs
        if (!busy) return session.conclude(told) !== undefined
        if (waited === 0) session.say("  The device proves it anew, as it was started since the delivery.")
        await waiting.sleep(lookMs)
    }
}

/** The time of the first signed list that names the module and its image's checksum. */
async function firstNaming(session: Session, name: string, image: string): Promise<string | undefined> {
    for (let waited = 0; waited <= namedMs; waited += lookMs) {
        const told = await session.talk.tell(session.target, [list()])
        const reading = told.verdicts.find(each => each.reading.module !== undefined)?.reading
        if (told.authentic && reading?.module === name && reading["module SHA-256"] === image) return reading.time
        await waiting.sleep(lookMs)
    }
    return undefined
}

/** Confirms what is on trial. */
export async function confirm(session: Session, delivered: Delivered | undefined): Promise<void> {
    const digest = delivered ? delivered.digest : await digestIn(session, "on trial")
    if (digest && (await session.tell([set(confirmPath, digest)]))) await sayEntry(session)
}

/** Takes back what is on trial, or else what is active: what ran before runs again. */
export async function rollback(session: Session): Promise<void> {
    const slots = session.dry ? undefined : (await ask(session, true))?.slots
    const wanted = slots?.some(({ state }) => state === "on trial") ? "on trial" : "active"
    const digest = await digestIn(session, wanted, slots)
    if (!digest || !(await session.tell([set(rollbackPath, digest)]))) return
    const hex = digest.toString("hex")
    const state = await askAfter(session, ({ running, slots }) =>
        typeof running === "number" ? slots[running].digest !== hex : running === "built in",
    )
    await sayEntry(session)
    if (state) sayState(session, state)
}

async function digestIn(
    session: Session,
    wanted: SlotContent["state"],
    slots?: SlotContent[],
): Promise<Buffer | undefined> {
    if (session.dry)
        throw new UsageError(
            "--dry-run does not ask the device, and the command names the package that the device tells",
        )
    const slot = (slots ?? (await ask(session, true))?.slots)?.find(each => each.state === wanted)
    if (!slot) return session.fail(`  Nothing is ${wanted}.`)
    session.say(`  ${versionName(slot.version)} is ${wanted}.`)
    return Buffer.from(slot.digest, "hex")
}
