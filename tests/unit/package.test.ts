import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import fc from "fast-check"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import "../../tools/node/platform.ts"
import { Code, PlombError } from "../../firmware/core/errors"
import { sourceOf } from "../../firmware/core/octets"
import { longestImage, readPackage } from "../../firmware/core/package"
import { run } from "../../tools/package/command.ts"
import { anchorsOf, judgePackage } from "../../tools/package/judge.ts"
import { versionNumber, versionText, writeManifest } from "../../tools/package/manifest.ts"
import { Package } from "../../tools/package/package.ts"
import { readCertificates } from "../../tools/pki/certificates.ts"
import { HssKey, readParameters } from "../../tools/pki/hss.ts"
import { initPki } from "../../tools/pki/init.ts"
import { openKey } from "../../tools/pki/keys.ts"
import { revoke } from "../../tools/pki/revoke.ts"

const folder = mkdtempSync(join(tmpdir(), "plomb-package-"))
const stateBefore = process.env.PLOMB_STATE
const pki = join(folder, "pki")
const other = join(folder, "other")
const image = Buffer.from("not a program: packages do not look into their image")
const stated = {
    component: "meter",
    metrological: true,
    name: "metrology",
    version: versionNumber("1.2.3"),
    hardware: "plomb-1",
    approval: "DE-26-M-PTB-0001",
    runtime: versionNumber("2.16.0"),
    floor: versionNumber("1.0.0"),
}

type Step = "institute ES256" | "institute HSS" | "manufacturer ES256" | "manufacturer HSS"
const steps: Step[] = ["institute ES256", "institute HSS", "manufacturer ES256", "manufacturer HSS"]

async function sign(made: Package, step: Step, from = pki): Promise<Package> {
    const institute = step.startsWith("institute")
    const signer = join(from, institute ? "institute-approval" : "manufacturer")
    if (step.endsWith("HSS")) {
        const hss = HssKey.open(join(from, institute ? "institute-root" : "manufacturer", "hss"))
        return made.signHss(hss.publicKey, message => hss.sign(message))
    }
    const [certificate] = readCertificates(join(signer, "cert.pem"))
    const keyId = new Uint8Array(await certificate.publicKey.getKeyIdentifier())
    const der = new Uint8Array(certificate.rawData)
    return made.signEs256(openKey(join(signer, "key.pem")), { der, keyId }, institute)
}

async function signed(which = steps, from: (step: Step) => string = () => pki): Promise<Buffer> {
    let made = Package.create(stated, image)
    for (const step of which) made = await sign(made, step, from(step))
    return made.octets()
}

const judge = (octets: Buffer, from = pki) => judgePackage(octets, anchorsOf(from), new Date())
const refusal = (octets: Buffer, from = pki) => {
    const { accepted, findings } = judge(octets, from)
    expect(accepted).toBe(false)
    return findings.at(-1)!
}

beforeAll(async () => {
    process.env.PLOMB_STATE = join(folder, "state")
    await initPki(pki, { hss: "H5/W4" })
    await initPki(other, { hss: "H5/W4" })
})

afterAll(() => {
    if (stateBefore === undefined) delete process.env.PLOMB_STATE
    else process.env.PLOMB_STATE = stateBefore
    rmSync(folder, { recursive: true, force: true })
})

describe("a software package", () => {
    it("is accepted with the four signatures, in any order", async () => {
        expect(judge(await signed()).accepted).toBe(true)
        expect(judge(await signed([...steps].reverse())).accepted).toBe(true)
    })

    it.each(steps)("without the signature %s is refused, and told whose is missing", async step => {
        const { what, why } = refusal(await signed(steps.filter(each => each !== step)))
        expect(what.replace("/LMS", "").replace(",", "")).toBe(step)
        expect(why).toContain(`E${Code.PackageSigner}`)
    })

    it.each(steps)("whose signature %s is by another PKI's party is refused", async step => {
        expect(refusal(await signed(steps, each => (each === step ? other : pki))).why).toMatch(/E3530|E32\d\d/)
    })

    it.each(steps)("whose signature %s is changed in one octet is refused", async step => {
        const made = Package.read(await signed())
        const at = steps.indexOf(step)
        made.signatures[at][2] = Uint8Array.from(made.signatures[at][2], (octet, i) => (i === 40 ? octet ^ 1 : octet))
        expect(refusal(made.octets()).why).toContain(`E${Code.PackageSignature}`)
    })

    it("whose approver is revoked is refused", async () => {
        const octets = await signed()
        const revoking = join(folder, "revoking")
        cpSync(pki, revoking, { recursive: true })
        await revoke(revoking, join(revoking, "institute-approval", "cert.pem"), "keyCompromise", {})
        expect(refusal(octets, revoking).why).toContain(`E${Code.ChainRevoked}`)
    })

    it("whose manufacturer is revoked is refused", async () => {
        const octets = await signed()
        const revoking = join(folder, "revoking-manufacturer")
        cpSync(pki, revoking, { recursive: true })
        await revoke(revoking, join(revoking, "manufacturer", "cert.pem"), "keyCompromise", {})
        expect(refusal(octets, revoking).why).toBe("revoked")
    })

    it("that does not measure needs the manufacturer alone", async () => {
        let made = Package.create({ ...stated, component: "muc", metrological: false, approval: "" }, image)
        for (const step of steps.slice(2)) made = await sign(made, step)
        expect(judge(made.octets()).accepted).toBe(true)
    })

    it("with another image than the manifest names is refused", async () => {
        const octets = await signed()
        octets[octets.length - 1] ^= 1
        expect(refusal(octets).why).toContain(`E${Code.PackageHash}`)
    })

    it("with an image that a device's heap has no room for is refused, by the tools and by the device", async () => {
        const most = Buffer.alloc(longestImage, 1)
        let largest = Package.create(stated, most)
        for (const step of steps) largest = await sign(largest, step)
        expect(judge(largest.octets()).accepted).toBe(true)
        const image = Buffer.alloc(longestImage + 1, 1)
        expect(() => Package.create(stated, image)).toThrow("4097 octets: a device takes 4096 at most")
        let made = new Package(writeManifest(stated, image), [], [], image)
        for (const step of steps) made = await sign(made, step)
        expect(refusal(made.octets()).why).toContain(`E${Code.PackageForm}`)
    })

    it("changed in any one bit is refused or still the same package", async () => {
        const octets = await signed()
        const imageAt = readPackage(sourceOf(octets), octets.length).imageAt
        const same = new Set<string>()
        fc.assert(
            fc.property(fc.nat({ max: octets.length * 8 - 1 }), bit => {
                const changed = Buffer.from(octets)
                changed[bit >> 3] ^= 1 << (bit & 7)
                const verdict = judge(changed)
                if (!verdict.accepted) return
                // Unprotected: the certificate that is carried must still be the approver's, octet for octet.
                same.add(`${bit >> 3} of ${imageAt}`)
            }),
            { numRuns: 150 },
        )
        expect([...same]).toEqual([])
    })

    it("of any octets is read or refused with a typed error", () => {
        fc.assert(
            fc.property(fc.uint8Array({ maxLength: 300 }), octets => {
                try {
                    readPackage(sourceOf(Buffer.from(octets)), octets.length)
                } catch (error) {
                    expect(error).toBeInstanceOf(PlombError)
                }
            }),
        )
    })

    it("tells versions as people write them", () => {
        expect(versionText(versionNumber("1.22.255"))).toBe("1.22.255")
        expect(() => versionNumber("1.2")).toThrow("no version")
        expect(() => versionNumber("1.2.256")).toThrow("no version")
    })
})

describe("the count of an HSS key", () => {
    const key = (name: string) => join(folder, name)
    const message = Buffer.from("message")

    it("falls with each signature, and none is made when none is left", async () => {
        const hss = await HssKey.create(key("small"), readParameters("H5/W4"))
        for (let left = 32; left > 0; --left) {
            expect(hss.remaining().left).toBe(left)
            await hss.sign(message)
        }
        await expect(hss.sign(message)).rejects.toThrow("all 32 signatures are used up")
    })

    it("is on disk before a signature leaves: two at once use two one-time keys", async () => {
        const path = key("shared")
        await HssKey.create(path, readParameters("H5/W4"))
        const both = await Promise.all([HssKey.open(path).sign(message), HssKey.open(path).sign(message)])
        expect(new Set(both.map(each => each.readUInt32BE(4)))).toEqual(new Set([0, 1]))
        expect(JSON.parse(readFileSync(join(path, "state.json"), "utf8")).next).toBe(2)
    })

    it("restored from a backup is noticed", async () => {
        const path = key("restored")
        const hss = await HssKey.create(path, readParameters("H5/W4"))
        const backup = readFileSync(join(path, "state.json"))
        await hss.sign(message)
        writeFileSync(join(path, "state.json"), backup)
        await expect(HssKey.open(path).sign(message)).rejects.toThrow("restored from a backup")
    })

    it("of a copied folder is not used; of a moved one it is", async () => {
        const path = key("original")
        await HssKey.create(path, readParameters("H5/W4"))
        cpSync(path, key("copy"), { recursive: true })
        await expect(HssKey.open(key("copy")).sign(message)).rejects.toThrow("is a copy")
        renameSync(path, key("moved"))
        await HssKey.open(key("moved")).sign(message)
        expect(HssKey.open(key("moved")).remaining().left).toBe(31)
    })

    it("whose witness is gone is not used", async () => {
        const path = key("brought")
        await HssKey.create(path, readParameters("H5/W4"))
        process.env.PLOMB_STATE = key("elsewhere")
        try {
            await expect(HssKey.open(path).sign(message)).rejects.toThrow("nothing in")
        } finally {
            process.env.PLOMB_STATE = join(folder, "state")
        }
    })

    it("that is damaged stops the key", async () => {
        const path = key("damaged")
        await HssKey.create(path, readParameters("H5/W4"))
        writeFileSync(join(path, "state.json"), '{"next":')
        await expect(HssKey.open(path).sign(message)).rejects.toThrow("signs no more")
    })

    it("opens under its passphrase alone", async () => {
        const path = key("locked")
        const hss = await HssKey.create(path, readParameters("H5/W4"), "right")
        expect(readFileSync(join(path, "key.pem"), "utf8")).toContain("BEGIN ENCRYPTED PLOMB HSS PRIVATE KEY")
        expect(HssKey.open(path, "right").publicKey).toEqual(hss.publicKey)
        expect(() => HssKey.open(path, "wrong")).toThrow("wrong passphrase")
        expect(() => HssKey.open(path)).toThrow("is encrypted")
    })

    it("of two levels signs under both, as the device's verification says", async () => {
        const { verifyHss } = await import("../../firmware/core/lms")
        const hss = await HssKey.create(key("two"), readParameters("H5/W4,H5/W4"))
        expect(hss.remaining().of).toBe(1024)
        for (let i = 0; i < 34; ++i) {
            const signature = await hss.sign(message)
            if (i % 11 === 0) expect(verifyHss(hss.publicKey, [message], signature)).toBe(true)
        }
        expect(verifyHss(hss.publicKey, [Buffer.from("other")], await hss.sign(message))).toBe(false)
    })
})

describe("plomb package", () => {
    it("goes the paper's way: submit, approve, countersign; not another", async () => {
        const file = join(folder, "m.plomb")
        const devs = join(folder, "m.devs")
        writeFileSync(devs, image)
        const words = "--component meter --name metrology --version 1.2.3 --hardware plomb-1 --approval X-1".split(" ")
        expect(await run(["create", "--image", devs, ...words, "--out", file])).toBe(0)
        await expect(run(["sign", file, "--in", pki])).rejects.toThrow("is not approved")
        expect(await run(["verify", file, "--in", pki])).toBe(1)
        expect(await run(["approve", file, "--in", pki])).toBe(0)
        await expect(run(["approve", file, "--in", pki])).rejects.toThrow("already")
        expect(await run(["sign", file, "--in", pki])).toBe(0)
        expect(await run(["verify", file, "--in", pki])).toBe(0)
        expect(await run(["verify", file, "--in", other])).toBe(1)
        expect(await run(["inspect", file, "--in", pki, "--json"])).toBe(0)
    })
})
