import { createHash, type KeyObject, sign as signWithKey } from "node:crypto"
import { Decoder, Tag } from "cbor-x"
import { sourceOf } from "../../firmware/core/octets.ts"
import { longestImage, type Manifest, readManifest, readPackage } from "../../firmware/core/package.ts"
import { PkiError } from "../pki/files.ts"
import { cbor, type Stated, writeManifest } from "./manifest.ts"

/** COSE algorithms (RFC 9053 2.1, RFC 8778 5). */
const es256 = -7
const hssLms = -46
/** Tag of COSE_Sign (RFC 9052 2). */
const coseSign = 98

/** One signature: protected header, unprotected header with the kid, signature (RFC 9052 4.1). */
type Signature = [Uint8Array, Map<number, Uint8Array>, Uint8Array]

/** A package in the making: nothing but its manifest and image at first, then signature by signature. */
export class Package {
    constructor(
        readonly manifestOctets: Uint8Array,
        readonly signatures: Signature[],
        readonly certificates: Uint8Array[],
        readonly image: Uint8Array,
    ) {}

    /** An unsigned one. Throws `PkiError` for an image that no device has room for. */
    static create(stated: Stated, image: Uint8Array): Package {
        if (image.length > longestImage)
            throw new PkiError(`the image has ${image.length} octets: a device takes ${longestImage} at most`)
        return new Package(writeManifest(stated, image), [], [], image)
    }

    /** Reads a file, signed or not. Throws `PkiError` for what is none. */
    static read(octets: Uint8Array): Package {
        let made: Package
        try {
            const decoder = new Decoder({ mapsAsObjects: false, useRecords: false, tagUint8Array: false })
            const [sign, certificates, image] = decoder.decode(octets) as [Tag, Uint8Array[], Uint8Array]
            const [, , manifest, signatures] = sign.value as [Uint8Array, unknown, Uint8Array, Signature[]]
            made = new Package(manifest, signatures, certificates, image)
            readManifest(Buffer.from(manifest))
        } catch (error) {
            throw new PkiError(`this is no software package (${(error as Error).message})`)
        }
        const sha256 = createHash("sha256").update(made.image).digest()
        if (!sha256.equals(made.manifest.sha256)) throw new PkiError("the image is not the one that the manifest names")
        return made
    }

    get manifest(): Manifest {
        return readManifest(Buffer.from(this.manifestOctets))
    }

    /** The file. A device takes it once a signature is in it. */
    octets(): Buffer {
        const sign = new Tag([new Uint8Array(0), new Map(), this.manifestOctets, this.signatures], coseSign)
        return cbor([sign, this.certificates, this.image])
    }

    /** Adds an ES256 signature under the certificate's key; `carry` puts the certificate into the package. */
    signEs256(key: KeyObject, certificate: { der: Uint8Array; keyId: Uint8Array }, carry: boolean): Package {
        const header = cbor(new Map([[1, es256]]))
        const signature = signWithKey("sha256", this.structure(header), { key, dsaEncoding: "ieee-p1363" })
        const known = this.certificates.some(each => Buffer.from(each).equals(Buffer.from(certificate.der)))
        const certificates = carry && !known ? [...this.certificates, certificate.der] : this.certificates
        return this.with([header, new Map([[4, certificate.keyId]]), signature], certificates)
    }

    /** Adds an HSS/LMS signature made by `sign`, which uses up a one-time key. */
    async signHss(publicKey: Uint8Array, sign: (message: Uint8Array) => Promise<Uint8Array>): Promise<Package> {
        const header = cbor(new Map([[1, hssLms]]))
        const kid = createHash("sha256").update(publicKey).digest().subarray(0, 8)
        return this.with([header, new Map([[4, kid]]), await sign(this.structure(header))], this.certificates)
    }

    /** The algorithm and key identifier of each signature. */
    signers(): { algorithm: string; kid: string; octets: number }[] {
        return this.signatures.map(([header, unprotected, signature]) => ({
            algorithm: Buffer.from(header).equals(cbor(new Map([[1, es256]]))) ? "ES256" : "HSS/LMS",
            kid: Buffer.from(unprotected.get(4) ?? []).toString("hex"),
            octets: signature.length,
        }))
    }

    /** As a device reads it. Throws `PlombError`. */
    parts() {
        const octets = this.octets()
        return readPackage(sourceOf(octets), octets.length)
    }

    private with(signature: Signature, certificates: Uint8Array[]): Package {
        return new Package(this.manifestOctets, [...this.signatures, signature], certificates, this.image)
    }

    /** Sig_structure (RFC 9052 4.4). */
    private structure(header: Uint8Array): Buffer {
        return cbor(["Signature", new Uint8Array(0), header, new Uint8Array(0), this.manifestOctets])
    }
}
