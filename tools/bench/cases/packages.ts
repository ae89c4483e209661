import type { Manifest } from "../../../firmware/core/package.ts"
import { longestImage, PackageSigner } from "../../../firmware/core/package.ts"
import { type Stated, versionNumber, writeManifest } from "../../package/manifest.ts"
import { Package } from "../../package/package.ts"
import { approve, countersign, submit } from "../../package/steps.ts"

/** What a package of a play says, unless told otherwise. */
export type Said = Partial<Omit<Manifest, "size" | "sha256" | "version" | "floor" | "runtime">> & {
    version?: string
    floor?: string
    runtime?: string
}

/** The manufacturer's submission. */
export function submission(hardware: string, image: Buffer, said: Said = {}): Package {
    return submit(statement(hardware, said), image)
}

/** What the tools do not make: an image that a device has no room for. */
export function oversized(hardware: string): Package {
    const image = Buffer.alloc(longestImage + 1)
    return new Package(writeManifest(statement(hardware, {}), image), [], [], image)
}

function statement(hardware: string, said: Said): Stated {
    const { version = "3.0.0", floor = "0.0.0", runtime = "2.16.0", ...rest } = said
    return {
        component: "meter",
        metrological: true,
        name: "metrology",
        hardware,
        approval: "DE-26-M-PTB-0001",
        ...rest,
        version: versionNumber(version),
        floor: versionNumber(floor),
        runtime: versionNumber(runtime),
    }
}

/** The same with all its signatures, by the parties of `pki`. */
export async function signed(pki: string, made: Package): Promise<Package> {
    return countersign(made.manifest.metrological ? await approve(made, pki) : made, pki)
}

/** What may be wrong with one of the four signatures. */
export type Flaw = "missing" | "broken" | "by the wrong party"

/** Where each signer's signature stands in a package: the institute signs first. */
const places: Record<PackageSigner, number> = {
    [PackageSigner.manufacturerEs256]: 2,
    [PackageSigner.manufacturerHss]: 3,
    [PackageSigner.instituteEs256]: 0,
    [PackageSigner.instituteHss]: 1,
}

/**
 * A sound package with one signature spoilt. `foreign` is the same manifest and image, signed by parties of the same names whom nobody
 * here knows.
 */
export function spoilt(sound: Package, signer: PackageSigner, flaw: Flaw, foreign: Package): Buffer {
    const made = Package.read(sound.octets())
    const other = Package.read(foreign.octets())
    const place = places[signer]
    if (flaw === "missing") made.signatures.splice(place, 1)
    else if (flaw === "broken") {
        const signature = Uint8Array.from(made.signatures[place][2])
        signature[signature.length - 20] ^= 1
        made.signatures[place][2] = signature
    } else {
        made.signatures[place] = other.signatures[place]
        if (signer === PackageSigner.instituteEs256) made.certificates.splice(0, 1, other.certificates[0])
    }
    return made.octets()
}

/** A sound package with one octet of its image changed. */
export function altered(sound: Package): Buffer {
    const octets = Buffer.from(sound.octets())
    octets[octets.length - 5] ^= 1
    return octets
}
