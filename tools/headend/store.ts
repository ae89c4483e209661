import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { type Evidence, readEvidence, writeAtomically, writeEvidence } from "../evidence/format.ts"
import { splitPem } from "../verify/certificate.ts"
import { judgeEvidence } from "../verify/evidence.ts"
import type { Verdict } from "../verify/findings.ts"

/** A reading on disk and what was judged of it. */
export interface StoredReading {
    /** Hex of the meter's server id. */
    serverId: string
    /** Number of the first signed list or row in the file; undefined where none can be read. */
    pagination?: number
    path: string
    /** It was there already: nothing was written. */
    duplicate: boolean
    /** One a signed list or profile row. */
    verdicts: Verdict[]
    evidence: Evidence
}

/** Folders of evidence, one a meter: `SERVERID/PAGINATION-TIME.evidence.json`, what fails apart in `refused/`. */
export class EvidenceStore {
    constructor(
        private readonly folder: string,
        private readonly anchors: string[],
        /** The moment of judging, UTC seconds; the system's unless told. */
        private readonly nowSeconds?: () => number,
    ) {
        mkdirSync(folder, { recursive: true })
    }

    /** Judges the evidence, and stores it unless the same reading is there. On disk when this returns. */
    put(serverId: string, evidence: Evidence): StoredReading {
        const verdicts = judgeEvidence(serverId, evidence, { anchors: this.anchors, nowSeconds: this.nowSeconds?.() })
        const failed = verdicts.some(({ findings }) => findings.some(({ result }) => result === "failed"))
        const link = verdicts[0].link
        const hash = contentHash(evidence, verdicts)
        const own = join(this.folder, serverId, ...(failed ? ["refused"] : []))
        mkdirSync(own, { recursive: true })
        const number = link ? String(link.pagination).padStart(10, "0") : "unnumbered"
        const same = readdirSync(own).filter(name => name.startsWith(`${number}-`) && name.endsWith(".evidence.json"))
        const stored = { serverId, pagination: link?.pagination, verdicts, evidence }
        for (const name of same) {
            const path = join(own, name)
            if (hashOnDisk(path) === hash) return { ...stored, path, duplicate: true }
        }
        const moment = link?.atSeconds === undefined ? new Date(evidence.receivedAt) : new Date(link.atSeconds * 1000)
        const time = moment.toISOString().slice(0, 19).replace(/[-:]/g, "")
        // One number with two contents is kept twice: both are evidence of something.
        const apart = same.length > 0 || failed ? `-${hash.slice(0, 8)}` : ""
        const path = join(own, `${number}-${time}Z${apart}.evidence.json`)
        if (existsSync(path)) return { ...stored, path, duplicate: true }
        writeEvidence(path, evidence)
        return { ...stored, path, duplicate: false }
    }

    /** The numbers of the stored readings of a meter that stand as they were signed, rising. */
    paginations(serverId: string): number[] {
        const own = join(this.folder, serverId)
        if (!existsSync(own)) return []
        const names = readdirSync(own).filter(name => /^\d{10}-.*\.evidence\.json$/.test(name))
        return [...new Set(names.map(name => Number(name.slice(0, 10))))].sort((a, b) => a - b)
    }

    /** The newest chain kept of a meter, PEM, its own certificate first. */
    chain(serverId: string): string[] | undefined {
        const path = join(this.folder, serverId, "chain.pem")
        return existsSync(path) ? splitPem(readFileSync(path, "latin1"), "CERTIFICATE") : undefined
    }

    /** Keeps a chain as the newest, and under its SHA-256 for ever. */
    keepChain(serverId: string, chain: string[]): void {
        const own = join(this.folder, serverId)
        mkdirSync(own, { recursive: true })
        const text = chain.join("\n")
        const hash = createHash("sha256").update(text).digest("hex").slice(0, 16)
        writeAtomically(join(own, `chain-${hash}.pem`), text)
        writeAtomically(join(own, "chain.pem"), text)
    }
}

function contentHash(evidence: Evidence, verdicts: Verdict[]): string {
    const hash = createHash("sha256")
    const signed = verdicts.flatMap(({ proof }) => (proof ? [proof.signed] : []))
    for (const each of signed.length > 0 ? signed : [evidence.sml]) hash.update(each)
    return hash.digest("hex")
}

function hashOnDisk(path: string): string | undefined {
    try {
        const evidence = readEvidence(path)
        return contentHash(evidence, judgeEvidence(path, { ...evidence, chain: [] }, { anchors: [] }))
    } catch {
        // An unreadable file there is no duplicate; the new one gets a name of its own.
        return undefined
    }
}
