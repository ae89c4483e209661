import * as ds from "@devicescript/core"

/** Finds that it does not work here. */
const host: any = (ds as any).host

host.onTick(() => 0)
host.onSelfTest(() => 7)
