import "../node/platform.ts"
import { checkImage } from "../../firmware/sandbox/image.ts"
import { type Binding, bindings, fieldBuses, noSettings, surroundings } from "./bindings.ts"
import type { Programs } from "./build.ts"
import { checksumMark } from "./checksum.ts"
import type { ModuleRow, Variant } from "./manifest.ts"

/** Where the generated entry of a variant lies, relative to the checkout. */
export function entryPath(variant: Variant): string {
    return `.plomb/build/${variant.image}-${variant.board}/main.ts`
}

/** Image name and version, as it stands in signed lists. */
export function identification(variant: Variant): string {
    return `plomb-${variant.image} ${variant.version}`
}

/**
 * The program of a variant: imports exactly the bindings that the manifest chooses, so that the compiler drops
 * the others, fills in the `Machine`, and calls the image's `start`. `programs`: what it has for its sandbox.
 */
export function entryText(variant: Variant, programs?: Programs): string {
    const around = surroundings[variant.hardware === "vm" ? "vm" : "board"]
    const bus = bindings.bus[variant.bus]
    const custody = bindings.custody[variant.custody]
    const spare = variant.spare === undefined ? undefined : bindings.spare[variant.spare]
    const agreement = variant.agreement === undefined ? undefined : bindings.agreement[variant.agreement]
    const uplink = variant.uplink === undefined ? undefined : bindings.uplink[variant.uplink]
    const spi = variant.spi === undefined ? undefined : bindings.spi[variant.spi]
    const settings = variant.settings ? around.settings : noSettings
    const used = [bus, custody, settings, around.sealOpen]
    for (const binding of [spare, agreement, uplink, spi]) if (binding) used.push(binding)
    const pins = variant.hardware === "vm" ? [] : [`import { pins } from "@dsboard/${variant.hardware}"`]
    return [
        'import * as ds from "@devicescript/core"',
        ...pins,
        `import { start } from "../../../${variant.entry.replace(/\.ts$/, "")}"`,
        'import { installDevicePlatform } from "../../../hal/runtime"',
        'import type { KeyCustody } from "../../../hal/ports"',
        ...importLines(used),
        ...[...new Set(variant.buses)].map(
            bus => `import { ${fieldBuses[bus][1]} } from "../../../firmware/muc/${fieldBuses[bus][0]}"`,
        ),
        "",
        "let custody: KeyCustody",
        "installDevicePlatform((publicKey, digest, signature) => custody.verify(publicKey, digest, signature))",
        `const bus = ${bus.expression}`,
        `custody = ${custody.expression}`,
        ...(around.startSeal ? [around.startSeal] : []),
        "start({",
        "    bus,",
        `    settings: ${settings.expression},`,
        "    custody,",
        ...(spare ? [`    spare: ${spare.expression},`] : []),
        ...(agreement ? [`    agreement: ${agreement.expression},`] : []),
        ...(uplink ? [`    uplink: ${uplink.expression},`] : []),
        ...(spi ? [`    spi: ${spi.expression},`] : []),
        '    deviceId: Buffer.from(ds.deviceIdentifier("self"), "hex"),',
        `    softwareIdentification: ${JSON.stringify(identification(variant))},`,
        `    softwareChecksum: hex\`${checksumMark}\`,`,
        ...(variant.module && programs ? [`    module: ${moduleText(variant.module, programs)},`] : []),
        `    sealOpen: () => ${around.sealOpen.expression},`,
        variant.buses ? `}, [${variant.buses.map(bus => fieldBuses[bus][1]).join(", ")}])` : "})",
        "",
    ].join("\n")
}

function moduleText(row: ModuleRow, { module, check, orders }: Programs): string {
    const [major, minor, patch] = row.version.split(".").map(Number)
    const version = major * 65536 + minor * 256 + patch
    const program = (octets: Uint8Array) =>
        `image: ${literal(octets)}, called: ${literal(checkImage(Buffer.from(octets)))}`
    const more = orders ? `, orders: { ${program(orders)} }` : ""
    return `{ ${program(module)}, name: ${JSON.stringify(row.name)}, version: ${version}, floor: 0, check: { ${program(check)} }${more} }`
}

function literal(octets: Uint8Array): string {
    return `hex\`${Buffer.from(octets).toString("hex")}\``
}

function importLines(used: Binding[]): string[] {
    const names = new Map<string, Set<string>>()
    for (const binding of used)
        for (const [module, exported] of Object.entries(binding.imports))
            names.set(module, new Set([...(names.get(module) ?? []), ...exported]))
    return [...names.entries()]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([module, exported]) => `import { ${[...exported].sort().join(", ")} } from "../../../hal/${module}"`)
}
