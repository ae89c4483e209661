import { attestationPath, statusPath } from "../../firmware/core/sml-parameter"
import { get } from "../operator/requests.ts"
import { readAnswer, type SignedAnswer } from "../verify/answer-file.ts"
import { readSmlFile } from "../verify/sml-file.ts"
import { SmlDamage } from "../verify/sml-tlv.ts"
import { LinkError } from "./link.ts"
import type { Attestation } from "./protocol.ts"
import { type CalibrationJob, JobError, serverIdOf } from "./station.ts"

/** Software as a meter states it of itself: name with version, SHA-256 in hex. */
export interface Software {
    identification: string
    checksum: string
}

/** The image that the meter on the station is to measure with, and the meter's RS-485 line. */
export interface Field {
    software: Software
    /** Has the board run it. Throws `LinkError`. */
    enter(): Promise<void>
    /** Sends a request file on the line; undefined where no answer comes in time. */
    ask(request: Buffer, timeoutMs: number): Promise<Buffer | undefined>
}

/** Bits of the status word (firmware/meter/status.ts): seal open, front end not running, not calibrated, memory damaged. */
const unfit = 0x02 | 0x04 | 0x10 | 0x40
/** Between two questions: the front end runs within seconds of power-on. */
const pauseMs = 1000
/** How long each answer is waited for: soon after power-on a request may be lost, and a key in software takes its time. */
const patienceMs = [3000, 3000, 3000, 6000, 6000, 6000, 12_000, 24_000]

/**
 * Asks the meter, as the calibration authority, what it runs: a signed command whose signed answer names it, so it can not be an
 * older one. Throws `JobError` where that is not the sound, calibrated meter of `chain` with the field image.
 */
export async function attest(job: CalibrationJob, chain: string[]): Promise<Attestation> {
    const { field, certifier, judge } = job
    const serverId = serverIdOf(job.serial)
    let wrong = ""
    for (const timeoutMs of patienceMs) {
        await new Promise(resolve => setTimeout(resolve, pauseMs))
        // Another command each time: the meter takes none twice.
        const command = certifier.command(serverId, [get(statusPath), get(attestationPath)])
        const sml = await field.ask(command.file, timeoutMs)
        if (!sml) continue
        const findings = await judge(sml, chain, { request: command.file, chain: command.chain })
        const open = findings.filter(each => each.result !== "proved")
        const answer = open.length === 0 ? answerOf(sml) : undefined
        if (!answer) {
            wrong = open.map(each => `${each.check} ${each.result}`).join("; ")
            continue
        }
        const [status, software] = answer.outcomes.map(each => each.tree)
        const word = status ? status.value.readUIntBE(0, status.value.length) : unfit
        const named = (name: string) => software?.children.find(each => each.name === name)?.value ?? Buffer.alloc(0)
        const came = {
            identification: named("8181c78206ff").toString("utf8"),
            checksum: named("0100605a0201").toString("hex"),
        }
        if (came.identification !== field.software.identification || came.checksum !== field.software.checksum)
            throw new JobError(
                `the meter runs ${textOf(came) || "it does not say what"}, expected ${textOf(field.software)}: flash meter of this checkout`,
            )
        if ((word & unfit) === 0)
            return {
                command: command.file.toString("hex"),
                commandChain: command.chain,
                answer: sml.toString("hex"),
                at: job.now().toISOString(),
                findings,
            }
        wrong = `status word ${word.toString(16).padStart(8, "0")}`
    }
    if (!wrong) throw new LinkError("the meter is sealed, and does not answer on its line: run the same command again")
    throw new JobError(`the meter is sealed, and does not show that it measures: ${wrong}. Run the same command again`)
}

function answerOf(sml: Buffer): SignedAnswer | undefined {
    try {
        return readAnswer(readSmlFile(sml))
    } catch (error) {
        if (!(error instanceof SmlDamage)) throw error
        return undefined
    }
}

/** "plomb-meter 0.1.0, SHA-256 …". */
export function textOf({ identification, checksum }: Software): string {
    return identification && `${identification}, SHA-256 ${checksum}`
}
