import * as ds from "@devicescript/core"

/** Never comes back. */
const host: any = (ds as any).host

host.onTick(() => {
    host.add(0, 1000000000000)
    while (true) {}
})
host.onSelfTest(() => 0)
