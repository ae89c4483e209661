import * as ds from "@devicescript/core"

/** Keeps more and more. */
const host: any = (ds as any).host
const all: any[] = []

host.onTick(() => {
    for (let i = 0; i < 1000; ++i) all.push(Buffer.alloc(100))
    return 0
})
host.onSelfTest(() => 0)
