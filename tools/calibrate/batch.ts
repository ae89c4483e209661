import { readFile } from "node:fs/promises"
import { UsageError } from "../cli/usage.ts"

/** One line of a batch file. */
export interface BatchRow {
    line: number
    serial: number
    board: string
    hardware: string
}

/** Longest hardware model a meter keeps, octets of UTF-8. */
export const mostHardware = 31

/** Is this what `--board` may say? Variants of the VM's board, as vm_software, are for trials. */
export function isBoard(text: string): boolean {
    return /^(vm(_\w+)?|serial:.+)$/.test(text)
}

/** A batch file that can not be read as one; says the line. */
export class BatchError extends Error {}

/**
 * Reads a batch file: a header line naming the columns `serial`, `board` and optionally `hardware`, then
 * one meter a line. Blank lines and lines beginning with `#` are skipped. Serial numbers are 1 to 2^32 - 1
 * and may stand once.
 */
export async function readBatch(path: string, hardware: string): Promise<BatchRow[]> {
    const text = await readFile(path, "utf8").catch(error => {
        throw new BatchError(`${path} can not be read (${error.code})`)
    })
    const rows: BatchRow[] = []
    const seen = new Map<number, number>()
    let columns: string[] | undefined
    for (const [index, raw] of text.split(/\r?\n/).entries()) {
        const line = index + 1
        if (raw.trim() === "" || raw.startsWith("#")) continue
        const cells = raw.split(",").map(cell => cell.trim())
        if (!columns) {
            columns = cells
            for (const wanted of ["serial", "board"])
                if (!columns.includes(wanted))
                    throw new BatchError(`${path}:${line}: expected a column "${wanted}", came ${columns.join(", ")}`)
            continue
        }
        if (cells.length !== columns.length)
            throw new BatchError(`${path}:${line}: expected ${columns.length} cells, came ${cells.length}`)
        const cell = (name: string) => cells[columns!.indexOf(name)]
        const serial = readSerial(cell("serial"), `${path}:${line}`, BatchError)
        const earlier = seen.get(serial)
        if (earlier) throw new BatchError(`${path}:${line}: serial number ${serial} stands in line ${earlier} already`)
        seen.set(serial, line)
        const board = cell("board")
        if (!isBoard(board)) throw new BatchError(`${path}:${line}: expected vm or serial:PORT, came "${board}"`)
        const model = cell("hardware") || hardware
        if (Buffer.byteLength(model) > mostHardware)
            throw new BatchError(
                `${path}:${line}: expected at most ${mostHardware} octets of hardware model, came "${model}"`,
            )
        rows.push({ line, serial, board, hardware: model })
    }
    if (rows.length === 0) throw new BatchError(`${path}: expected at least one meter, came none`)
    return rows
}

/** A serial number of a meter, 1 to 2^32 - 1. Throws `UsageError`, or `kind`, beginning with `where`. */
export function readSerial(text: string, where: string, kind: new (text: string) => Error = UsageError): number {
    const serial = Number(text)
    if (!/^\d+$/.test(text) || serial < 1 || serial > 0xffffffff)
        throw new kind(`${where}: expected a serial number from 1 to 4294967295, came "${text}"`)
    return serial
}
