import { defineConfig } from "vitest/config"

export default defineConfig({
    test: {
        include: ["tests/**/*.test.ts"],
        setupFiles: ["tools/node/platform.ts"],
        // The DeviceScript bundle is 28 MB of script: one process a file keeps its globals apart.
        pool: "forks",
        maxWorkers: 2,
        testTimeout: 60_000,
        hookTimeout: 60_000,
    },
})
