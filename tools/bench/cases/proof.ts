import { readFileSync } from "node:fs"
import { join } from "node:path"
import type { Evidence } from "../../evidence/format.ts"
import { crlsOf } from "../../headend/crls.ts"
import { splitPem } from "../../verify/certificate.ts"
import { judgeEvidence } from "../../verify/evidence.ts"
import type { Verdict } from "../../verify/findings.ts"
import type { KnownSoftware } from "../../verify/item.ts"
import type { Came } from "./answer.ts"
import type { Addressee, Company } from "./company.ts"

/** Thirty years, in seconds. */
export const thirtyYears = 30 * 31_557_600

/** What a provider stores of an answer that came just now: with the chain and the revocation lists of the moment. */
export function evidenceOf(stage: Company, meter: Addressee, came: Came): Evidence {
    const text = (...path: string[]) => readFileSync(join(stage.pki, ...path), "utf8")
    const chain = splitPem(text("meters", meter.id.toString("hex"), "chain.pem"), "CERTIFICATE")
    const lists = ["institute-root", "calibration-authority"].map(issuer => text(issuer, "crl.pem"))
    return {
        sml: came.raw ?? Buffer.alloc(0),
        request: came.command,
        chain,
        crls: crlsOf(lists, chain),
        receivedAt: new Date(stage.seconds() * 1000).toISOString(),
        source: { muc: "", headend: "bench" },
    }
}

/** The verdict of `plomb verify` on the first reading in it, by the institute's root; `laterSeconds` after the present moment. `known`: the software that should run. */
export function verdictOf(stage: Company, evidence: Evidence, laterSeconds = 0, known?: KnownSoftware): Verdict {
    const anchors = splitPem(readFileSync(join(stage.pki, "institute-root", "cert.pem"), "utf8"), "CERTIFICATE")
    return judgeEvidence("bench", evidence, { anchors, nowSeconds: stage.seconds() + laterSeconds, known })[0]
}
