import * as ds from "@devicescript/core"
import { hostCall } from "../../../hal/bus-vm"

function deep(n: number): number {
    return n === 0 ? 0 : 1 + deep(n - 1)
}

function fails(how: number): void {
    console.log("how", how)
    if (how === 1) throw new Error("not caught")
    if (how === 2) for (;;) how = 2
    if (how === 3) deep(200)
    if (how === 4) {
        const all: Buffer[] = []
        for (;;) all.push(Buffer.alloc(5000))
    }
    if (how === 5) ds.restart()
    if (how === 6) ds.reboot()
}

fails(hostCall(16, 0, Buffer.alloc(0), 1)[0])
