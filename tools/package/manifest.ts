import { createHash } from "node:crypto"
import { Encoder } from "cbor-x"
import { type Manifest, ManifestKey } from "../../firmware/core/package.ts"
import { PkiError } from "../pki/files.ts"

const encoder = new Encoder({ mapsAsObjects: false, useRecords: false, variableMapSize: true, tagUint8Array: false })

/** Deterministic CBOR (RFC 8949 4.2.1) of maps whose keys come in order, lists, integers, texts, octets, Booleans. */
export function cbor(value: unknown): Buffer {
    return Buffer.from(encoder.encode(value))
}

/** "1.2.3" as the number that a manifest carries. Throws `PkiError` for anything else. */
export function versionNumber(text: string): number {
    const parts = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text)?.slice(1).map(Number)
    if (!parts || parts.some(part => part > 255))
        throw new PkiError(`"${text}" is no version: as 1.2.3, each below 256`)
    return parts[0] * 65536 + parts[1] * 256 + parts[2]
}

/** The number of a manifest as "1.2.3". */
export function versionText(version: number): string {
    return `${version >> 16}.${(version >> 8) & 255}.${version & 255}`
}

/** What a person says of a package; the rest follows from the image. */
export type Stated = Omit<Manifest, "size" | "sha256">

/** The manifest of `image` in CBOR. */
export function writeManifest(stated: Stated, image: Uint8Array): Buffer {
    const sha256 = createHash("sha256").update(image).digest()
    const fields: [ManifestKey, unknown][] = [
        [ManifestKey.component, stated.component],
        [ManifestKey.metrological, stated.metrological],
        [ManifestKey.name, stated.name],
        [ManifestKey.version, stated.version],
        [ManifestKey.hardware, stated.hardware],
        [ManifestKey.approval, stated.approval],
        [ManifestKey.runtime, stated.runtime],
        [ManifestKey.floor, stated.floor],
        [ManifestKey.size, image.length],
        [ManifestKey.sha256, sha256],
    ]
    return cbor(new Map(fields))
}
