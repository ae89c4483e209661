import type { Report } from "./report.ts"

/** A use case or a property, shown in one command. Its file is loaded only when it is run. */
export interface Scenario {
    name: string
    /** One line. */
    purpose: string
    load(): Promise<{ run(): Promise<Report> }>
}

export const scenarios: Scenario[] = []
