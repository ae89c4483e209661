import { createHash, generateKeyPairSync } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import jsQR from "jsqr"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type CalibrationProtocol, fingerprint, protocolPage } from "../../tools/calibrate/protocol.ts"
import { initPki } from "../../tools/pki/init.ts"

let folder: string
let protocol: CalibrationProtocol

beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "plomb-page-"))
    await initPki(join(folder, "pki"))
    const chain = [readFileSync(join(folder, "pki", "calibration-authority", "cert.pem"), "utf8")]
    const { publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" })
    protocol = {
        format: "plomb-calibration/2",
        serverId: "0a01504c420100000007",
        serial: 7,
        hardware: `<b>"plomb" & 'co'</b>`,
        startedAt: "2026-11-22T15:00:00.000Z",
        finishedAt: "2026-11-22T15:00:07.000Z",
        reference: "<script>alert(1)</script>",
        publicKey: publicKey.export({ type: "spki", format: "der" }).toString("hex"),
        keyProtection: "secure element",
        chain,
        certificateSerial: "<i>01</i>",
        certificateNotAfter: "2042-11-22T15:00:00.000Z",
        testReading: "",
        testFindings: [
            { check: "message CRC", result: "proved" },
            { check: "message CRC", result: "proved" },
            { check: "<u>", result: "<s>" },
        ],
        software: { identification: "<s>plomb-meter 0.1.0", checksum: "ab".repeat(32) },
        attestation: {
            command: "",
            commandChain: [],
            answer: "",
            at: "2026-11-22T15:00:06.000Z",
            findings: [{ check: "answer's <signature>", result: "proved" }],
        },
        steps: [{ name: "<em>key made", at: "2026-11-22T15:00:03.000Z", final: true }],
    }
})

afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Draws the page's QR code, each module 4 pixels wide, from its SVG path "M x y l dx 0 ... z". */
function pictureOf(page: string) {
    const size = Number(/viewBox="0 0 (\d+)/.exec(page)![1])
    const pixels = new Uint8ClampedArray(size * size * 4).fill(255)
    const cells = [.../<path d="([^"]*)"/.exec(page)![1].matchAll(/M(\d+),(\d+)l(\d+),0 0,(\d+)/g)]
    for (const [, x, y, width, height] of cells.map(match => match.map(Number)))
        for (let row = y; row < y + height; row++)
            for (let column = x; column < x + width; column++)
                pixels.fill(0, (row * size + column) * 4, (row * size + column) * 4 + 3)
    return { pixels, size }
}

describe("the printed protocol", () => {
    it("carries the whole public key in a QR code that reads", () => {
        const { pixels, size } = pictureOf(protocolPage(protocol))
        expect(jsQR(pixels, size, size)?.data.toLowerCase()).toBe(protocol.publicKey)
    })

    it("shows a fingerprint of the key that people can compare", () => {
        const digest = createHash("sha256").update(Buffer.from(protocol.publicKey, "hex")).digest("hex")
        expect(fingerprint(protocol.publicKey).replaceAll(" ", "")).toBe(digest.slice(0, 32))
        expect(protocolPage(protocol)).toContain(fingerprint(protocol.publicKey))
    })

    it("escapes whatever comes from outside", () => {
        const page = protocolPage(protocol)
        for (const tag of ["<script>", "<i>", "<u>", "<s>", "<em>", "<signature>", `<b>"`])
            expect(page).not.toContain(tag)
        expect(page).toContain("&#60;script&#62;")
    })

    it("says plainly that a key in software is not protected", () => {
        const page = protocolPage({ ...protocol, keyProtection: "none" })
        expect(page).toContain("<td>NONE</td>")
        expect(page).toContain("This meter has no secure element")
        expect(protocolPage(protocol)).not.toContain("no secure element")
    })

    it("binds the software of the field image", () => {
        expect(protocolPage(protocol)).toContain(`&#60;s&#62;plomb-meter 0.1.0, SHA-256 ${protocol.software.checksum}`)
    })

    it("says which steps were final and which checks are open", () => {
        const page = protocolPage(protocol)
        expect(page).toContain("key made <b>(final)</b>".replace("key made", "&#60;em&#62;key made"))
        expect(page).toContain("message CRC (2)")
        expect(page).toContain("<b>Open:</b>")
    })

    it("says so where the adjustment's record is lost", () => {
        expect(protocolPage(protocol)).toContain("its record is not at this station")
    })
})
