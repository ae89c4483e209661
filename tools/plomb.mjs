#!/usr/bin/env node
import { register } from "tsx/esm/api"

register()
await import("./node/platform.ts")
const { main } = await import("./cli/main.ts")
// Not by exitCode: timers of a library must not keep a command that is done from ending.
process.exit(await main(process.argv.slice(2)))
