import "../node/platform.ts"
import { cpus } from "node:os"
import { readArgs, UsageError } from "../cli/usage.ts"
import { cliVersion } from "../vm/toolchain.ts"
import type { Section } from "./row.ts"
import { sectionJson, sectionText } from "./table.ts"

export const help = `plomb perf [GROUP...] [--json]

Measures, each figure beside its peer (in the same run) and its mark. Groups, all of them by default:

  p256     ECDSA P-256 in the VM beside a schoolbook version: steps, ms, code
  lms      HSS/LMS verification in the VM beside ECDSA: steps, ms, modelled Pico
  sml      reading and writing SML in the VM; in Node beside open-sml and libsml
  reading  boot to the first signed reading, what one costs, modelled times of a board with the element
  tls      handshakes and records in the VM, beside Node and OpenSSL; a MUC's with the element, modelled on boards
  image    code, image and heap of each image for the VM, beside the limits
  verify   evidence judged a second; ECDSA verification in Node beside node:crypto and @noble/curves

ratio: how many times better ours is than the peer's; below 1 the peer is better. Bytecode steps do not
depend on the machine, milliseconds do: CPU time, medians, after warming up. Marks are in tools/perf/marks.ts.

  --json   the same for machines, and nothing else, on standard output`

const groups: Record<string, () => Promise<Section>> = {
    p256: async () => (await import("./p256.ts")).p256Section(),
    lms: async () => (await import("./lms.ts")).lmsSection(),
    sml: async () => (await import("./sml.ts")).smlSection(),
    reading: async () => (await import("./reading.ts")).readingSection(),
    tls: async () => (await import("./tls.ts")).tlsSection(),
    image: async () => (await import("./image.ts")).imageSection(),
    verify: async () => (await import("./verify.ts")).verifySection(),
}

/** `plomb perf`. */
export async function run(args: string[]): Promise<number> {
    const { values, positionals } = readArgs({
        args,
        allowPositionals: true,
        options: { json: { type: "boolean", default: false } },
    })
    const unknown = positionals.find(name => !Object.hasOwn(groups, name))
    if (unknown !== undefined)
        throw new UsageError(`there is no group "${unknown}"; there are ${Object.keys(groups).join(", ")}`)
    const chosen = Object.keys(groups).filter(name => positionals.length === 0 || positionals.includes(name))
    const machine = surroundings()
    if (!values.json) console.log(`${Object.values(machine).join("; ")}\n`)
    const sections: Section[] = []
    for (const name of chosen) {
        process.stderr.write(`measuring ${name} (${sections.length + 1} of ${chosen.length})\n`)
        const section = await groups[name]()
        sections.push(section)
        if (!values.json) console.log(`${sectionText(section)}\n`)
    }
    if (values.json) console.log(JSON.stringify({ ...machine, groups: sections.map(sectionJson) }, null, 1))
    return 0
}

/** What the figures were measured on. */
function surroundings() {
    const all = cpus()
    return {
        machine: `${process.platform} ${process.arch}`,
        cpu: `${all.length} x ${all[0]?.model.trim() ?? "unknown CPU"}`,
        node: `Node ${process.version}`,
        vm: `DeviceScript VM ${cliVersion()} (WebAssembly)`,
        stress: "GC stress off",
        times: "CPU time, medians",
    }
}
