import { evidenceFormat } from "../evidence/format.ts"
import { judgeEvidence } from "../verify/evidence.ts"
import type { Judge } from "./station.ts"

/**
 * Judges what the meter on the station has signed by the rules of `plomb verify`, with the revocation lists `crls` (PEM); the anchor
 * is the last certificate of the chain. Nobody asks for a test reading over a line, so whether it answers a request is no question then.
 */
export function judgeWith(crls: string[]): Judge {
    return async (sml, chain, command) => {
        const evidence = {
            format: evidenceFormat,
            sml,
            request: command?.request ?? Buffer.alloc(0),
            commandChain: command?.chain,
            chain,
            crls,
            receivedAt: new Date().toISOString(),
            source: { muc: "", headend: "calibration station" },
        }
        const [verdict] = judgeEvidence("calibration station", evidence, { anchors: chain.slice(-1) })
        return verdict.findings
            .filter(finding => finding.needed && (command || finding.check !== "answer to the request"))
            .map(({ check, result, expected, came }) => ({
                check,
                result: result === "proved" ? "proved" : `${result} (expected ${expected}, came ${came})`,
            }))
    }
}
