import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { toolchain } from "../vm/toolchain.ts"

/** A board of `boards/` with the chip it is on, as the DeviceScript tools describe them. */
export interface Target {
    board: any
    arch: any
    /** Address of the stock runtime for the chip, and its file name. */
    url: string
    name: string
}

/** The base firmware cannot be had. */
export class NoFirmware extends Error {}

/** Finds the chip and the base firmware of a board in `boards/`. */
export function targetOf(root: string, id: string): Target {
    const { compiler, addBoards } = toolchain()
    const local = { hwInfo: {} }
    const errors: any[] = []
    addBoards(root, local, errors)
    const config: any = compiler.resolveBuildConfig(local)
    const board = config.boards[id]
    if (!board)
        throw new Error(`boards/${id}.board.json is not valid: ${errors.map(each => each.messageText).join("; ")}`)
    const arch = config.archs[board.archId]
    return { board, arch, url: arch.bareUrl, name: arch.bareUrl.replace(/.*\//, "") }
}

/** Smallest file that can be a runtime; what is smaller is an error page. */
const leastOctets = 100_000

/**
 * The stock runtime for a board, from `.devicescript/cache` or, if it is not there or `refresh` asks, from the network.
 * Answers the file's path; throws `NoFirmware` saying what to do.
 */
export async function baseFirmware(root: string, target: Target, refresh: boolean): Promise<string> {
    const file = join(root, ".devicescript/cache", target.name)
    if (existsSync(file) && !refresh) {
        const octets = statSync(file).size
        if (octets < leastOctets)
            throw new NoFirmware(`${file} has only ${octets} octets: not a runtime; delete it or use --refresh`)
        return file
    }
    const byHand = `fetch ${target.url} elsewhere and put it at ${file}`
    let octets: Buffer
    try {
        const response = await fetch(target.url)
        if (!response.ok) throw new Error(`the server says ${response.status} ${response.statusText}`)
        octets = Buffer.from(await response.arrayBuffer())
    } catch (error) {
        const { message, cause } = error as Error
        const reason = cause instanceof Error ? cause.message : message
        throw new NoFirmware(`the DeviceScript runtime for this board cannot be fetched (${reason}); ${byHand}`)
    }
    if (octets.length < leastOctets)
        throw new NoFirmware(`${target.url} answered only ${octets.length} octets, which is no runtime; ${byHand}`)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, octets)
    return file
}

/** Text that says which runtime a file holds, where it says so. */
export function runtimeVersion(file: string): string {
    const match = /v\d+\.\d+\.\d+/.exec(readFileSync(file).toString("latin1").split("DeviceScript")[1] ?? "")
    return match ? match[0] : "of unknown version"
}
