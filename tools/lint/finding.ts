/** One complaint of the lint. */
export interface Finding {
    /** Relative to the checkout. */
    file: string
    line: number
    column: number
    message: string
}

/** `file:line:column message`, as editors and terminals follow it. */
export function findingLine(finding: Finding): string {
    return `${finding.file}:${finding.line}:${finding.column} ${finding.message}`
}
