import { defineConfig } from "vitest/config"

export default defineConfig({
    test: {
        include: ["tests/**/*.test.ts"],
        setupFiles: ["tools/node/platform.ts", "tests/helpers/seed.ts"],
        // The DeviceScript bundle is 28 MB of script: one process a file keeps its globals apart.
        pool: "forks",
        maxWorkers: 2,
        // Against a hang, not for speed: a loaded machine takes ten times as long.
        testTimeout: 300_000,
        hookTimeout: 300_000,
    },
})
