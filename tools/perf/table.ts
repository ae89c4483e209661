import { type Grid, type Row, ratioOf, reached, type Section } from "./row.ts"

/** Columns of `sectionText`, at most. */
export const tableWidth = 110

/** A figure with three to four digits that mean something, thousands apart. */
export function figure(value: number): string {
    if (!Number.isFinite(value)) return "?"
    const digits =
        Math.abs(value) >= 100 || Math.abs(value - Math.round(value)) < 0.001 ? 0 : Math.abs(value) >= 10 ? 1 : 2
    return value.toFixed(digits).replace(/\B(?=(\d{3})+(?!\d))/g, digits === 0 ? "," : "")
}

function ratioText(row: Row): string {
    const ratio = ratioOf(row)
    return ratio === undefined ? "" : `${ratio >= 10 ? ratio.toFixed(0) : ratio.toFixed(2)} x`
}

function lined(cells: string[][], left: number[]): string[] {
    const widths = cells[0].map((_, column) => Math.max(...cells.map(line => line[column].length)))
    return cells.map(line =>
        `  ${line.map((cell, i) => (left.includes(i) ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join("  ")}`.trimEnd(),
    )
}

function gridText({ title, head, lines }: Grid): string[] {
    const cells = lines.map(line => line.map(cell => (typeof cell === "number" ? figure(cell) : cell)))
    return ["", `  ${title}`, ...lined([head, ...cells], [0])]
}

/** A sentence in lines of at most `tableWidth`. */
function wrapped(text: string): string[] {
    const lines: string[] = []
    let line = " "
    for (const word of text.split(" ")) {
        if (line.length + 1 + word.length > tableWidth) {
            lines.push(line)
            line = "   "
        }
        line += ` ${word}`
    }
    return [...lines, line]
}

/** One group as a table; peers and the marks' sources stand below it under their letters. */
export function sectionText(section: Section): string {
    const sources: string[] = []
    const letter = (source: string | undefined) => {
        if (!source) return ""
        if (!sources.includes(source)) sources.push(source)
        return ` ${String.fromCharCode(97 + sources.indexOf(source))}`
    }
    const cells = section.rows.map(row => {
        const made = reached(row)
        return [
            row.what,
            ratioText(row),
            figure(row.ours),
            row.unit,
            (row.peer === undefined ? (row.peerName ? "-" : "") : figure(row.peer)) + letter(row.peerName),
            row.mark ? figure(row.mark.value) + letter(row.mark.from) : "",
            made === undefined ? "" : made ? "reached" : "MISSED",
        ]
    })
    const table = lined([["", "ratio", "ours", "unit", "peer", "mark", ""], ...cells], [0, 3, 6])
    const legend = sources.map((source, i) => `${String.fromCharCode(97 + i)}  ${source}`)
    return [
        `${section.title} (${section.group})`,
        ...table,
        ...(section.grid ? gridText(section.grid) : []),
        ...(legend.length + section.notes.length > 0 ? [""] : []),
        ...[...legend, ...section.notes].flatMap(wrapped),
    ].join("\n")
}

/** One group for machines: the rows with ratio and whether the mark is reached. */
export function sectionJson(section: Section): object {
    const rows = section.rows.map(row => ({ ...row, ratio: ratioOf(row), reached: reached(row) }))
    return { ...section, rows }
}
