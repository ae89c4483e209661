import { rawSignature } from "./certificate.ts"
import { curveName, keyFromSpki, type PublicKey, verifyBoth, widthOf } from "./curves.ts"
import type { TelegramResult } from "./edl40.ts"
import { Findings } from "./findings.ts"

/** Open Charge Metering Format: `OCMF|payload|signature`, both JSON; signed are the payload's octets as they stand. */

const clause = "OCMF 1.0 to 1.3, signature section"

function objectOf(text: string): Record<string, unknown> | undefined {
    try {
        const value = JSON.parse(text)
        return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined
    } catch {
        return undefined
    }
}

function short(value: unknown): string {
    return String(value ?? "")
        .replace(/[^\p{L}\p{N} .,:;*_+/()-]/gu, "?")
        .slice(0, 60)
}

function readingOf(payload: Record<string, unknown>): Record<string, string> {
    const reading: Record<string, string> = { meter: short(payload.MS ?? payload.GS), pagination: short(payload.PG) }
    let inherited: Record<string, unknown> = {}
    for (const each of Array.isArray(payload.RD) ? payload.RD.slice(0, 100) : []) {
        if (typeof each !== "object" || each === null) continue
        // A later reading inherits what it leaves out from the one before.
        inherited = { ...inherited, ...each }
        const name = `${short(inherited.RI) || "value"} ${short(inherited.TX)} ${short(inherited.TM)}`
        reading[name.trim()] = `${short(inherited.RV)} ${short(inherited.RU)}, status ${short(inherited.ST)}`
    }
    return reading
}

/** The second bar: the first that is followed by a JSON object to the end, as a payload may hold bars itself. */
function splitAt(text: string): number {
    for (let bar = text.indexOf("|", 5), tries = 0; bar >= 0 && tries < 64; bar = text.indexOf("|", bar + 1), ++tries)
        if (objectOf(text.slice(bar + 1)) && objectOf(text.slice(5, bar))) return bar
    return -1
}

function signatureOctets(signature: Record<string, unknown>): Buffer | undefined {
    const { SD: data, SE: encoding } = signature
    if (typeof data !== "string") return undefined
    if (encoding === "base64") return /^[A-Za-z0-9+/=\s]+$/.test(data) ? Buffer.from(data, "base64") : undefined
    return /^([0-9a-fA-F]{2})+$/.test(data) ? Buffer.from(data, "hex") : undefined
}

/** Judges one OCMF text with a key given apart (SubjectPublicKeyInfo octets, or a key a person named). */
export function judgeOcmf(text: string, given: Buffer | PublicKey | undefined): TelegramResult {
    const findings = new Findings()
    const result: TelegramResult = { kind: "OCMF", findings, reading: {} }
    const bar = text.startsWith("OCMF|") ? splitAt(text) : -1
    if (bar < 0) {
        findings.failed("OCMF structure", clause, "text", "OCMF|payload|signature, both JSON objects", "something else")
        return result
    }
    const payload = text.slice(5, bar)
    const signature = objectOf(text.slice(bar + 1))!
    findings.proved("OCMF structure", clause, "text", "OCMF|payload|signature, both JSON objects", "so it is")
    result.reading = readingOf(objectOf(payload)!)
    const algorithm = typeof signature.SA === "string" ? signature.SA : "ECDSA-secp256r1-SHA256"
    const [scheme, curveText, hash] = algorithm.split("-")
    const curve = curveName(curveText ?? "")
    const supported = scheme === "ECDSA" && hash === "SHA256" && widthOf(curve) !== undefined
    if (!supported) {
        const why = hash !== "SHA256" ? "only SHA-256 is used in practice" : "no such curve in noble and node:crypto"
        findings.missing(
            "algorithm",
            clause,
            "SA",
            "ECDSA on a known curve with SHA-256",
            `not supported: ${short(algorithm)} (${why})`,
        )
        return result
    }
    findings.proved("algorithm", clause, "SA", "ECDSA on a known curve with SHA-256", algorithm)
    const key = Buffer.isBuffer(given) ? keyFromSpki(given) : given
    if (!key) findings.missing("public key", "RFC 5480", "publicKey", `a key on ${curve}`, "no key given")
    else if ("refused" in key) findings.failed("public key", "RFC 5480", "publicKey", `a key on ${curve}`, key.refused)
    else
        findings.check(
            key.curve === curve,
            "public key",
            "RFC 5480",
            "publicKey",
            `a key on ${curve}`,
            `a key on ${key.curve}`,
        )
    const octets = signatureOctets(signature)
    const raw = octets && rawSignature(octets, widthOf(curve)!)
    const signed = Buffer.from(payload, "utf8")
    const expected = `a signature over the ${signed.length} octets between the bars`
    if (!raw)
        findings.failed(
            "signature",
            clause,
            "SD",
            "DER SEQUENCE of r and s in hex or base64",
            octets ? "no strict DER" : "no octets",
        )
    else {
        const usable = key && !("refused" in key) && key.curve === curve
        if (!usable) findings.missing("signature", clause, "SD", expected, "no usable key to check it with")
        else {
            const { holds, text: words } = verifyBoth(key, signed, raw)
            findings.check(holds, "signature", clause, "SD", expected, words)
        }
        result.proof = { signed, signature: raw, keyPem: usable ? key.pem : undefined }
    }
    return result
}
