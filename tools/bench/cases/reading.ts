import { mkdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Code } from "../../../firmware/core/errors.ts"
import { timePath } from "../../../firmware/core/sml-parameter.ts"
import { instituteCrls } from "../../calibrate/certifier.ts"
import { partyTls } from "../../desk/parties.ts"
import { HeadEnd } from "../../headend/headend.ts"
import { initPki } from "../../pki/init.ts"
import type { Report } from "../report.ts"
import { onStage } from "./on-stage.ts"
import { evidenceOf, verdictOf } from "./proof.ts"
import { list, profile, set, word } from "./requests.ts"
import type { Stage } from "./stage.ts"

/**
 * "Reading is done using Pull method. The reading command is signed by the entity and verified by the MUC including checking the
 * authorization. The metering (SML) data are digitally signed by the meter … The MUC transmits the data via SSL/TSL and TCP/IP."
 */
export function run(): Promise<Report> {
    return onStage("Reading of metering data (pull)", async (stage, story) => {
        const { meter } = stage
        const management = stage.person("security-management")
        const operator = await stage.certify("operator", "reader")
        const reading = story.done(
            operator,
            "reads the meter through the MUC",
            await stage.tell(operator, meter, [list()]),
        )
        story.shows("verifier", "judges the reading", "proof", verdictOf(stage, evidenceOf(stage, meter, reading)).name)
        await stage.desk.world.runFor(900_000)
        const rows = story.done(operator, "reads the load profile", await stage.tell(operator, meter, [profile()]))
        story.shows("verifier", "judges the first row", "proof", verdictOf(stage, evidenceOf(stage, meter, rows)).name)
        story.done(management, "reads the meter", await stage.tell(management, meter, [list()]))

        story.refused("nobody", "reads the meter", await stage.ask(meter, [list()]), Code.NotSigned)
        const narrow = await stage.certify("operator", "fitter", { rights: 1 << 9 })
        story.refused(
            narrow,
            "reads without the right in the certificate",
            await stage.tell(narrow, meter, [list()]),
            Code.RightMissing,
        )
        const foreign = await stranger(stage)
        story.refused(
            foreign,
            "reads with another provider's certificate",
            await stage.tell(foreign, meter, [list()]),
            Code.ChainIssuer,
            Code.ChainKeyId,
        )
        story.refused(
            operator,
            "reads and sets the time besides",
            await stage.tell(operator, meter, [list(), set(timePath, word(stage.seconds()))]),
            Code.FunctionDenied,
        )

        const verdict = await pulled(stage)
        story.shows("the provider's head-end", "pulls over TLS 1.3, judges and stores", "proof", verdict)
    })
}

/** An operator whose certificates look the same and come from a PKI of its own. */
export async function stranger(stage: Stage, path = "operator") {
    const pki = join(stage.folder, "foreign")
    mkdirSync(stage.folder, { recursive: true })
    await initPki(pki, { now: stage.now() })
    return stage.person(path, `foreign ${path}`.replace(/-/g, " "), pki)
}

/** The head-end takes the place of the other end of the uplink. */
async function pulled(stage: Stage): Promise<string> {
    const { pki, desk, meter, uplink } = stage
    const headEnd = new HeadEnd({
        store: join(stage.folder, "evidence"),
        tls: partyTls(pki, "operator"),
        anchors: [readFileSync(join(pki, "institute-root", "cert.pem"), "utf8")],
        crls: () => instituteCrls(pki),
        pauseMs: 100,
        nowSeconds: () => stage.seconds(),
    })
    await uplink!.close()
    try {
        await headEnd.listen(uplink!.port)
        const id = meter.id.toString("hex")
        await desk.world.runUntil(() => headEnd.meters().some(({ serverId }) => serverId === id), 300_000)
        const stored = await desk.world.runWhile(headEnd.pull(id), 120_000)
        return stored.verdicts[0].name
    } finally {
        await headEnd.close()
    }
}
