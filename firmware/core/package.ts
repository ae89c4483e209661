import { CborReader, Major } from "./cbor"
import { type CoseKey, verifyCose } from "./cose"
import { Code, fail } from "./errors"
import { cut, sameOctets } from "./octets"

/*
 * A software package: `[COSE_Sign of the manifest, [certificate, …], image]` in deterministic CBOR. The manifest names
 * the image by its hash, so the signatures cover both. The certificates (DER) are what the device may not hold of those
 * who signed; they prove themselves.
 *
 * This file and what it imports keep to octets and numbers: it also runs in the sandbox (firmware/modules/packages.ts).
 */

/** The manifest: a map of these keys, all present, in this order. */
export enum ManifestKey {
    /** Text: the image that takes it, "meter" or "muc". */
    component = 1,
    /** Boolean: it measures, so it needs the institute's approval besides the manufacturer's signatures. */
    metrological = 2,
    /** Text, for people. */
    name = 3,
    /** major * 65536 + minor * 256 + patch. */
    version = 4,
    /** Text: the hardware model it is for. */
    hardware = 5,
    /** Text: the number of the type approval; empty where there is none. */
    approval = 6,
    /** Lowest version of the DeviceScript runtime, as `version`. */
    runtime = 7,
    /** From its confirmation on no version below this one runs. */
    floor = 8,
    /** Octets of the image. */
    size = 9,
    /** SHA-256 of the image. */
    sha256 = 10,
}

/** A manifest as it was read. */
export interface Manifest {
    component: string
    metrological: boolean
    name: string
    version: number
    hardware: string
    approval: string
    runtime: number
    floor: number
    size: number
    sha256: Buffer
}

/** A package taken apart; nothing is proved yet. `manifest` lies inside `sign`, the image from `imageAt` to the end; the certificates are DER. */
export interface PackageParts {
    manifest: Manifest
    sign: Buffer
    certificates: Buffer[]
    imageAt: number
}

/** Most certificates in a package. */
const mostCertificates = 4

/** Takes a whole package apart. Throws 211x (not CBOR), 251x (no COSE_Sign), `PackageForm`. */
export function readPackage(octets: Buffer): PackageParts {
    const reader = new CborReader(octets, 0, octets.length)
    if (reader.read(Major.List) !== 3) fail(Code.PackageForm, 0, "3 items", "another number")
    const signAt = reader.at
    reader.skip()
    const sign = cut(octets, signAt, reader.at - signAt)
    const count = reader.read(Major.List)
    if (count > mostCertificates) fail(Code.PackageForm, reader.from, "at most 4 certificates", "" + count)
    const certificates: Buffer[] = []
    for (let i = 0; i < count; ++i) {
        reader.read(Major.Octets)
        certificates.push(cut(octets, reader.start, reader.stop - reader.start))
    }
    reader.read(Major.Octets)
    const imageAt = reader.start
    const imageLength = reader.stop - imageAt
    if (reader.at !== octets.length) fail(Code.CborTrailing, reader.at, "the end", "more")
    const verdict = verifyCose(sign, [], Buffer.alloc(0))
    const manifest = readManifest(cut(sign, verdict.payloadAt, verdict.payloadLength))
    if (manifest.size !== imageLength) fail(Code.PackageForm, imageAt, manifest.size + " octets", "" + imageLength)
    return { manifest: manifest, sign: sign, certificates: certificates, imageAt: imageAt }
}

/** Reads a manifest that fills the buffer. */
export function readManifest(octets: Buffer): Manifest {
    const reader = new CborReader(octets, 0, octets.length)
    if (reader.read(Major.Map) !== 10) fail(Code.PackageForm, 0, "10 fields", "another number")
    const manifest: Manifest = {
        component: text(reader, ManifestKey.component),
        metrological: flag(reader, ManifestKey.metrological),
        name: text(reader, ManifestKey.name),
        version: number(reader, ManifestKey.version),
        hardware: text(reader, ManifestKey.hardware),
        approval: text(reader, ManifestKey.approval),
        runtime: number(reader, ManifestKey.runtime),
        floor: number(reader, ManifestKey.floor),
        size: number(reader, ManifestKey.size),
        sha256: content(reader, ManifestKey.sha256, Major.Octets),
    }
    if (reader.at !== octets.length || manifest.sha256.length !== 32 || manifest.floor > manifest.version)
        fail(Code.PackageForm, reader.at, "a manifest", "another")
    return manifest
}

function key(reader: CborReader, expected: number): void {
    if (reader.integer() !== expected) fail(Code.PackageForm, reader.from, "field " + expected, "another")
}

function content(reader: CborReader, expected: number, major: number): Buffer {
    key(reader, expected)
    reader.read(major)
    if (reader.stop - reader.start > 64) fail(Code.PackageForm, reader.from, "at most 64 octets", "more")
    return cut(reader.data, reader.start, reader.stop - reader.start)
}

function text(reader: CborReader, expected: number): string {
    return content(reader, expected, Major.Text).toString("utf8")
}

function number(reader: CborReader, expected: number): number {
    key(reader, expected)
    const value = reader.read(Major.Unsigned)
    if (value < 0 || value > 0xffffff) fail(Code.PackageForm, reader.from, "a number below 2^24", "more")
    return value
}

function flag(reader: CborReader, expected: number): boolean {
    key(reader, expected)
    const value = reader.read(Major.Simple)
    if (value > 21) fail(Code.PackageForm, reader.from, "true or false", "null")
    return value === 21
}

/** Who signs a package, in the order in which it is looked at (paper, chapter 5); stands as `at` in what is thrown. */
export enum PackageSigner {
    manufacturerEs256 = 0,
    manufacturerHss = 1,
    instituteEs256 = 2,
    instituteHss = 3,
}

/**
 * Proves what a package is signed by: each of `keys` (in the order of `PackageSigner`) must have a signature that holds. Throws
 * `PackageSigner` (a signature is missing), `PackageSignature` (one does not hold).
 */
export function checkSigners(sign: Buffer, keys: CoseKey[]): void {
    const signers = verifyCose(sign, keys, Buffer.alloc(0)).signers
    for (let i = 0; i < keys.length; ++i) {
        let known = false
        let holds = false
        for (let k = 0; k < signers.length; ++k) {
            if (signers[k].key === i) holds = true
            if (signers[k].algorithm === keys[i].algorithm && sameOctets(signers[k].kid, keys[i].kid)) known = true
        }
        if (!known) fail(Code.PackageSigner, i, "a signature of signer " + i, "none")
        if (!holds) fail(Code.PackageSignature, i, "the signature of signer " + i, "another")
    }
}
