import type { Outcome } from "./outcome.ts"

/** Cuts the power at writes of the FRAM while software changes: in Node at every one, of a meter and a MUC; in the VM at some of each change of a meter. */
export async function run(count: number, _seed: number, where: "node" | "vm"): Promise<Outcome> {
    if (where === "vm") return (await import("./software-cuts-vm.ts")).cuts(count)
    const meter = await (await import("./software-cuts-node.ts")).cuts(count)
    const muc = await (await import("./muc-software-cuts.ts")).mucCuts(count)
    const cases = (meter.cases ?? 0) + (muc.cases ?? 0)
    return {
        summary: [...meter.summary, ...muc.summary, `${cases} cut points in all`],
        failures: [...meter.failures, ...muc.failures],
        cases,
    }
}
