import { Code } from "../../firmware/core/errors"
import type { Damage } from "./mutations.ts"
import type { CaseOptions, Outcome } from "./outcome.ts"

export interface Campaign {
    name: string
    summary: string
    /** Cases when `--count` is not given. */
    count: { node: number; vm: number }
    load(): Promise<{ run(count: number, seed: number, where: "node" | "vm", more?: CaseOptions): Promise<Outcome> }>
}

/** A campaign of damaged telegrams of one protocol. */
const mutations = (load: () => Promise<Damage>): Campaign["load"] => {
    return async () => {
        const [{ runDamage }, damage] = await Promise.all([import("./mutations.ts"), load()])
        return { run: (count, seed, where) => runDamage(damage, count, seed, where) }
    }
}

export const campaigns: Campaign[] = [
    {
        name: "sml-mutations",
        summary:
            "damaged SML files: each gives a value or a typed error with its place, the same in Node and in the VM",
        count: { node: 100_000, vm: 2_000 },
        load: mutations(async () => (await import("./sml-mutations.ts")).damage),
    },
    {
        name: "x509-mutations",
        summary:
            "damaged certificates, revocation lists and requests: each gives a value or a typed error with its place",
        count: { node: 100_000, vm: 2_000 },
        load: async () => {
            const { run } = await import("./x509-mutations.ts")
            return {
                run: async (count, seed, where) => {
                    const { values, errors, escaped, mostSteps } = await run(count, seed, where)
                    const refused = Object.entries(errors).map(([code, n]) => `${Code[Number(code)]} ${n}`)
                    const steps = where === "vm" ? [`at most ${mostSteps} steps`] : []
                    return { summary: [[`sound ${values}`, ...refused].join(", "), ...steps], failures: escaped }
                },
            }
        },
    },
    {
        name: "tls-mutations",
        summary:
            "TLS handshakes with each bit of each message flipped and each message cut at each octet: never completed",
        count: { node: 1_000_000, vm: 100 },
        load: () => import("./tls-mutations.ts"),
    },
    {
        name: "tls-connections",
        summary: "TLS connections, full, resumed and failing, one after the other in the VM: no heap lost",
        count: { node: 1000, vm: 1000 },
        load: () => import("./tls-connections.ts"),
    },
    {
        name: "mbus-mutations",
        summary: "damaged M-Bus, wireless M-Bus and OMS telegrams: a value or a typed error with its place, bounded",
        count: { node: 100_000, vm: 3000 },
        load: mutations(async () => (await import("./mbus-mutations.ts")).damage),
    },
    {
        name: "iec62056-mutations",
        summary: "the same of IEC 62056-21: readouts, messages of the programming mode, with parity, and streams",
        count: { node: 100_000, vm: 3000 },
        load: mutations(async () => (await import("./field-mutations.ts")).iec62056Damage),
    },
    {
        name: "p1-mutations",
        summary: "the same of P1 telegrams, plain and encrypted",
        count: { node: 100_000, vm: 3000 },
        load: mutations(async () => (await import("./field-mutations.ts")).p1Damage),
    },
    {
        name: "dlms-mutations",
        summary: "the same of HDLC frames, COSEM data, APDUs, associations and ciphering of DLMS",
        count: { node: 100_000, vm: 3000 },
        load: mutations(async () => (await import("./field-mutations.ts")).dlmsDamage),
    },
    {
        name: "sandbox-mutations",
        summary: "damaged images of modules among canaries: refused, or run within their budgets, never a panic",
        count: { node: 10_000, vm: 10_000 },
        load: () => import("./sandbox-mutations.ts"),
    },
    {
        name: "power-cuts",
        summary: "power cut at FRAM writes of a metering board: nothing goes back, nothing is signed twice",
        count: { node: 1000, vm: 1000 },
        load: () => import("./power-cuts.ts"),
    },
    {
        name: "commands",
        summary:
            "random signed commands to a meter in the VM, compared with a model of who may do what (always in the VM)",
        count: { node: 1000, vm: 1000 },
        load: () => import("./commands.ts"),
    },
    {
        name: "authority-cuts",
        summary:
            "power cut at every FRAM write of a change of provider, access or key, a logbook reset, an erase (always in the VM)",
        count: { node: 100_000, vm: 100_000 },
        load: () => import("./authority-cuts.ts"),
    },
    {
        name: "software-cuts",
        summary:
            "power cut at every FRAM write of delivery, activation, trial, confirmation, rollback; in the VM some of each",
        count: { node: 100_000, vm: 6 },
        load: () => import("./software-cuts.ts"),
    },
    {
        name: "day",
        summary: "hours of a household through a meter in virtual time (count = hours): energy, rows, seconds, heap",
        count: { node: 24, vm: 24 },
        load: () => import("./day.ts"),
    },
    {
        name: "calibration",
        summary: "a lost packet or a power cut anywhere in a calibration: the next run ends it (always in the VM)",
        count: { node: 1000, vm: 1000 },
        load: () => import("./calibration.ts"),
    },
    {
        name: "commissioning",
        summary: "the same for production and installation of a MUC",
        count: { node: 1000, vm: 1000 },
        load: () => import("./commissioning.ts"),
    },
    {
        name: "requests",
        summary:
            "hostile requests by line and TLS to a meter and a MUC in the VM: no panic, heap stable, still answering",
        count: { node: 300, vm: 300 },
        load: () => import("./requests.ts"),
    },
    {
        name: "plugs",
        summary:
            "lines cut, concentrator, head-end, directory killed during traffic: what was acknowledged arrives, and once",
        count: { node: 500, vm: 500 },
        load: () => import("./plugs.ts"),
    },
    {
        name: "mucs",
        summary: "count MUCs behind one concentrator at the pace of real lines, some dumb, all cut off once (in Node)",
        count: { node: 300, vm: 300 },
        load: () => import("./mucs.ts"),
    },
]
