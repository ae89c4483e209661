import type { Where } from "./cases/on-ground.ts"
import type { Report } from "./report.ts"

/** What a command may ask of a scenario. */
export interface Asked {
    /** Of simulated time, where it may be shortened. */
    hours?: number
    where?: Where
}

/** A use case or a property, shown in one command. Its file is loaded only when it is run. */
export interface Scenario {
    name: string
    /** One line. */
    purpose: string
    /** A use case of the paper, in its words: `plomb bench` runs these. */
    useCase?: string
    /** Where it can play, its usual place first; the VM where nothing is said. */
    places?: Where[]
    load(): Promise<{ run(asked: Asked): Promise<Report> }>
}

/** The use cases stand in the order of the paper's chapter 5. */
export const scenarios: Scenario[] = [
    {
        name: "reading",
        useCase: "Reading of metering data (pull)",
        purpose: "a signed order to read, checked by MUC and meter; the answer is proof",
        load: () => import("./cases/reading.ts"),
    },
    {
        name: "maintenance",
        useCase: "Maintenance",
        purpose: "an operator certified by the provider works on meter and MUC; his certificate is sent along",
        load: () => import("./cases/maintenance.ts"),
    },
    {
        name: "replacement",
        useCase: "Replacement/repair of metering devices",
        purpose: "internal erasing, proved in the memories; the new installation works",
        load: () => import("./cases/replacement.ts"),
    },
    {
        name: "provider-change",
        useCase: "Change of metering service provider",
        purpose: "the new provider's certificate overwrites the old; old operators end at once; new addresses",
        load: () => import("./cases/provider-change.ts"),
    },
    {
        name: "provider-refuses",
        useCase: "Change of provider, the first hesitates",
        purpose: "the manufacturer removes the provider, and nobody else can",
        load: () => import("./cases/provider-refuses.ts"),
    },
    {
        name: "software-download",
        useCase: "Download of metrological software",
        purpose: "manufacturer, institute, provider: four signatures, slots, trial, confirmation; each flaw refused",
        places: ["vm", "node"],
        load: () => import("./cases/software-download.ts"),
    },
    {
        name: "software-rollback",
        useCase: "The preceding version restarts",
        purpose: "modules that throw, loop, hoard, fail, are not confirmed; power cuts, rollback by order, the floor",
        places: ["vm", "node"],
        load: () => import("./cases/software-rollback.ts"),
    },
    {
        name: "data-collection",
        useCase: "Metering data collection, delegated",
        purpose: "a third party reads and does nothing else, until that is withdrawn",
        load: () => import("./cases/data-collection.ts"),
    },
    {
        name: "households",
        useCase: "Reading by customer and energy provider",
        purpose: "each reads what is theirs; the display only what flows now",
        load: () => import("./cases/households.ts"),
    },
    {
        name: "inspection",
        useCase: "Inspection by the metrological institute",
        purpose: "attestation, metering parameters, the metrological logbook and its clearing",
        load: () => import("./cases/inspection.ts"),
    },
    {
        name: "key-rollover",
        useCase: "Rollover of a meter's key",
        purpose: "a new key made inside, certified, switched to; the former one is gone, its readings stay proof",
        load: () => import("./cases/key-rollover.ts"),
    },
    {
        name: "access-matrix",
        purpose: "every role x function x component, and nobody, foreign, expired, revoked, old: expected and observed",
        load: () => import("./cases/access-matrix.ts"),
    },
    {
        name: "authority-attacks",
        purpose:
            "replay, reorder, other target, power cut, swapped certificates, escalation: refused, logged, nothing changed",
        load: () => import("./cases/attacks.ts"),
    },
    {
        name: "initialization",
        purpose: "the paper's 4.3: who holds what afterwards, asked of each device and looked for in its memories",
        load: async () => {
            const { run } = await import("./initialization.ts")
            return { run: () => run() }
        },
    },
    {
        name: "tls-interop",
        purpose: "TLS 1.3 with OpenSSL, GnuTLS and node:tls: both directions, full and resumed, both suites",
        load: () => import("./tls-interop.ts"),
    },
    {
        name: "field-buses",
        purpose: "250 meters on four buses behind one MUC for a day (--hours N): read, signed, forwarded, proved",
        load: () => import("./field-buses.ts"),
    },
]
