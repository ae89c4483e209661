import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { bindings, fieldBuses, type Port } from "./bindings.ts"

/** One image for one board: a row of `devicescript.json`. */
export interface Variant {
    /** Image name, "meter". */
    image: string
    /** Name of the row: the board, or the board and what is different about this build ("vm_software"). */
    board: string
    /** Board definition in `boards/`, or "vm". */
    hardware: string
    /** The variant's main file, relative to the checkout; it exports `start(machine: Machine): void`. */
    entry: string
    version: string
    bus: string
    custody: string
    /** Holder of the key that a meter's key rolls over into. */
    spare?: string
    /** Key agreement of TLS. */
    agreement?: string
    uplink?: string
    /** Field buses, one a line. */
    buses?: string[]
    /** SPI of the Ethernet part. */
    spi?: string
    /** The image reads settings of the board. */
    settings: boolean
    /** The module that ships inside the image. */
    module?: ModuleRow
}

/** A module's source, relative to the checkout, its name and version; and the source of the program that checks packages. */
export interface ModuleRow {
    entry: string
    name: string
    version: string
    check: string
    /** Source of the program that carries out orders to the software, where the image has none of its own. */
    orders?: string
}

/** `devicescript.json` says something that cannot be built. */
export class ManifestError extends Error {}

/** Ports that an image may do without. */
const optional: Port[] = ["spare", "agreement", "uplink", "spi"]

/** Lines of the two UART chips that a board can carry. */
const mostLines = 4

/** All variants of the manifest in `root`, in its order. Throws `ManifestError` naming what is wrong. */
export function readManifest(root: string): Variant[] {
    const file = join(root, "devicescript.json")
    if (!existsSync(file)) throw new ManifestError(`there is no ${file}`)
    let manifest: any
    try {
        manifest = JSON.parse(readFileSync(file, "utf8"))
    } catch (error) {
        throw new ManifestError(`devicescript.json is not JSON: ${(error as Error).message}`)
    }
    const variants: Variant[] = []
    for (const [image, it] of Object.entries<any>(manifest.images ?? {})) {
        if (typeof it.entry !== "string" || typeof it.version !== "string")
            throw new ManifestError(`devicescript.json: image "${image}" needs an entry and a version`)
        if (it.module && (!it.module.check || !/^\d+\.\d+\.\d+$/.test(it.module.version ?? "")))
            throw new ManifestError(
                `devicescript.json: the module of image "${image}" needs entry, name, version and check`,
            )
        for (const [board, row] of Object.entries<any>(it.boards ?? {})) {
            const hardware = row.board ?? board
            const where = `devicescript.json: ${image} for ${board}`
            if (hardware !== "vm" && !existsSync(join(root, "boards", hardware + ".board.json")))
                throw new ManifestError(`${where}: there is no boards/${hardware}.board.json`)
            for (const port of Object.keys(bindings) as Port[]) {
                const name = row[port]
                if (name === undefined && optional.includes(port)) continue
                const known = Object.keys(bindings[port])
                if (!known.includes(name))
                    throw new ManifestError(`${where}: ${port} is "${name}", expected one of ${known.join(", ")}`)
            }
            if ((row.bus === "vm") !== (hardware === "vm"))
                throw new ManifestError(`${where}: bus "${row.bus}" does not exist on ${hardware}`)
            for (const port of ["spare", "agreement"])
                if (row[port] === "element" && row.custody !== "element")
                    throw new ManifestError(`${where}: ${port} "element" needs custody "element"`)
            for (const name of row.buses ?? [])
                if (!Object.keys(fieldBuses).includes(name))
                    throw new ManifestError(
                        `${where}: there is no bus "${name}", expected one of ${Object.keys(fieldBuses).join(", ")}`,
                    )
            if ((row.buses?.length ?? 0) > mostLines)
                throw new ManifestError(`${where}: ${row.buses.length} buses, two UART chips have ${mostLines} lines`)
            variants.push({
                image,
                board,
                hardware,
                entry: row.entry ?? it.entry,
                version: it.version,
                bus: row.bus,
                custody: row.custody,
                spare: row.spare,
                agreement: row.agreement,
                uplink: row.uplink,
                module: row.module === false ? undefined : it.module,
                buses: row.buses,
                spi: row.spi,
                settings: it.settings !== false,
            })
        }
    }
    if (variants.length === 0) throw new ManifestError("devicescript.json names no image")
    return variants
}
