import { readFileSync } from "node:fs"
import { parseCertificate } from "../../firmware/core/x509.ts"
import { readArgs, UsageError } from "../cli/usage.ts"
import { createFile, PkiError, replaceFile } from "../pki/files.ts"
import { HssKey } from "../pki/hss.ts"
import { readPassphrase } from "../pki/passphrase.ts"
import { compile } from "../vm/compile.ts"
import { type Anchors, anchorsOf, judgePackage, nameOfKey, readCertificate, readLists } from "./judge.ts"
import { versionNumber, versionText } from "./manifest.ts"
import { Package } from "./package.ts"
import { approve, countersign, hssFolder } from "./steps.ts"

export const help = `plomb package create (--source FILE.ts | --image FILE.devs) --component meter|muc --name NAME --version 1.2.3
                     --hardware MODEL [--approval NUMBER] [--floor 1.0.0] [--runtime 2.16.0] [--non-metrological] --out FILE
    the manufacturer's submission: the image and its manifest, not signed yet
plomb package approve FILE --in PKI [--source FILE.ts]
    the institute approves: signs with ES256 (institute-approval) and HSS/LMS (institute-root). With --source it compiles
    what it has read itself and refuses an image that differs in one octet
plomb package sign FILE --in PKI
    the manufacturer countersigns, ES256 and HSS/LMS; what measures must be approved before
plomb package inspect FILE [--in PKI] [--json]
    the manifest, and who signed
plomb package verify FILE (--in PKI | --manufacturer CERT --institute CERT [--crl FILE ...]) [--at TIME] [--json]
    judges it as a device does; exit code 1 where a device refuses it
plomb package keys PKI [--json]
    how many HSS signatures are left

A PKI whose manufacturer and institute have HSS keys is made by plomb pki init DIR --hss H10/W4. A one-time key is used
up on disk before its signature leaves; a copied or restored key folder does not sign.
--passphrase-file FILE or --passphrase-env VAR opens encrypted keys.`

const passphrase = { "passphrase-file": { type: "string" }, "passphrase-env": { type: "string" } } as const

/** Runs `plomb package`. */
export async function run(args: string[]): Promise<number> {
    const [action, ...rest] = args
    switch (action) {
        case "create":
            return create(rest)
        case "approve":
            return addSignatures(rest, "institute")
        case "sign":
            return addSignatures(rest, "manufacturer")
        case "inspect":
            return inspect(rest)
        case "verify":
            return verify(rest)
        case "keys":
            return keys(rest)
        default:
            throw new UsageError(`create, approve, sign, inspect, verify or keys, not "${action ?? ""}"`)
    }
}

async function create(args: string[]): Promise<number> {
    const { values } = readArgs({
        args,
        options: {
            source: { type: "string" },
            image: { type: "string" },
            component: { type: "string" },
            name: { type: "string" },
            version: { type: "string" },
            hardware: { type: "string" },
            approval: { type: "string", default: "" },
            floor: { type: "string", default: "0.0.0" },
            runtime: { type: "string", default: "2.16.0" },
            "non-metrological": { type: "boolean", default: false },
            out: { type: "string" },
        },
    })
    const out = need(values.out, "--out FILE")
    const component = need(values.component, "--component")
    if (component !== "meter" && component !== "muc")
        throw new UsageError(`--component is meter or muc, not "${component}"`)
    const metrological = !values["non-metrological"]
    if (metrological && values.approval === "")
        throw new UsageError("what measures has a type approval: --approval NUMBER, or --non-metrological")
    const version = versionNumber(need(values.version, "--version"))
    const floor = versionNumber(values.floor)
    if (floor > version) throw new UsageError(`the floor ${values.floor} is above the version ${values.version}`)
    const made = Package.create(
        {
            component,
            metrological,
            name: short(values.name, "--name"),
            version,
            hardware: short(values.hardware, "--hardware"),
            approval: values.approval === "" ? "" : short(values.approval, "--approval"),
            runtime: versionNumber(values.runtime),
            floor,
        },
        await imageOf(values.source, values.image),
    )
    createFile(out, made.octets())
    console.log(`${out}: ${describe(made)}, not signed yet`)
    return 0
}

async function addSignatures(args: string[], by: "institute" | "manufacturer"): Promise<number> {
    const { values, positionals } = readArgs({
        args,
        options: { ...passphrase, in: { type: "string" }, source: { type: "string" } },
        allowPositionals: true,
    })
    const file = only(positionals)
    const pki = need(values.in, "--in PKI")
    const secret = readPassphrase(values)
    const before = Package.read(read(file))
    const anchors = anchorsOf(pki)
    const done = signedBy(before, anchors)
    if (done.includes(by)) throw new PkiError(`${file} carries signatures of the ${by} already`)
    if (by === "institute" && !before.manifest.metrological)
        throw new PkiError(`${file} does not measure: the manufacturer alone signs it`)
    if (by === "manufacturer" && before.manifest.metrological && !done.includes("institute"))
        throw new PkiError(`${file} is not approved: the institute signs before the manufacturer`)
    if (values.source !== undefined && !same(await imageOf(values.source, undefined), before.image))
        throw new PkiError(`${values.source} compiles to another image than the one in ${file}: nothing was signed`)
    // First: without an HSS key nothing is signed at all.
    const hss = HssKey.open(hssFolder(pki, by), secret)
    const signed = await (by === "institute" ? approve : countersign)(before, pki, secret)
    replaceFile(file, signed.octets())
    const { left, of } = hss.remaining()
    console.log(`${file}: ${describe(signed)}, ${by === "institute" ? "approved and signed" : "signed"} by the ${by}`)
    console.log(`HSS signatures left to the ${by}: ${left} of ${of}`)
    return 0
}

function inspect(args: string[]): number {
    const { values, positionals } = readArgs({
        args,
        options: { in: { type: "string" }, json: { type: "boolean", default: false } },
        allowPositionals: true,
    })
    const file = only(positionals)
    const found = Package.read(read(file))
    const anchors = values.in === undefined ? undefined : anchorsOf(values.in)
    const certificates = found.signatures.length > 0 ? found.parts().certificates.map(parseCertificate) : []
    const signers = found.signers().map(each => ({
        ...each,
        ...(anchors && { by: nameOfKey(each.kid, anchors, certificates) }),
    }))
    const { manifest } = found
    const shown = {
        component: manifest.component,
        kind: manifest.metrological ? "metrological" : "non-metrological",
        name: manifest.name,
        version: versionText(manifest.version),
        hardware: manifest.hardware,
        approval: manifest.approval,
        runtime: versionText(manifest.runtime),
        floor: versionText(manifest.floor),
        size: manifest.size,
        sha256: manifest.sha256.toString("hex"),
    }
    if (values.json) {
        console.log(JSON.stringify({ ...shown, signers }, undefined, 1))
        return 0
    }
    for (const [name, value] of Object.entries(shown)) console.log(`${name.padEnd(10)} ${value}`)
    if (signers.length === 0) console.log("signers    none")
    for (const each of signers)
        console.log(
            `signer     ${each.algorithm} key ${each.kid}${"by" in each ? `, ${each.by}` : ""} (${each.octets} octets)`,
        )
    return 0
}

function verify(args: string[]): number {
    const { values, positionals } = readArgs({
        args,
        options: {
            in: { type: "string" },
            manufacturer: { type: "string" },
            institute: { type: "string" },
            crl: { type: "string", multiple: true, default: [] },
            at: { type: "string" },
            json: { type: "boolean", default: false },
        },
        allowPositionals: true,
    })
    const file = only(positionals)
    const at = values.at === undefined ? new Date() : new Date(values.at)
    if (Number.isNaN(at.getTime())) throw new UsageError(`"${values.at}" is no time, as 2026-11-22T20:00:00Z`)
    const anchors: Anchors =
        values.in !== undefined
            ? anchorsOf(values.in)
            : {
                  manufacturer: readCertificate(need(values.manufacturer, "--in PKI, or --manufacturer CERT")),
                  institute: readCertificate(need(values.institute, "--institute CERT")),
                  crls: values.crl.flatMap(readLists),
              }
    const verdict = judgePackage(read(file), anchors, at)
    if (values.json) console.log(JSON.stringify(verdict, undefined, 1))
    else {
        for (const { what, good, why } of verdict.findings) console.log(`${good ? "ok" : "NO"}  ${what}: ${why}`)
        console.log(verdict.accepted ? "accepted" : "refused")
    }
    return verdict.accepted ? 0 : 1
}

function keys(args: string[]): number {
    const { values, positionals } = readArgs({
        args,
        options: { ...passphrase, json: { type: "boolean", default: false } },
        allowPositionals: true,
    })
    const pki = only(positionals)
    const secret = readPassphrase(values)
    const found = (["manufacturer", "institute"] as const).map(by => ({
        by,
        ...HssKey.open(hssFolder(pki, by), secret).remaining(),
    }))
    if (values.json) console.log(JSON.stringify(found, undefined, 1))
    else for (const { by, left, of } of found) console.log(`${by}: ${left} of ${of} HSS signatures left`)
    return 0
}

/** Whose signatures a package carries, by their keys' names; none is proved by that. */
function signedBy(found: Package, anchors: Anchors): string[] {
    if (found.signatures.length === 0) return []
    const certificates = found.parts().certificates.map(parseCertificate)
    return found.signers().map(each => nameOfKey(each.kid, anchors, certificates))
}

function describe({ manifest }: Package): string {
    const kind = manifest.metrological ? "metrological" : "non-metrological"
    return `${manifest.name} ${versionText(manifest.version)} for ${manifest.component} (${kind}, ${manifest.size} octets)`
}

async function imageOf(source: string | undefined, image: string | undefined): Promise<Uint8Array> {
    if ((source === undefined) === (image === undefined))
        throw new UsageError("give --source FILE.ts or --image FILE.devs")
    return image !== undefined ? read(image) : (await compile(source!)).bytecode
}

function same(a: Uint8Array, b: Uint8Array): boolean {
    return Buffer.from(a).equals(Buffer.from(b))
}

function read(path: string): Buffer {
    try {
        return readFileSync(path)
    } catch (error) {
        throw new PkiError(`${path} can not be read (${(error as NodeJS.ErrnoException).code})`)
    }
}

function short(value: string | undefined, what: string): string {
    const text = need(value, what)
    if (Buffer.byteLength(text) > 64) throw new UsageError(`${what} has at most 64 octets`)
    return text
}

function only(positionals: string[]): string {
    if (positionals.length !== 1) throw new UsageError("give one file or folder")
    return positionals[0]
}

function need(value: string | undefined, what: string): string {
    if (value === undefined || value === "") throw new UsageError(`${what} is missing`)
    return value
}
