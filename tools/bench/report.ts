/** What one trial of a scenario came to. */
export interface Cell {
    /** A word or two for the table. */
    text: string
    /** "unexpected" makes the scenario fail; "not run" only where nothing may be left out (PLOMB_INSIST=1). */
    state: "expected" | "unexpected" | "not run"
    /** What was expected and what came, or why it was not run; printed below the table. */
    why?: string
}

/** Trials in rows and columns; a row's first words name it. */
export interface Matrix {
    title: string
    /** Over the row names and over each column of cells. */
    head: string[]
    rows: { names: string[]; cells: Cell[] }[]
}

/** What a scenario showed. */
export interface Report {
    matrices: Matrix[]
    /** Versions, figures and what is left out, a sentence each. */
    notes: string[]
    /** Of a use case: steps that must work, and attempts that must not. */
    counts?: { successes: number; refusals: number }
}

/** A trial that came out as it must. */
export function expected(text: string): Cell {
    return { text, state: "expected" }
}

/** A trial that did not. */
export function unexpected(text: string, why: string): Cell {
    return { text, state: "unexpected", why }
}

/** A trial that could not be made, and why. */
export function notRun(why: string): Cell {
    return { text: "not run", state: "not run", why }
}

/** Cells in this state, with the names of their row and column. */
export function cellsIn(report: Report, state: Cell["state"]): { place: string; cell: Cell }[] {
    return report.matrices.flatMap(({ head, rows }) =>
        rows.flatMap(({ names, cells }) =>
            cells.flatMap((cell, i) =>
                cell.state === state ? [{ place: [...names, head[names.length + i]].join(", "), cell }] : [],
            ),
        ),
    )
}

/** Did everything come out as it must? With `insist` nothing may be left out either. */
export function passed(report: Report, insist: boolean): boolean {
    return cellsIn(report, "unexpected").length === 0 && !(insist && cellsIn(report, "not run").length > 0)
}

function matrixText({ title, head, rows }: Matrix): string[] {
    const lines = [head, ...rows.map(({ names, cells }) => [...names, ...cells.map(markedText)])]
    const widths = head.map((_, column) => Math.max(...lines.map(line => (line[column] ?? "").length)))
    const text = lines.map(line => `  ${line.map((cell, i) => cell.padEnd(widths[i])).join("  ")}`.trimEnd())
    return [title, ...text]
}

function markedText({ text, state }: Cell): string {
    return state === "unexpected" ? `NO: ${text}` : text
}

/** The report as aligned tables, then each reason once, then the notes. */
export function reportText(report: Report): string {
    const reasons = cellsIn(report, "unexpected").map(({ place, cell }) => `  ${place}: ${cell.why}`)
    const left = new Set(cellsIn(report, "not run").map(({ cell }) => `  not run: ${cell.why}`))
    return [
        ...report.matrices.flatMap(matrix => [...matrixText(matrix), ""]),
        ...reasons,
        ...left,
        ...report.notes.map(note => `  ${note}`),
    ].join("\n")
}
