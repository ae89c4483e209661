import { join } from "node:path"
import { Code } from "../../../firmware/core/errors.ts"
import { rolloverPath } from "../../../firmware/core/sml-parameter.ts"
import { readCertificates } from "../../pki/certificates.ts"
import { renew } from "../../pki/renew.ts"
import { memoriesOf } from "../memories.ts"
import type { Report } from "../report.ts"
import { type Person, sha256 } from "./company.ts"
import { onStage } from "./on-stage.ts"
import { evidenceOf, thirtyYears, verdictOf } from "./proof.ts"
import { half, list, set } from "./requests.ts"
import type { Stage } from "./stage.ts"

const begin = set(rolloverPath, Buffer.of(1))

/** A meter's key is followed by another, made inside as the first (paper 4.1), while the meter stands where it is. */
export function run(): Promise<Report> {
    return onStage(
        "Rollover of a meter's key",
        async (stage, story) => {
            const { meter } = stage
            const authority = stage.person("calibration-authority")
            const operator = await stage.certify("operator", "operator")
            const before = story.done(
                operator,
                "reads under the first key",
                await stage.tell(operator, meter, [list()]),
            )
            const evidence = evidenceOf(stage, meter, before)
            const formerKey = keysOf(stage)[0]

            story.refused(
                operator,
                "begins a rollover",
                await stage.tell(operator, meter, [begin]),
                Code.FunctionDenied,
            )
            story.refused(
                stage.person("security-management"),
                "begins a rollover",
                await stage.tell(stage.person("security-management"), meter, [begin]),
                Code.FunctionDenied,
            )
            story.refused(
                authority,
                "ends one that was not begun",
                await finish(stage, authority, meter.certificate),
                Code.KeyAbsent,
            )

            const begun = story.done(authority, "has the meter make a key", await stage.tell(authority, meter, [begin]))
            const csr = begun.trees[0]?.value ?? Buffer.alloc(0)
            story.refused(
                authority,
                "brings the certificate of the first key",
                await finish(stage, authority, meter.certificate),
                Code.CertificateForOtherKey,
            )
            story.done(operator, "reads between, under the first key", await stage.tell(operator, meter, [list()]))
            const former = meter.certificate
            const path = `meters/${meter.id.toString("hex")}`
            const { certificate } = await renew(stage.pki, path, { csr, now: stage.now() })
            const finished = await finish(stage, authority, certificate)
            story.shows(authority.name, "brings the certificate of the new key", "done", finished.text)
            const after = story.done(
                operator,
                "reads under the new key",
                await stage.tell(operator, stage.meter, [list()]),
            )
            const verdict = verdictOf(stage, evidenceOf(stage, meter, after))
            story.shows("verifier", "judges that reading", "proof", verdict.name)
            story.shows(
                "secure element",
                "the first key",
                "gone",
                keysOf(stage).some(key => key.equals(formerKey)) ? "there" : "gone",
            )
            story.refused(
                authority,
                "ends it once more",
                await finish(stage, authority, former),
                Code.CertificateForOtherKey,
            )
            const later = verdictOf(stage, evidence, thirtyYears)
            story.shows("verifier", "judges the first key's reading, 30 years on", "proof", later.name)
            const held = readCertificates(join(stage.pki, path, "cert.pem"))[0]
                .notAfter.toISOString()
                .slice(0, 10)
            story.notes.push(`The new certificate ends ${held}. 30 years on: ${later.statement}`)
        },
        { muc: false },
    )
}

async function finish(stage: Stage, by: Person, certificate: Buffer) {
    const { meter } = stage
    const brought = await stage.bring(meter, certificate)
    if (brought.code !== 0) return brought
    const value = Buffer.concat([Buffer.of(2), half(certificate.length), sha256(certificate)])
    return stage.tell(by, meter, [set(rolloverPath, value)])
}

/** Private keys in the element, as only the model can show them. */
function keysOf(stage: Stage): Buffer[] {
    return memoriesOf(stage.meter.bench).keySlots.map(slot => Buffer.from(slot).subarray(4, 36))
}
