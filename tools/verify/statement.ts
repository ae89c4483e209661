import type { Finding, Findings, VerdictName } from "./findings.ts"

/** The name of the whole verdict: proof only if every needed check is proved. */
export function nameOf(findings: Findings, bareKey: boolean): VerdictName {
    const open = findings.open
    if (open.some(finding => finding.result === "failed")) return "not proof"
    if (open.some(finding => finding.check !== "time")) return "not proof"
    if (bareKey) return "signed by the key you named"
    return open.length > 0 ? "proof of the values, not of their time" : "proof"
}

function has(list: Finding[], check: string): boolean {
    return list.some(finding => finding.check === check)
}

/** The cause of a refusal in a person's words, the deepest first. */
function causeOf(open: Finding[]): string {
    const crc = has(open, "transport CRC") || has(open, "message CRC")
    const broken = open.find(each =>
        ["transport frame", "SML structure", "evidence file", "signed list"].includes(each.check),
    )
    if (
        has(
            open.filter(each => each.result === "failed"),
            "signature",
        )
    )
        return crc
            ? "its octets are not those the meter signed: checksum and signature fail together, so it was damaged or changed after it left the meter"
            : "its octets are not those the holder of this key signed, although the checksums are right: changed by somebody who recomputed them, or signed with another key"
    if (broken)
        return `it cannot be read as a signed reading (${broken.place}: expected ${broken.expected}, came ${broken.came})`
    if (crc)
        return "the signature holds but a checksum outside the signed part is wrong: the file was damaged or edited around the signed part"
    const [first] = open
    return first
        ? `${first.check} ${first.result === "failed" ? "fails" : "is not shown"} (${first.place}: expected ${first.expected}, came ${first.came})`
        : ""
}

/** The whole verdict in plain words. */
export function statementOf(name: VerdictName, findings: Findings, reading: Record<string, string>): string {
    const energy = reading["1-0:1.8.0"]
        ? ` It shows ${reading["1-0:1.8.0"]} drawn and ${reading["1-0:2.8.0"] ?? "?"} fed in.`
        : ""
    const software = has(
        findings.list.filter(each => each.result === "not shown"),
        "key custody",
    )
        ? " The meter keeps its key in software, not in a secure element."
        : ""
    if (reading.muc && (name === "proof" || name === "proof of the values, not of their time")) {
        const what = `${reading.telegrams} ${reading.telegrams === "1" ? "telegram" : "telegrams"}`
        const when = name === "proof" ? ` at ${reading.time}` : ", but when is not proved"
        return `MUC ${reading.muc} signed ${what} of meters as it received them${when}; they are unaltered since, and its manufacturer vouches for its key. The meters themselves signed nothing: what they sent until then rests on their symmetric protection and on the MUC.${software.replace("meter", "MUC")}`
    }
    const who = `meter ${reading.meter ?? reading.muc ?? "unknown"}`
    switch (name) {
        case "proof":
            return `This reading was measured by ${who} at ${reading.time}; it is unaltered, and the institute's calibration authority vouches for that meter's key.${energy}${software}`
        case "proof of the values, not of their time":
            return `This reading was measured by ${who} and is unaltered, but when is not proved: ${findings.open[0]?.came ?? ""}.${energy}${software}`
        case "signed by the key you named":
            return `Whoever holds the key you named signed this reading, and it is unaltered. That the key is that of ${who} rests on you: no certificate was judged.${energy}${software}`
        case "signed by the key that came with it":
            return "It is unaltered since it was signed, with the key that lies beside it. Whose key that is, nothing here shows: anybody can sign with a key of his own."
        default: {
            const open = findings.open
            const more = open.length > 1 ? ` ${open.length} checks are open in all.` : ""
            return `This is not proof: ${causeOf(open)}.${more}`
        }
    }
}
