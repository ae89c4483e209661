import { metrologyCalls } from "../../firmware/sandbox/metrology-calls.ts"
import { packageCalls } from "../../firmware/sandbox/package-calls.ts"
import { pollingCalls } from "../../firmware/sandbox/polling-calls.ts"
import { softwareCalls } from "../../firmware/sandbox/software-calls.ts"

/** Names of the calls that a program of the sandbox has (`ds.host`): found by name at run time, so they stay as they are. */
export const hostNames: ReadonlySet<string> = new Set(
    [metrologyCalls, packageCalls, pollingCalls, softwareCalls].flat().map(each => each.split(":")[0]),
)
