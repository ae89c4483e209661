import { createHash } from "node:crypto"
import qrcode from "qrcode-generator"
import type { Adjustment } from "./adjust.ts"

/** The record of one calibration; kept as JSON and printed as a page. */
export interface CalibrationProtocol {
    format: "plomb-calibration/1"
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
    /** The signed test reading of the sealed meter, an SML file in hex, and what verifying it said. */
    testReading: string
    testFindings: { check: string; result: string }[]
    steps: { name: string; at: string; final: boolean }[]
}

/** SHA-256 of the public key in groups of four, for people to compare. */
export function fingerprint(publicKeyHex: string): string {
    const digest = createHash("sha256").update(Buffer.from(publicKeyHex, "hex")).digest("hex")
    return digest.match(/.{4}/g)!.slice(0, 8).join(" ")
}

function escapeHtml(text: string): string {
    return text.replace(/[&<>"]/g, character => `&#${character.charCodeAt(0)};`)
}

function row(name: string, value: string): string {
    return `<tr><th>${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`
}

/** The protocol as one self-contained page for printing, with the public key as a QR code. */
export function protocolPage(protocol: CalibrationProtocol): string {
    const code = qrcode(0, "M")
    code.addData(protocol.publicKey.toUpperCase(), "Alphanumeric")
    code.make()
    const points = (protocol.adjustment?.records ?? [])
        .map(
            ({ name, applied, measured, powerError }) =>
                `<tr><td>${escapeHtml(name)}</td><td>${applied.volts.toFixed(2)} V, ${applied.amperes.toFixed(3)} A, ${applied.lagDegrees.toFixed(1)}&deg;</td>` +
                `<td>${applied.watts.toFixed(2)} W</td><td>${measured.watts.toFixed(2)} W</td><td>${(powerError * 100).toFixed(3)} %</td></tr>`,
        )
        .join("\n")
    const steps = protocol.steps
        .map(step => `<li>${escapeHtml(step.at)} ${escapeHtml(step.name)}${step.final ? " <b>(final)</b>" : ""}</li>`)
        .join("\n")
    const findings = protocol.testFindings
        .map(finding => `<li>${escapeHtml(finding.check)}: ${escapeHtml(finding.result)}</li>`)
        .join("\n")
    return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Calibration of meter ${protocol.serial}</title>
<style>
body{font:11pt/1.4 sans-serif;max-width:48em;margin:2em auto;color:#111}
h1{font-size:1.4em}h2{font-size:1.1em;margin-top:1.4em}
table{border-collapse:collapse;width:100%}th,td{border:1px solid #999;padding:.2em .5em;text-align:left;vertical-align:top}
th{width:14em;background:#f2f2f2}td{overflow-wrap:anywhere}
figure{float:right;margin:0 0 1em 1em;text-align:center;width:15em}figure svg{width:15em;height:15em}
.sign{margin-top:3em;display:flex;gap:3em}.sign div{flex:1;border-top:1px solid #111;padding-top:.3em}
@media print{body{margin:0}h2{break-after:avoid}}
</style></head><body>
<figure>${code.createSvgTag({ scalable: true, margin: 2 })}<figcaption>Public key<br><code>${fingerprint(protocol.publicKey)}</code></figcaption></figure>
<h1>Calibration protocol: meter ${protocol.serial}</h1>
<table>
${row("Server id", protocol.serverId)}
${row("Hardware model", protocol.hardware)}
${row("Calibrated", `${protocol.startedAt} to ${protocol.finishedAt}`)}
${row("Reference", protocol.reference)}
${row("Signing key", `P-256, made inside the meter; protection: ${protocol.keyProtection}`)}
${row("Certificate", `${protocol.certificateSerial}, valid to ${protocol.certificateNotAfter}`)}
</table>
<h2>Measurement</h2>
${
    protocol.adjustment
        ? `<table><tr><th>Point</th><th>Applied</th><th>Active power</th><th>Measured</th><th>Error</th></tr>
${points}</table>
<p>Constants: voltage gain ${hexOf(protocol.adjustment.voltageGain)}, current gain ${hexOf(protocol.adjustment.currentGain)}, power gain ${hexOf(protocol.adjustment.powerGain)}, phase ${hexOf(protocol.adjustment.phase)}.</p>`
        : "<p>Adjusted in an earlier session; its record is not at this station.</p>"
}
<h2>Signed test reading</h2>
<ul>
${findings}
</ul>
<h2>Steps</h2>
<ol>
${steps}
</ol>
<h2>Public key (SubjectPublicKeyInfo, hex)</h2>
<p><code style="overflow-wrap:anywhere">${protocol.publicKey}</code></p>
<div class="sign"><div>Place, date</div><div>Calibration authority</div></div>
</body></html>
`
}

function hexOf(value: number): string {
    return `0x${value.toString(16)}`
}
