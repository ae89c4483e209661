import { codeLimit, imageLimit, rooms } from "./budgets.ts"
import type { BuildReport } from "./build.ts"

function kilo(octets: number): string {
    return (octets / 1024).toFixed(1)
}

/** The builds of one image as a table: a row a board, a column a room of the code, in KB. */
export function sizeTable(reports: BuildReport[], heaps: Map<string, string>): string {
    const used = rooms.filter(room => reports.some(report => report.sizes.rooms[room.name]))
    const head = [
        `${reports[0].identification} (KB)`,
        ...used.map(room => room.name),
        "code",
        "image",
        "heap",
        "SHA-256",
    ]
    const limits = ["limit", ...used.map(room => room.budget.toFixed(1)), kilo(codeLimit), kilo(imageLimit), "", ""]
    const rows = reports.map(report => [
        report.board,
        ...used.map(room => (report.sizes.rooms[room.name] ? kilo(report.sizes.rooms[room.name]) : "-")),
        kilo(report.sizes.code),
        kilo(report.sizes.image),
        heaps.get(report.board) ?? "",
        report.sha256.slice(0, 12),
    ])
    const all = [head, limits, ...rows]
    const widths = head.map((_, column) => Math.max(...all.map(row => row[column].length)))
    const line = (row: string[]) =>
        "  " + row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join("  ")
    const rule = "  " + widths.map(width => "-".repeat(width)).join("  ")
    const buses = reports
        .filter(report => report.buses)
        .map(({ board, buses }) => `  ${board}: field buses ${buses?.join(", ")}`)
    return [line(head), line(limits), rule, ...rows.map(line), ...buses].join("\n")
}

/** What of the builds of one image is above its limit: a line each, empty when all is well. */
export function overruns(reports: BuildReport[]): string[] {
    const limits: [string, number, (report: BuildReport) => number][] = [
        ["the code", codeLimit, report => report.sizes.code],
        ["the image", imageLimit, report => report.sizes.image],
        ...rooms.map((room): [string, number, (report: BuildReport) => number] => [
            room.name,
            room.budget * 1024,
            report => report.sizes.rooms[room.name] ?? 0,
        ]),
    ]
    return limits.flatMap(([what, limit, sizeOf]) => {
        const over = reports.filter(report => sizeOf(report) > limit)
        if (over.length === 0) return []
        const most = Math.max(...over.map(sizeOf))
        const boards = over.map(report => report.board).join(", ")
        return [`${over[0].image}: ${what} takes ${kilo(most)} KB of ${kilo(limit)} KB (${boards})`]
    })
}
