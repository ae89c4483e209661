import { UsageError } from "../cli/usage.ts"
import { evidenceText, writeAtomically } from "../evidence/format.ts"
import { isoOf } from "../verify/chain.ts"
import type { Verdict } from "../verify/findings.ts"
import type { Party } from "./party.ts"
import { type Request, unsignedFile } from "./requests.ts"
import { asksOf, commandFor, type Done, type Talk, type Told } from "./talk.ts"

/** How commands are sent, and what is told of them. */
export interface SessionOptions {
    party: Party
    /** Absent: nothing is sent, commands are only shown. */
    talk?: Talk
    target: Buffer
    /** Evidence of what was said goes there. */
    out?: string
    validSeconds?: number
    say(line: string): void
}

/** What a machine gets to know of one command. */
interface ToldJson {
    by: string
    target: string
    counter?: number
    requests: Pick<Done, "asks" | "outcome" | "code" | "why">[]
    /** Signed by the device, for this command? */
    authentic?: boolean
    time?: string
    verdict?: Verdict["name"]
    /** With --dry-run: the file without counter and signature. */
    unsigned?: string
}

/** "meter 0A…" or "MUC 05…". */
export function deviceText(target: Buffer): string {
    return `${target.length === 7 ? "MUC" : "meter"} ${target.toString("hex").toUpperCase()}`
}

/** One run of `plomb operator`: says who asks whom for what, and what came of it. */
export class Session {
    /** For `--json`. */
    readonly commands: ToldJson[] = []
    readonly result: Record<string, unknown> = {}
    /** Something was refused, failed, or can not be believed. */
    failed = false
    private files = 0

    constructor(private readonly options: SessionOptions) {}

    get party(): Party {
        return this.options.party
    }

    get target(): Buffer {
        return this.options.target
    }

    get dry(): boolean {
        return this.options.talk === undefined
    }

    get talk(): Talk {
        const { talk } = this.options
        if (!talk)
            throw new UsageError("--dry-run sends nothing, and this can not be shown without asking the device first")
        return talk
    }

    say(line: string): void {
        this.options.say(line)
    }

    /**
     * Sends a command, says it, and answers what came of it; undefined with --dry-run, and where the device did not do or answer all
     * of it. `quiet` says nothing of a success.
     */
    async tell(requests: Request[], { brief = false, quiet = false } = {}): Promise<Told | undefined> {
        const { party, target, validSeconds } = this.options
        const asks = asksOf(commandFor(party.pretender, target, requests, { validSeconds, withCertificate: !brief }))
        const who = `${party.text}, asks ${deviceText(target)} to ${asks.join("; to ")}`
        if (this.dry) {
            const unsigned = unsignedFile(target, Buffer.alloc(8), requests).toString("hex")
            this.say(`${who}`)
            this.say("  not sent. Without the counter and the signature that come when it is:")
            this.say(`  ${unsigned}`)
            const shown = asks.map(text => ({ asks: text, outcome: "not answered" as const }))
            this.commands.push({ by: party.text, target: target.toString("hex"), requests: shown, unsigned })
            return undefined
        }
        if (!quiet) this.say(`${who}:`)
        return this.conclude(await this.talk.tell(target, requests, brief), quiet)
    }

    /** Says what came of a command that was sent; answers as `tell`. */
    conclude(told: Told, quiet = false): Told | undefined {
        this.report(told, quiet)
        const whole =
            told.authentic && told.requests.every(each => each.outcome === "done" || each.outcome === "answered")
        if (!whole) this.failed = true
        return whole ? told : undefined
    }

    /** Fails with a line. */
    fail(line: string): undefined {
        this.failed = true
        this.say(line)
        return undefined
    }

    private report(told: Told, quiet: boolean): void {
        const { requests, authentic, utc, counter, verdicts } = told
        const [verdict] = verdicts
        const { party, target, out } = this.options
        this.commands.push({
            by: party.text,
            target: target.toString("hex"),
            counter,
            requests: requests.map(({ asks, outcome, code, why }) => ({ asks, outcome, code, why })),
            authentic,
            time: utc > 0 ? isoOf(utc) : undefined,
            verdict: verdict?.name,
        })
        const several = requests.length > 1
        for (const { asks, outcome, why } of requests)
            if (!quiet || outcome === "refused" || outcome === "not answered")
                this.say(`  ${several ? `${asks}: ` : ""}${outcome}${why ? `: ${why}` : ""}`)
        if (!authentic) {
            const unsigned = verdicts.length === 0
            this.say(
                unsigned
                    ? "  The device refused the command as a whole; such an answer is not signed, and anybody on the way could have given it."
                    : "  The answer is not this device's to this command: do not believe it.",
            )
        } else if (!quiet) {
            const when = utc > 0 ? `at ${isoOf(utc)} by its clock` : "its clock is not set"
            this.say(`  Signed by the device for command ${counter}, ${when}.`)
        }
        const wrong = verdict?.findings.filter(each => each.result === "failed") ?? []
        if (authentic && wrong.length > 0) {
            this.failed = true
            this.say(`  As evidence: ${verdict.statement}`)
        }
        if (out !== undefined) this.keep(out, told)
    }

    private keep(out: string, { evidence }: Told): void {
        const path = this.files++ === 0 ? out : out.replace(/(\.evidence)?(\.json)?$/, `-${this.files}.evidence.json`)
        writeAtomically(path, evidenceText(evidence))
        this.say(`  Evidence of command and answer: ${path}`)
    }
}
