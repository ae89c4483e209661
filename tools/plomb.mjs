#!/usr/bin/env node
import { register } from "tsx/esm/api"

register()
await import("./node/platform.ts")
const { main } = await import("./cli/main.ts")
let code = 0
// A reader that has seen enough (head, less) closes its end: nothing to be told.
for (const stream of [process.stdout, process.stderr])
    stream.on("error", error => process.exit(error.code === "EPIPE" ? code : 1))
code = await main(process.argv.slice(2))
// Not by exitCode: timers of a library must not keep a command that is done from ending. A pipe takes 64 KB at once, so what is left has to go first.
await Promise.all([process.stdout, process.stderr].map(stream => new Promise(done => stream.write("", done))))
process.exit(code)
