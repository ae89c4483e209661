import * as ds from "@devicescript/core"

/** Counts, and does nothing else: a module as small as it gets. */
const host: any = (ds as any).host
const inputs: Buffer = host.inputs()
const parameters: Buffer = host.parameters()
const gain = parameters.getAt(0, "f64")

host.onTick(() => {
    host.add(0, inputs.getAt(0, "i32") * gain)
    return 0
})
host.onSelfTest(() => 0)
