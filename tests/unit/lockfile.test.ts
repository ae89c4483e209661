import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"

interface Entry {
    optionalDependencies?: Record<string, string>
    resolved?: string
}
const lock: { packages: Record<string, Entry> } = JSON.parse(readFileSync("package-lock.json", "utf8"))

describe("package-lock.json", () => {
    it("has every optional package, so that npm ci takes it on every platform and with every registry", () => {
        const missing: string[] = []
        for (const [path, entry] of Object.entries(lock.packages))
            for (const name of Object.keys(entry.optionalDependencies ?? {}))
                if (!(`node_modules/${name}` in lock.packages || `${path}/node_modules/${name}` in lock.packages))
                    missing.push(`${name} of ${path}`)
        expect(missing).toEqual([])
    })

    it("names no registry", () => {
        expect(Object.entries(lock.packages).filter(([, entry]) => entry.resolved)).toEqual([])
    })
})
