import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { Decoder } from "cbor-x"
import { UsageError } from "../cli/usage.ts"
import type { KnownSoftware } from "./item.ts"

function read(path: string, option: string): Buffer {
    try {
        return readFileSync(path)
    } catch (error) {
        throw new UsageError(`${option} ${path} can not be read (${(error as NodeJS.ErrnoException).code})`)
    }
}

/** SHA-256 of the module's image in a package: the third of its parts. */
function moduleOf(path: string): string {
    try {
        const decoder = new Decoder({ mapsAsObjects: false, useRecords: false, tagUint8Array: false })
        const [, , image] = decoder.decode(read(path, "--package")) as [unknown, unknown, Uint8Array]
        if (image instanceof Uint8Array) return createHash("sha256").update(image).digest("hex")
    } catch (error) {
        if (error instanceof UsageError) throw error
    }
    throw new UsageError(`--package ${path}: no software package`)
}

/** Checksum of a build: SHA-256 of its image with 32 octets of zero where the checksum stands, which its report tells. */
function imageOf(path: string): string {
    const image = Buffer.from(read(path, "--image"))
    const report = join(dirname(path), "report.json")
    const { checksumAt } = JSON.parse(read(report, "--image: its build report").toString())
    if (!Number.isInteger(checksumAt) || checksumAt + 32 > image.length)
        throw new UsageError(`--image ${path}: ${report} does not say where its checksum stands`)
    image.fill(0, checksumAt, checksumAt + 32)
    return createHash("sha256").update(image).digest("hex")
}

/** The software that should run, by the files that a person has. Throws `UsageError`. */
export function knownOf(packagePath: string | undefined, imagePath: string | undefined): KnownSoftware | undefined {
    if (packagePath === undefined && imagePath === undefined) return undefined
    return {
        module: packagePath === undefined ? undefined : moduleOf(packagePath),
        image: imagePath === undefined ? undefined : imageOf(imagePath),
    }
}
