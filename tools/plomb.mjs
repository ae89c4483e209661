#!/usr/bin/env node
import { register } from "tsx/esm/api"

register()
await import("./node/platform.ts")
const { main } = await import("./cli/main.ts")
process.exitCode = await main(process.argv.slice(2))
