import { CborReader, cborHead, Major } from "./cbor"
import { type CoseKey, type SignatureApart, verifyCose } from "./cose"
import { Code, fail } from "./errors"
import { cut, join, type OctetSource, sameOctets } from "./octets"

/*
 * A software package: `[COSE_Sign of the manifest, [certificate, …], image]` in deterministic CBOR. The manifest names
 * the image by its hash, so the signatures cover both. The certificates (DER) are what the device may not hold of those
 * who signed; they prove themselves.
 *
 * This file and what it imports keep to octets and numbers: it also runs in the sandbox (firmware/overlays/packages.ts).
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

/** A package taken apart; nothing is proved yet. */
export interface PackageParts {
    manifest: Manifest
    /** The COSE_Sign up to its list of signatures. */
    body: Buffer
    /** Where in the package each signature begins, its octets begin and end: three numbers each. */
    signaturesAt: number[]
    /** DER. */
    certificates: Buffer[]
    /** The image lies from here to the end. */
    imageAt: number
}

/** Octets of an image: a device runs it out of one piece of its heap, beside the one that runs. */
export const longestImage = 4096
const mostCertificates = 4
const mostSignatures = 8
/** Octets of a certificate; of a signature's or the message's unprotected header; of all that each signature is of. */
const longestCertificate = 1024
const longestHeader = 128
const longestBody = 1024
/** Octets of the longest head of an item. */
const headSize = 9

/** Goes over a package head by head, wherever it lies: no heap has room for a whole one. */
class Walk {
    at = 0
    /** Where the content of the string begins that was passed last. */
    start = 0

    constructor(
        private readonly source: OctetSource,
        private readonly length: number,
    ) {}

    /** The major type of the next item. */
    major(): number {
        return this.window(1)[0] >> 5
    }

    /** Reads an item's head, passes over the content of a string, and answers the argument. */
    read(major: number): number {
        const head = this.window(headSize)
        // Before a text is looked at, which is longer than its head.
        if (head[0] >> 5 !== major) fail(Code.CborType, this.at, "type " + major, "" + (head[0] >> 5))
        const reader = new CborReader(head, 0, this.length - this.at)
        const argument = reader.read(major)
        this.start = this.at + reader.start
        this.at += reader.at
        return argument
    }

    /** Passes over an unprotected header. */
    header(): void {
        const octets = this.window(longestHeader)
        const reader = new CborReader(octets, 0, octets.length)
        reader.skip()
        this.at += reader.at
    }

    /** The content of the byte string that comes next, of so many octets at most. */
    content(longest: number): Buffer {
        const length = this.read(Major.Octets)
        if (length > longest) fail(Code.PackageForm, this.start, "at most " + longest + " octets", "" + length)
        return this.source(this.start, length)
    }

    private window(size: number): Buffer {
        const left = this.length - this.at
        if (left < 1) fail(Code.CborTruncated, this.at, "an item", "the end")
        return this.source(this.at, Math.min(size, left))
    }
}

/** Takes a package of `length` octets apart. Throws 211x (not CBOR), `PackageForm`. */
export function readPackage(source: OctetSource, length: number): PackageParts {
    const walk = new Walk(source, length)
    if (walk.read(Major.List) !== 3) fail(Code.PackageForm, 0, "3 items", "another number")
    const signAt = walk.at
    if (walk.major() === Major.Tag) walk.read(Major.Tag)
    if (walk.read(Major.List) !== 4) fail(Code.PackageForm, signAt, "a COSE_Sign", "another")
    walk.read(Major.Octets)
    walk.header()
    const manifest = readManifest(walk.content(longestBody))
    const bodyLength = walk.at - signAt
    if (bodyLength > longestBody) fail(Code.PackageForm, signAt, "at most " + longestBody + " octets", "" + bodyLength)
    const signatures = walk.read(Major.List)
    if (signatures < 1 || signatures > mostSignatures)
        fail(Code.PackageForm, walk.at, "1 to " + mostSignatures + " signatures", "" + signatures)
    const signaturesAt: number[] = []
    for (let i = 0; i < signatures; ++i) {
        signaturesAt.push(walk.at)
        if (walk.read(Major.List) !== 3) fail(Code.PackageForm, walk.at, "a signature", "another")
        if (walk.read(Major.Octets) > longestHeader) fail(Code.PackageForm, walk.start, "a shorter header", "longer")
        walk.header()
        walk.read(Major.Octets)
        signaturesAt.push(walk.start)
        signaturesAt.push(walk.at)
    }
    const count = walk.read(Major.List)
    if (count > mostCertificates) fail(Code.PackageForm, walk.at, "at most 4 certificates", "" + count)
    const certificates: Buffer[] = []
    for (let i = 0; i < count; ++i) certificates.push(walk.content(longestCertificate))
    const size = walk.read(Major.Octets)
    if (walk.at !== length) fail(Code.CborTrailing, walk.at, "the end", "more")
    if (size > longestImage)
        fail(Code.PackageForm, walk.start, "an image of at most " + longestImage + " octets", "" + size)
    if (manifest.size !== size) fail(Code.PackageForm, walk.start, manifest.size + " octets", "" + size)
    return {
        manifest: manifest,
        body: source(signAt, bodyLength),
        signaturesAt: signaturesAt,
        certificates: certificates,
        imageAt: walk.start,
    }
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
 * Proves what a package is signed by: each of `keys` (in the order of `PackageSigner`) must have a signature that holds. Each signature is
 * looked at as a message of its own, with the body of all, and its octets are read as they are needed: no heap has room for a whole one. Throws 211x and 251x (no COSE_Sign), `PackageSigner` (a signature is missing), `PackageSignature` (one does not hold).
 */
export function checkSigners(source: OctetSource, parts: PackageParts, keys: CoseKey[]): void {
    // Of each key: a signature names it, and holds
    const known: boolean[] = []
    const holds: boolean[] = []
    for (let i = 0; i < keys.length; ++i) {
        known.push(false)
        holds.push(false)
    }
    const places = parts.signaturesAt
    for (let k = 0; k < places.length; k += 3) {
        const at = places[k + 1]
        const length = places[k + 2] - at
        // List of one, the signature's headers, and an empty string in the place of its octets.
        const headers = source(places[k], at - cborHead(Major.Octets, length).length - places[k])
        const message = join([parts.body, hex`81`, headers, hex`40`])
        const signer = verifyCose(message, keys, Buffer.alloc(0), undefined, signatureAt(source, at, length)).signers[0]
        for (let i = 0; i < keys.length; ++i) {
            if (signer.key === i) holds[i] = true
            if (signer.algorithm === keys[i].algorithm && sameOctets(signer.kid, keys[i].kid)) known[i] = true
        }
    }
    for (let i = 0; i < keys.length; ++i) {
        if (!known[i]) fail(Code.PackageSigner, i, "a signature of signer " + i, "none")
        if (!holds[i]) fail(Code.PackageSignature, i, "the signature of signer " + i, "another")
    }
}

function signatureAt(source: OctetSource, at: number, length: number): SignatureApart {
    return { octets: (from, size) => source(at + from, size), length: length }
}
