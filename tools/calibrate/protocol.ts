import { createHash, X509Certificate } from "node:crypto"
import qrcode from "qrcode-generator"
import { evidenceText } from "../evidence/format.ts"
import type { Adjustment } from "./adjust.ts"
import { type Software, textOf } from "./field.ts"

/** The record of one calibration; kept as JSON and printed as a page. */
export interface CalibrationProtocol {
    format: "plomb-calibration/2"
    serverId: string
    serial: number
    hardware: string
    startedAt: string
    finishedAt: string
    reference: string
    /** Absent when the meter had been adjusted in an earlier session whose record is lost. */
    adjustment?: Adjustment
    /** SubjectPublicKeyInfo in hex, as transparency software takes it. */
    publicKey: string
    keyProtection: "secure element" | "none"
    /** Leaf first. */
    chain: string[]
    certificateSerial: string
    certificateNotAfter: string
    /** The test reading that the meter signed before it was sealed, an SML file in hex, and what verifying it said. */
    testReading: string
    testFindings: { check: string; result: string }[]
    /** What the sealed meter runs and measures with, and that it said so itself. */
    software: Software
    attestation: Attestation
    steps: { name: string; at: string; final: boolean }[]
}

/** What an interrupted session leaves of it. */
export type PartialProtocol = Partial<CalibrationProtocol>

/** A command of the calibration authority and the meter's signed answer, SML files in hex; evidence like any other. */
export interface Attestation {
    command: string
    /** PEM, the signer first. */
    commandChain: string[]
    answer: string
    at: string
    findings: { check: string; result: string }[]
}

/** The attestation as an evidence file, with the revocation lists `crls` (PEM) of its day. */
export function attestationEvidence({ attestation, chain }: CalibrationProtocol, crls: string[]): string {
    return evidenceText({
        sml: Buffer.from(attestation.answer, "hex"),
        request: Buffer.from(attestation.command, "hex"),
        chain,
        crls,
        commandChain: attestation.commandChain,
        receivedAt: attestation.at,
        source: { muc: "", headend: "calibration station" },
    })
}

/** SHA-256 of the public key in groups of four, for people to compare. */
export function fingerprint(publicKeyHex: string): string {
    const digest = createHash("sha256").update(Buffer.from(publicKeyHex, "hex")).digest("hex")
    return digest.match(/.{4}/g)!.slice(0, 8).join(" ")
}

function escapeHtml(text: string): string {
    return text.replace(/[&<>"']/g, character => `&#${character.charCodeAt(0)};`)
}

function row(name: string, value: string): string {
    return `<tr><th>${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`
}

/** Whole seconds of an ISO time, for people. */
function timeOf(iso: string): string {
    return `${iso.slice(0, 10)} ${iso.slice(11, 19)} UTC`
}

/** "message CRC (3), signature" of checks with this result, or nothing. */
function namesOf(findings: CalibrationProtocol["testFindings"]): string {
    const counts = new Map<string, number>()
    for (const { check } of findings) counts.set(check, (counts.get(check) ?? 0) + 1)
    return [...counts].map(([check, count]) => (count > 1 ? `${check} (${count})` : check)).join(", ")
}

/** The protocol as one self-contained page for printing on A4, with the public key as a QR code. */
export function protocolPage(protocol: CalibrationProtocol): string {
    const code = qrcode(0, "M")
    code.addData(protocol.publicKey.toUpperCase(), "Alphanumeric")
    code.make()
    const { adjustment, testFindings, attestation, steps } = protocol
    const points = (adjustment?.records ?? [])
        .map(({ name, applied, measured, powerError }) => {
            const { volts, amperes, lagDegrees, watts } = applied
            const cells = [
                name,
                `${volts.toFixed(2)} V, ${amperes.toFixed(3)} A, ${lagDegrees.toFixed(1)} degrees`,
                `${watts.toFixed(2)} W`,
                `${measured.watts.toFixed(2)} W`,
                `${(powerError * 100).toFixed(3)} %`,
            ]
            return `<tr>${cells.map(cell => `<td>${escapeHtml(cell)}</td>`).join("")}</tr>`
        })
        .join("\n")
    const done = steps
        .map(
            ({ at, name, final }) => `<li>${escapeHtml(`${timeOf(at)} ${name}`)}${final ? " <b>(final)</b>" : ""}</li>`,
        )
        .join("\n")
    const open = testFindings.filter(({ result }) => result !== "proved")
    const issuer = new X509Certificate(protocol.chain[0]).issuer.replace(/^CN=/, "")
    const secured = protocol.keyProtection !== "none"
    return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Calibration of meter ${protocol.serial}</title>
<style>
@page{size:A4;margin:14mm}
body{font:10pt/1.35 sans-serif;max-width:48em;margin:2em auto;color:#111}
h1{font-size:1.4em;margin-top:0}h2{font-size:1.1em;margin:1em 0 .3em;clear:both}p,ol{margin:.3em 0}
table{border-collapse:collapse;width:100%}th,td{border:1px solid #999;padding:.15em .5em;text-align:left;vertical-align:top}
.facts{width:auto}th{background:#f2f2f2;white-space:nowrap}td{overflow-wrap:anywhere}
figure{float:right;margin:0 0 .5em 1.5em;text-align:center;width:15em}figure svg{width:15em;height:15em}
.warning{border:2px solid #111;padding:.3em .6em;font-weight:bold}
.sign{margin-top:3em;display:flex;gap:3em}.sign div{flex:1;border-top:1px solid #111;padding-top:.3em}
@media print{body{margin:0;max-width:none;font-size:9.5pt}}
</style></head><body>
<figure>${code.createSvgTag({ scalable: true, margin: 2 })}<figcaption>Public key, fingerprint<br><code>${fingerprint(protocol.publicKey)}</code></figcaption></figure>
<h1>Calibration protocol: meter ${protocol.serial}</h1>
<table class="facts">
${row("Server id", protocol.serverId)}
${row("Hardware model", protocol.hardware)}
${row("Calibrated", `${timeOf(protocol.startedAt)} to ${timeOf(protocol.finishedAt)}`)}
${row("Reference", protocol.reference)}
${row("Signing key", "P-256, made inside the meter")}
${row("Key protection", secured ? "secure element; the key can not be read" : "NONE")}
${row("Certificate", `${protocol.certificateSerial}, valid to ${timeOf(protocol.certificateNotAfter)}`)}
${row("Issued by", issuer)}
${row("Software", textOf(protocol.software))}
</table>
${
    secured
        ? ""
        : '<p class="warning">This meter has no secure element. Its key lies in its memory, where whoever opens it can read and copy it. Every reading it signs says so.</p>'
}
<h2>Measurement</h2>
${
    adjustment
        ? `<table><tr><th>Point</th><th>Applied, current lagging</th><th>Active power</th><th>Measured</th><th>Error</th></tr>
${points}</table>
<p>The point "gain" is as found, before adjustment. Constants: voltage gain ${hexOf(adjustment.voltageGain)}, current gain ${hexOf(adjustment.currentGain)}, power gain ${hexOf(adjustment.powerGain)}, phase ${hexOf(adjustment.phase)}.</p>`
        : "<p>Adjusted in an earlier session; its record is not at this station.</p>"
}
<h2>Signed test reading before sealing</h2>
<p><b>Proved:</b> ${escapeHtml(namesOf(testFindings.filter(({ result }) => result === "proved")))}.</p>
${open.length > 0 ? `<p><b>Open:</b> ${escapeHtml(open.map(({ check, result }) => `${check}: ${result}`).join("; "))}.</p>` : ""}
<h2>Attestation of the sealed meter</h2>
<p>It runs the software above, asked by the calibration authority at ${escapeHtml(timeOf(attestation.at))}. <b>Proved:</b> ${escapeHtml(namesOf(attestation.findings))}.</p>
<h2>Steps</h2>
<ol>
${done}
</ol>
<h2>Public key (SubjectPublicKeyInfo, hex; also in the QR code)</h2>
<p><code style="overflow-wrap:anywhere">${escapeHtml(protocol.publicKey)}</code></p>
<div class="sign"><div>Place, date</div><div>Calibration authority</div></div>
</body></html>
`
}

function hexOf(value: number): string {
    return `0x${value.toString(16)}`
}
