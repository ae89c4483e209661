import { judgeTelegram } from "./edl40.ts"
import { judgeEvidence, judgeEvidenceText } from "./evidence.ts"
import { Findings, type Verdict } from "./findings.ts"
import type { Judgement } from "./item.ts"
import { judgeLogbookText } from "./logbook.ts"
import { isLogbookText } from "./logbook-file.ts"
import { judgeOcmf } from "./ocmf.ts"
import { bareVerdict, judgeXml } from "./safe-xml.ts"

/** Largest file that is judged, in octets. */
export const maxInputOctets = 16 * 1024 * 1024

const profileMark = Buffer.from("8181c7f001ff", "hex")

function judgeSml(source: string, sml: Buffer, judgement: Judgement): Verdict[] {
    if (!sml.includes(profileMark))
        return [bareVerdict(source, judgeTelegram(sml, judgement.key), judgement.key !== undefined)]
    // The bare file says neither when it was received nor whose the key is.
    const receivedAt = new Date().toISOString()
    const evidence = {
        sml,
        request: Buffer.alloc(0),
        chain: [],
        crls: [],
        receivedAt,
        source: { muc: "", headend: "" },
    }
    return judgeEvidence(source, evidence, judgement)
}

/** Judges whatever the octets are: evidence file, SAFE XML, OCMF text, SML file (binary or hex). Never throws for them. */
export function judge(source: string, octets: Buffer, judgement: Judgement): Verdict[] {
    const head = octets.subarray(0, 4).toString("hex")
    if (octets.length <= maxInputOctets) {
        if (head === "1b1b1b1b") return judgeSml(source, octets, judgement)
        const text = octets
            .toString("utf8")
            .replace(/^\ufeff/, "")
            .trim()
        if (text[0] === "{" && isLogbookText(text)) return [judgeLogbookText(source, text, judgement)]
        if (text[0] === "{") return judgeEvidenceText(source, text, judgement)
        if (text[0] === "<") return judgeXml(source, text, judgement.key)
        if (text.startsWith("OCMF|"))
            return [bareVerdict(source, judgeOcmf(text, judgement.key), judgement.key !== undefined)]
        if (/^(1b\s*){4}([0-9a-f]{2}\s*)+$/i.test(text))
            return judgeSml(source, Buffer.from(text.replace(/\s/g, ""), "hex"), judgement)
    }
    const findings = new Findings()
    const came =
        octets.length > maxInputOctets
            ? `${octets.length} octets, more than ${maxInputOctets}`
            : octets.length
              ? `a file that begins ${head}`
              : "an empty file"
    const expected = "an evidence file, an exported logbook, SAFE XML, OCMF text, or an SML file"
    findings.failed("kind of file", "plomb verify", "file", expected, came)
    const statement = `This is not proof: it is none of the files this program judges (expected ${expected}, came ${came}).`
    return [{ source, kind: "unknown", name: "not proof", statement, findings: findings.list, reading: {} }]
}
