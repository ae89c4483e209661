import { verify, X509Certificate } from "node:crypto"
import { readAnswer, type SignedAnswer } from "../verify/answer-file.ts"
import { readCommand } from "../verify/command-file.ts"
import { readSmlFile } from "../verify/sml-file.ts"
import { SmlDamage } from "../verify/sml-tlv.ts"

/** One thing looked at in an answer. */
export interface AnswerFinding {
    check: "form" | "device" | "command" | "counter" | "signature"
    holds: boolean
    expected: string
    came: string
}

export interface AnswerJudgement {
    /** Does all of it hold? */
    holds: boolean
    findings: AnswerFinding[]
    /** The answer, where its form holds. */
    answer?: SignedAnswer
}

/**
 * Is `answer` what the device with this certificate (DER or PEM) said to `command`? Both are SML files as sent. Form, device, the command it
 * names, signature; the certificate's own chain is the caller's to judge (`tools/verify`), and what the answer says its own to read.
 */
export function verifyAnswer(
    answer: Uint8Array,
    command: Uint8Array,
    deviceCertificate: Uint8Array | string,
): AnswerJudgement {
    const findings: AnswerFinding[] = []
    const find = (check: AnswerFinding["check"], expected: string, came: string, holds = expected === came) =>
        findings.push({ check, holds, expected, came })
    let read: SignedAnswer
    try {
        read = readAnswer(readSmlFile(Buffer.from(answer)))
    } catch (error) {
        if (!(error instanceof SmlDamage)) throw error
        find("form", error.expected, error.came, false)
        return { holds: false, findings }
    }
    const asked = readCommand(readSmlFile(Buffer.from(command)))
    const certificate = new X509Certificate(deviceCertificate)
    const name = /^CN=(.*)$/m.exec(certificate.subject)?.[1] ?? ""
    find("form", "a signed answer", "a signed answer")
    find("device", asked.target.toString("hex"), read.serverId.toString("hex"))
    find("device", asked.target.toString("hex"), name.toLowerCase())
    find("command", asked.digest.toString("hex"), read.command.toString("hex"))
    find("counter", `${asked.counter}`, `${read.counter}`)
    const key = { key: certificate.publicKey, dsaEncoding: "ieee-p1363" } as const
    const sound = read.signature.length === 64 && verify("sha256", read.signed, key, read.signature)
    find("signature", "the device's", sound ? "the device's" : "another")
    return { holds: findings.every(each => each.holds), findings, answer: read }
}
