import type { Outcome } from "./outcome.ts"

/** Cuts the power at writes of a meter's FRAM while its software changes: in Node at every one, in the VM at some of each change. */
export async function run(count: number, _seed: number, where: "node" | "vm"): Promise<Outcome> {
    const { cuts } = where === "node" ? await import("./software-cuts-node.ts") : await import("./software-cuts-vm.ts")
    return cuts(count)
}
