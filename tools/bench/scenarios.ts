import type { Report } from "./report.ts"

/** A use case or a property, shown in one command. Its file is loaded only when it is run. */
export interface Scenario {
    name: string
    /** One line. */
    purpose: string
    load(): Promise<{ run(): Promise<Report> }>
}

export const scenarios: Scenario[] = [
    {
        name: "tls-interop",
        purpose: "TLS 1.3 with OpenSSL, GnuTLS and node:tls: both directions, full and resumed, both suites",
        load: () => import("./tls-interop.ts"),
    },
    {
        name: "initialization",
        purpose: "the paper's 4.3: who holds what afterwards, asked of each device and looked for in its memories",
        load: () => import("./initialization.ts"),
    },
]
