import type { JudgedLog } from "./logbook.ts"
import type { ListedTelegram } from "./telegram-list.ts"

/** What one check came to. "not shown": nothing contradicts it, and nothing proves it. */
export type Result = "proved" | "failed" | "not shown"

/** One check of a verdict. */
export interface Finding {
    /** What was checked, e.g. "message CRC". */
    check: string
    result: Result
    /** The rule: document and clause. */
    clause: string
    /** Where: file offset, message, entry, certificate. */
    place: string
    /** What the rule demands and what is there. */
    expected: string
    came: string
    /** A verdict of proof needs this check to be proved. */
    needed: boolean
}

/** Collects findings in the order of the checks. */
export class Findings {
    readonly list: Finding[] = []

    private add(result: Result, needed: boolean, check: string, clause: string, place: string, texts: string[]): void {
        const [expected, came] = texts
        this.list.push({ check, result, clause, place, expected, came, needed })
    }

    /** The check holds. */
    proved(check: string, clause: string, place: string, expected: string, came: string): void {
        this.add("proved", true, check, clause, place, [expected, came])
    }

    /** The check is contradicted. */
    failed(check: string, clause: string, place: string, expected: string, came: string): void {
        this.add("failed", true, check, clause, place, [expected, came])
    }

    /** Something that proof needs is absent. */
    missing(check: string, clause: string, place: string, expected: string, came: string): void {
        this.add("not shown", true, check, clause, place, [expected, came])
    }

    /** Something is absent that proof does not need, but a person should know. */
    unshown(check: string, clause: string, place: string, expected: string, came: string): void {
        this.add("not shown", false, check, clause, place, [expected, came])
    }

    /** `proved` when `holds`, else `failed`. */
    check(holds: boolean, check: string, clause: string, place: string, expected: string, came: string): boolean {
        this.add(holds ? "proved" : "failed", true, check, clause, place, [expected, came])
        return holds
    }

    /** What a list says of itself is only its word where its signature does not hold: from `first` on nothing is proved. */
    unprove(first: number): void {
        this.list.forEach((finding, i) => {
            if (i < first || finding.result !== "proved") return
            this.list[i] = {
                ...finding,
                result: "not shown",
                needed: false,
                came: `only said, not signed: ${finding.came}`,
            }
        })
    }

    /** The needed checks that are not proved. */
    get open(): Finding[] {
        return this.list.filter(finding => finding.needed && finding.result !== "proved")
    }
}

/**
 * The name of a whole verdict. Only the first is proof. The two about keys say that the octets were
 * signed with a key, not whose key it is.
 */
export type VerdictName =
    | "proof"
    | "proof of the values, not of their time"
    | "signed by the key you named"
    | "signed by the key that came with it"
    | "not proof"

/** What was signed, so that other tools can check it: the octets, r and s, and the key. */
export interface SignedOctets {
    signed: Buffer
    /** r | s, each as wide as the curve. */
    signature: Buffer
    /** SubjectPublicKeyInfo, PEM; absent where no key is known. */
    keyPem?: string
    /** The SML file as sent, transport frame included, where the reading came as one. */
    sml?: Buffer
    /** PEM certificates that came with it. */
    chain?: string[]
}

/** The judgement of one signed thing: one signed list, one profile row, one OCMF text. */
export interface Verdict {
    /** File, and which part of it. */
    source: string
    kind: string
    name: VerdictName
    /** Plain words for a person. */
    statement: string
    findings: Finding[]
    /** What the reading says, as text, e.g. meter, time, pagination, 1-0:1.8.0. */
    reading: Record<string, string>
    proof?: SignedOctets
    /** An exported logbook as far as it could be read. */
    log?: JudgedLog
    /** Telegrams of other meters that a signed list holds. */
    telegrams?: ListedTelegram[]
    /** Facts that checks between several readings need. */
    link?: Link
}

/** What ties a reading to the ones before and after it. */
export interface Link {
    serverId: string
    pagination: number
    /** Of a meter; that of a MUC begins anew with each start. */
    secondsIndex?: number
    /** UTC seconds where the meter's clock was set, else undefined. */
    atSeconds?: number
    /** 1-0:1.8.0 and 1-0:2.8.0 in 0.1 Wh; a list of telegrams has none. */
    drawn?: bigint
    fedIn?: bigint
    /** SHA-256 of the octets this reading was signed over, hex. */
    hash: string
    previousHash: string
    /** The signature over this reading holds, so what it says of itself counts. */
    signed: boolean
}
