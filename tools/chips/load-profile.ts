/**
 * Load profile files: what a simulated meter measures, as text a person can write.
 *
 *     # comment
 *     second, watts, var, volts, hertz
 *     0, 230
 *     900, 1500, 300, 229.5, 49.98
 *
 * One row an instant: seconds (rising, from the start of the profile), watts (negative = fed in), then if wanted var
 * (positive = inductive, default 0), volts (default 230, 1 to 500) and hertz (default 50, 40 to 70). Watts and var run
 * in straight lines from row to row; volts and hertz hold until the next row. Before the first row and after the last
 * their values hold. A jump is two rows with the same second. The heading row may be left out.
 */
import { type LoadSource, pointOf } from "./load-source"

/** A load profile that cannot be read; `line` counts from 1. */
export class LoadProfileError extends Error {
    constructor(
        readonly line: number,
        readonly expected: string,
        readonly came: string,
    ) {
        super(`load profile line ${line}: expected ${expected}, came ${came}`)
        this.name = "LoadProfileError"
    }
}

interface Row {
    second: number
    watts: number
    vars: number
    volts: number
    hertz: number
}

const heading = /^second\s*,\s*watts(\s*,\s*var(\s*,\s*volts(\s*,\s*hertz)?)?)?$/i
const number = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i

/**
 * Reads a load profile. `startSecond`: world second at which the profile's second 0 lies (default 0).
 * Throws `LoadProfileError`.
 */
export function parseLoadProfile(text: string, startSecond = 0): LoadSource {
    const rows: Row[] = []
    for (const [index, raw] of text
        .replace(/^\uFEFF/, "")
        .split(/\r?\n/)
        .entries()) {
        const line = raw.replace(/#.*/, "").trim()
        if (line === "" || (rows.length === 0 && heading.test(line))) continue
        const row = parseRow(line, index + 1)
        const before = rows[rows.length - 1]
        if (before && row.second < before.second) {
            throw new LoadProfileError(index + 1, `a second of ${before.second} or later`, `${row.second}`)
        }
        rows.push(row)
    }
    if (rows.length === 0) throw new LoadProfileError(1, "at least one row", "none")
    return sourceOf(rows, startSecond)
}

function parseRow(line: string, at: number): Row {
    const fields = line.split(",").map(f => f.trim())
    if (fields.length < 2 || fields.length > 5) {
        throw new LoadProfileError(at, "2 to 5 fields separated by commas", `"${line}"`)
    }
    const values = fields.map(field => {
        if (!number.test(field)) throw new LoadProfileError(at, "a number", `"${field}"`)
        return Number(field)
    })
    const [second, watts, vars = 0, volts = 230, hertz = 50] = values
    if (!(volts >= 1 && volts <= 500)) throw new LoadProfileError(at, "1 to 500 volts", `${volts}`)
    if (!(hertz >= 40 && hertz <= 70)) throw new LoadProfileError(at, "40 to 70 hertz", `${hertz}`)
    if (!(Math.hypot(watts, vars) <= 1e6)) throw new LoadProfileError(at, "at most 1000000 VA", `${watts}, ${vars}`)
    return { second, watts, vars, volts, hertz }
}

function sourceOf(rows: Row[], start: number): LoadSource {
    /** Index of the last row at or before `second`, -1 before the first. */
    const rowAt = (second: number): number => {
        let low = 0
        let high = rows.length
        while (low < high) {
            const middle = (low + high) >> 1
            if (rows[middle].second + start <= second) low = middle + 1
            else high = middle
        }
        return low - 1
    }
    return {
        at(second) {
            const index = rowAt(second)
            const row = rows[Math.max(0, index)]
            const next = rows[index + 1]
            if (index < 0 || !next) return pointOf(row.watts, row.vars, row.volts, row.hertz)
            const share = (second - start - row.second) / (next.second - row.second)
            const watts = row.watts + (next.watts - row.watts) * share
            return pointOf(watts, row.vars + (next.vars - row.vars) * share, row.volts, row.hertz)
        },
        nextChange(second) {
            const next = rows[rowAt(second) + 1]
            return next ? next.second + start : Number.POSITIVE_INFINITY
        },
    }
}
