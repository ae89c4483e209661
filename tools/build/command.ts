import { readArgs, UsageError } from "../cli/usage.ts"
import { CompileError } from "../vm/compile.ts"
import { type BuildReport, buildVariant, checkout } from "./build.ts"
import { heapAfterBoot } from "./heap.ts"
import { readManifest, type Variant } from "./manifest.ts"
import { overruns, sizeTable } from "./table.ts"

export const help = `plomb build [IMAGE...] [--board B]... [--json]

Compiles the images of devicescript.json for their boards with the stock DeviceScript compiler, into
.plomb/build/IMAGE-BOARD/ (bytecode.devs, debug.json, main.ts, report.json). The same sources give the same
octets in any folder. Prints code by room against its budget (tools/build/budgets.ts), the image, and the
heap that is free once the image runs (only of images for the VM: nothing else can be started here).

  --board B   only for this board of devicescript.json; may be repeated
  --json      the reports as JSON, and nothing else, on standard output

Fails (exit code 1) when sources do not compile or anything is above its limit.`

/** `plomb build`. */
export async function run(args: string[]): Promise<number> {
    const { values, positionals } = readArgs({
        args,
        allowPositionals: true,
        options: { board: { type: "string", multiple: true }, json: { type: "boolean" } },
    })
    const chosen = choose(readManifest(checkout), positionals, values.board ?? [])
    const failures: string[] = []
    const reports: BuildReport[] = []
    const heaps = new Map<string, string>()
    for (const [i, variant] of chosen.entries()) {
        const what = `${variant.image} for ${variant.board}`
        progress(`building ${what} (${i + 1} of ${chosen.length})`)
        try {
            const built = await buildVariant(variant)
            const heap = variant.hardware === "vm" ? await heapAfterBoot(built) : undefined
            heaps.set(`${variant.image} ${variant.board}`, heap === undefined ? "-" : (heap / 1024).toFixed(1))
            reports.push({ ...built.report, ...(heap === undefined ? {} : { freeHeapAfterBoot: heap }) })
        } catch (error) {
            if (!(error instanceof CompileError)) throw error
            failures.push(...error.problems, `${what}: does not compile (${plural(error.problems.length, "error")})`)
        }
    }
    progress("")
    for (const image of new Set(reports.map(report => report.image)))
        failures.push(...overruns(reports.filter(report => report.image === image)))
    if (values.json) console.log(JSON.stringify(reports, null, 4))
    else {
        for (const image of new Set(reports.map(report => report.image))) {
            const own = reports.filter(report => report.image === image)
            console.log(
                sizeTable(own, new Map(own.map(each => [each.board, heaps.get(`${image} ${each.board}`) ?? ""]))),
            )
            console.log()
        }
        if (reports.length > 0)
            console.log(
                "heap: free once the image runs; only the VM can be started here. Files: .plomb/build/IMAGE-BOARD/",
            )
    }
    for (const line of failures) console.error(line)
    return failures.length > 0 ? 1 : 0
}

function choose(variants: Variant[], images: string[], boards: string[]): Variant[] {
    for (const image of images)
        if (!variants.some(each => each.image === image))
            throw new UsageError(`there is no image "${image}"; devicescript.json has ${names(variants, "image")}`)
    for (const board of boards)
        if (!variants.some(each => each.board === board))
            throw new UsageError(`there is no board "${board}"; devicescript.json has ${names(variants, "board")}`)
    const chosen = variants
        .filter(each => images.length === 0 || images.includes(each.image))
        .filter(each => boards.length === 0 || boards.includes(each.board))
    if (chosen.length === 0) throw new UsageError(`${images.join(", ")} is not built for ${boards.join(", ")}`)
    return chosen
}

function names(variants: Variant[], key: "image" | "board"): string {
    return [...new Set(variants.map(each => each[key]))].join(", ")
}

function plural(count: number, what: string): string {
    return `${count} ${what}${count === 1 ? "" : "s"}`
}

/** One line that replaces itself on a terminal; a line each in a log. */
function progress(line: string): void {
    if (process.stderr.isTTY) process.stderr.write("\r\x1b[K" + line)
    else if (line) process.stderr.write(line + "\n")
}
