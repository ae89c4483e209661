import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { basename, dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { compile, type Image } from "../vm/compile.ts"
import { sealChecksum } from "./checksum.ts"
import { entryPath, entryText, identification } from "./entry.ts"
import { readManifest, type Variant } from "./manifest.ts"
import { measure, type Sizes } from "./sizes.ts"
import { withoutTexts } from "./texts.ts"

/** The checkout this file belongs to. */
export const checkout = resolve(dirname(fileURLToPath(import.meta.url)), "../..")

/** What `report.json` of a build says. */
export interface BuildReport {
    image: string
    board: string
    /** "plomb-meter 0.1.0" */
    identification: string
    /** SHA-256 of bytecode.devs, hex. */
    sha256: string
    /** The checksum the image states of itself (hex), and the octet where it stands in it. */
    softwareChecksum: string
    checksumAt: number
    sizes: Sizes
    /** Field buses of the image, one a line. */
    buses?: string[]
}

/** An image that is ready to run: also on disk, in `folder`. */
export interface Built {
    variant: Variant
    image: Image
    report: BuildReport
    /** Absolute; holds bytecode.devs, debug.json, main.ts (the generated entry) and report.json. */
    folder: string
}

/** There is no such image, or not for this board. */
export class NoSuchImage extends Error {}

/** Finds one row of the manifest. */
export function findVariant(image: string, board: string, root = checkout): Variant {
    const variants = readManifest(root)
    const found = variants.find(each => each.image === image && each.board === board)
    if (found) return found
    const boards = variants.filter(each => each.image === image).map(each => each.board)
    if (boards.length > 0)
        throw new NoSuchImage(`${image} is not built for "${board}"; devicescript.json has ${boards.join(", ")}`)
    const images = [...new Set(variants.map(each => each.image))]
    throw new NoSuchImage(`there is no image "${image}"; devicescript.json has ${images.join(", ")}`)
}

/**
 * Builds one image for one board of the manifest, or takes what an earlier build of the same sources left. Throws
 * `CompileError` where the sources do not compile. The same sources give the same octets in any folder.
 */
export async function ensureBuilt(image: string, board: string, root = checkout): Promise<Built> {
    return buildVariant(findVariant(image, board, root), root)
}

/** As `ensureBuilt`, for a row at hand. */
export async function buildVariant(variant: Variant, root = checkout): Promise<Built> {
    const path = entryPath(variant)
    const text = entryText(variant, await programsOf(variant, root))
    const image = await compile(path, {
        root,
        files: { [path]: text },
        name: `plomb-${variant.image}`,
        version: variant.version,
        change: withoutTexts,
        changeName: "without texts",
        distinct: true,
        // Over the bridge the bus is a role of the library's kind.
        bareRoles: variant.bus !== "jacdac",
    })
    const checksumAt = sealChecksum(image.bytecode)
    image.debug.binary = { hex: Buffer.from(image.bytecode).toString("hex") }
    const report: BuildReport = {
        image: variant.image,
        board: variant.board,
        identification: identification(variant),
        sha256: createHash("sha256").update(image.bytecode).digest("hex"),
        softwareChecksum: Buffer.from(image.bytecode.slice(checksumAt, checksumAt + 32)).toString("hex"),
        checksumAt,
        sizes: measure(image),
        ...(variant.buses ? { buses: variant.buses } : {}),
    }
    const folder = dirname(join(root, path))
    mkdirSync(folder, { recursive: true })
    writeChanged(join(folder, "main.ts"), text)
    writeChanged(join(folder, "bytecode.devs"), image.bytecode)
    writeChanged(join(folder, "debug.json"), JSON.stringify(image.debug))
    writeChanged(join(folder, "report.json"), JSON.stringify(report, null, 4) + "\n")
    return { variant, image, report, folder }
}

/** The module that ships inside an image, compiled as one for a package is. */
export async function moduleOf({ module }: Pick<Variant, "module">, root = checkout): Promise<Uint8Array | undefined> {
    if (!module) return undefined
    return (await compile(module.entry, { root, name: module.name, version: module.version })).bytecode
}

/** What an image has for its sandbox: the module that ships inside, the program that checks packages, the one that carries out orders. */
export interface Programs {
    module: Uint8Array
    check: Uint8Array
    orders?: Uint8Array
}

export async function programsOf(variant: Pick<Variant, "module">, root = checkout): Promise<Programs | undefined> {
    const module = await moduleOf(variant, root)
    const row = variant.module
    if (!module || !row) return undefined
    const overlay = async (source: string) => {
        const change = { change: withoutTexts, changeName: "without texts" }
        const options = { distinct: true, closed: true, ...change }
        return (await compile(source, { root, name: basename(source, ".ts"), ...options })).bytecode
    }
    return { module, check: await overlay(row.check), orders: row.orders ? await overlay(row.orders) : undefined }
}

/** Another process that builds the same sees the whole old file or the whole new one. */
function writeChanged(file: string, content: string | Uint8Array): void {
    const octets = Buffer.from(content)
    if (existsSync(file) && readFileSync(file).equals(octets)) return
    const fresh = `${file}.${process.pid}`
    writeFileSync(fresh, octets)
    renameSync(fresh, file)
}
