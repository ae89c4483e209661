import { readdirSync } from "node:fs"
import { join, relative } from "node:path"

/** All TypeScript files of the checkout that the lint knows rules for, relative to `root`, sorted. */
export function sourceFiles(root: string): string[] {
    const found: string[] = []
    const walk = (folder: string) => {
        for (const entry of readdirSync(folder, { withFileTypes: true })) {
            if (entry.name.startsWith(".") || entry.name === "node_modules") continue
            const path = join(folder, entry.name)
            if (entry.isDirectory()) walk(path)
            else if (entry.name.endsWith(".ts") && !entry.name.endsWith(".d.ts")) found.push(relative(root, path))
        }
    }
    walk(root)
    return found.sort()
}

/** Whether a file is a DeviceScript source: compiled for the VM and the boards. */
export function isDeviceSource(file: string): boolean {
    return /^(firmware|hal)\//.test(file) || /^(tools|tests)\/(.*\/)?device\//.test(file)
}
