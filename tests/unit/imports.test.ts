import { readFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { describe, expect, test } from "vitest"
import { isDeviceSource, sourceFiles } from "../../tools/lint/files"
import { checkImports } from "../../tools/lint/imports"

const root = resolve(__dirname, "../..")

/** Imports that the layout forbids: file, imported module. */
const forbidden: [string, string][] = [
    ["firmware/core/x.ts", "../../hal/ports"],
    ["firmware/core/x.ts", "@devicescript/core"],
    ["firmware/core/x.ts", "node:crypto"],
    ["firmware/core/x.ts", "../meter/status"],
    ["firmware/tls/x.ts", "../sandbox/y"],
    ["firmware/sandbox/x.ts", "../tls/y"],
    ["firmware/sandbox/x.ts", "@devicescript/core"],
    ["firmware/sandbox/x.ts", "../modules/metrology"],
    ["firmware/modules/x.ts", "../core/octets"],
    ["firmware/modules/x.ts", "../sandbox/metrology-calls"],
    ["firmware/modules/x.ts", "@devicescript/net"],
    ["firmware/meter/x.ts", "../modules/metrology"],
    ["firmware/meter/x.ts", "../../hal/ds3231"],
    ["firmware/meter/x.ts", "../muc/y"],
    ["firmware/meter/x.ts", "@devicescript/i2c"],
    ["firmware/muc/main.ts", "../meter/status"],
    ["hal/x.ts", "../firmware/meter/status"],
    ["hal/x.ts", "@devicescript/core"],
    ["hal/bus-x.ts", "../firmware/meter/status"],
    ["firmware/overlays/x.ts", "../sandbox/sandbox"],
    ["tools/x/y.ts", "../../firmware/meter/status"],
    ["tools/x/y.ts", "../../hal/ds3231"],
    ["tools/x/y.ts", "../../tests/helpers/z"],
]

const allowed: [string, string][] = [
    ["firmware/core/x.ts", "./octets"],
    ["firmware/tls/x.ts", "../core/octets"],
    ["firmware/sandbox/x.ts", "../core/octets"],
    ["firmware/modules/x.ts", "@devicescript/core"],
    ["firmware/overlays/x.ts", "../core/package"],
    ["firmware/meter/x.ts", "../sandbox/sandbox"],
    ["firmware/meter/x.ts", "../../hal/ports"],
    ["firmware/meter/x.ts", "../core/octets"],
    ["firmware/meter/main.ts", "../../hal/ds3231"],
    ["hal/x.ts", "../firmware/core/octets"],
    ["hal/x.ts", "./ports"],
    ["hal/bus-x.ts", "@devicescript/core"],
    ["tools/x/y.ts", "../../firmware/core/octets.ts"],
    ["tools/x/y.ts", "../../firmware/tls/client.ts"],
    ["tools/x/y.ts", "../chips/bus.ts"],
    ["tools/x/y.ts", "node:fs"],
    ["tools/x/y.ts", "@noble/curves/nist.js"],
    ["tools/x/device/y.ts", "../../../hal/bus-vm"],
    ["tests/unit/x.test.ts", "../../hal/ds3231"],
]

describe("import rules", () => {
    test.each(forbidden)("%s may not import %s", (file, module) => {
        expect(checkImports(file, `import { x } from "${module}"`)).toHaveLength(1)
        expect(checkImports(file, `export { x } from "${module}"`)).toHaveLength(1)
        expect(checkImports(file, `const x = await import("${module}")`)).toHaveLength(1)
    })

    test.each(allowed)("%s may import %s", (file, module) => {
        expect(checkImports(file, `import { x } from "${module}"`)).toEqual([])
    })

    test("a finding names the place and the rule", () => {
        expect(checkImports("firmware/core/x.ts", '\nimport { y } from "node:fs"')).toEqual([
            { file: "firmware/core/x.ts", line: 2, column: 19, message: "imports node:fs: core imports only core" },
        ])
    })

    test("every file of the checkout keeps them", () => {
        const files = sourceFiles(root)
        expect(files.filter(isDeviceSource).length).toBeGreaterThan(20)
        expect(files.flatMap(file => checkImports(file, readFileSync(join(root, file), "utf8")))).toEqual([])
    })
})
