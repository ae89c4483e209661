import * as ds from "@devicescript/core"

/** Counts, then throws. */
const host: any = (ds as any).host

host.onTick(() => {
    host.add(0, 1000000000000)
    throw new Error("on purpose")
})
host.onSelfTest(() => 0)
