import { Code } from "../../../firmware/core/errors.ts"
import { addressesPath, changeProviderPath } from "../../../firmware/core/sml-parameter.ts"
import { UplinkPeer } from "../../desk/uplink-peer.ts"
import { issueWithKey } from "../../pki/issue.ts"
import type { Report } from "../report.ts"
import type { Came } from "./answer.ts"
import { type Person, sha256 } from "./company.ts"
import { onStage } from "./on-stage.ts"
import { evidenceOf, thirtyYears, verdictOf } from "./proof.ts"
import { stranger } from "./reading.ts"
import { half, list, set } from "./requests.ts"
import type { Component, Stage } from "./stage.ts"

/**
 * "The operator of the first metering service provider sends the certificate of the second metering service provider to the MUCs. The new
 * public key overwrites the old one. New addresses are set in the components by using maintenance commands."
 */
export function run(): Promise<Report> {
    return onStage("Change of Metering Service Provider", async (stage, story) => {
        const { meter, muc, pki } = stage
        const first = stage.person("security-management", "first provider")
        const formerOperator = await stage.certify("operator", "first operator")
        const second = await nextProvider(stage)
        const operator = await stage.certify("operator", "second operator", {
            by: second.path,
            hosts: ["localhost", "127.0.0.1"],
        })

        const before = story.done(
            formerOperator,
            "reads under the first provider",
            await stage.tell(formerOperator, meter, [list()]),
        )
        const evidence = evidenceOf(stage, meter, before)
        story.refused(
            formerOperator,
            "changes the provider",
            await change(stage, formerOperator, meter, second),
            Code.FunctionDenied,
        )
        story.refused(second, "changes the provider itself", await change(stage, second, meter, second), ...unheld)
        const foreign = await stranger(stage, "security-management")
        story.refused(
            first,
            "hands over to one whom the CA has not certified",
            await change(stage, first, meter, foreign, foreignCa(stage)),
            Code.ChainIssuer,
            Code.ChainKeyId,
            Code.ChainSignature,
        )

        const uplink = new UplinkPeer(pki, operator.path)
        await uplink.listen()
        try {
            story.done(first, "hands the meter over", await change(stage, first, meter, second))
            story.refused(
                formerOperator,
                "reads a moment later",
                await stage.tell(formerOperator, meter, [list()]),
                ...unheld,
            )
            const address = Buffer.from(`uplink=127.0.0.1:${uplink.port}`)
            story.done(
                first,
                "sets the new address in the MUC",
                await stage.tell(first, muc, [set(addressesPath, address)]),
            )
            story.done(first, "hands the MUC over", await change(stage, first, muc, second))
            await stage.moveTo(uplink)
            story.shows(
                "MUC",
                "calls the second provider, certified by it",
                "connected",
                uplink.connected() ? "connected" : "silent",
            )
            const after = story.done(
                operator,
                "reads under the second provider",
                await stage.tell(operator, meter, [list()]),
            )
            story.shows(
                "verifier",
                "judges that reading",
                "proof",
                verdictOf(stage, evidenceOf(stage, meter, after)).name,
            )
            story.refused(
                formerOperator,
                "reads through the MUC",
                await stage.tell(formerOperator, meter, [list()]),
                ...unheld,
            )
            story.refused(first, "takes the MUC back", await change(stage, first, muc, first), ...unheld)
            story.refused(first, "takes the meter back", await change(stage, first, meter, first), ...unheld)
            const later = verdictOf(stage, evidence, thirtyYears)
            story.shows("verifier", "judges the first provider's reading, 30 years on", "proof", later.name)
            story.notes.push(`30 years on: ${later.statement}`)
        } finally {
            await uplink.close()
        }
    })
}

/** What a certificate is refused with that no certificate held has issued. */
export const unheld = [Code.ChainIssuer]

/** A second security management of the same CA. */
export async function nextProvider(stage: Stage): Promise<Person> {
    await issueWithKey(stage.pki, "security-management", "Second Provider", { now: stage.now() })
    return stage.person("security-managements/Second Provider", "second provider")
}

/** Brings the certificate of `next` and commands to take it; a MUC gets the list of its operators revoked besides. */
export async function change(
    stage: Stage,
    by: Person,
    to: Component,
    next: Person,
    ca: Buffer = stage.der("ca-root"),
): Promise<Came> {
    const der = next.signer.certificate
    const list = to.name === "MUC" ? stage.list(next.path) : Buffer.alloc(0)
    const value = [half(der.length), half(ca.length), sha256(der), ...(list.length > 0 ? [half(list.length)] : [])]
    for (let left = 3; ; --left) {
        let came = await stage.bring(to, der, Buffer.concat([ca, list]))
        if (came.code === 0) came = await stage.tell(by, to, [set(changeProviderPath, Buffer.concat(value))])
        // A meter has one place for what is brought: what the MUC delivers by itself in the same moment takes it away.
        if (came.code !== Code.StepOutOfOrder || left === 0) return came
    }
}

function foreignCa(stage: Stage): Buffer {
    return stage.person("ca-root", "foreign CA", `${stage.folder}/foreign`).signer.certificate
}
