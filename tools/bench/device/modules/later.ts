import * as ds from "@devicescript/core"

/** Sound for 400 seconds, which it keeps count of over starts; from then on it throws. */
const host: any = (ds as any).host
const inputs: Buffer = host.inputs()
const parameters: Buffer = host.parameters()
const gain = parameters.getAt(0, "f64")
const state: Buffer = host.state()
const countAt = 28

host.onTick(() => {
    const count = state.getAt(countAt, "u32") + 1
    if (count > 400) throw new Error("on purpose")
    state.setAt(countAt, "u32", count)
    host.add(0, inputs.getAt(0, "i32") * gain)
    return 0
})
host.onSelfTest(() => 0)
