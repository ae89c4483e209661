import { readFileSync } from "node:fs"
import { parseLoadProfile } from "../chips/load-profile.ts"
import type { LoadSource } from "../chips/load-source.ts"
import { UsageError } from "../cli/usage.ts"
import type { World } from "../vm/world.ts"

/** The load profile in a file; its second 0 is now. Throws `UsageError` where there is none, `LoadProfileError` with the line. */
export function readLoad(path: string, world: World): LoadSource {
    let text: string
    try {
        text = readFileSync(path, "utf8")
    } catch {
        throw new UsageError(`--load: there is no file ${path}`)
    }
    return parseLoadProfile(text, world.nowMs() / 1000)
}
