import * as ds from "@devicescript/core"
import { hostCall } from "../../../hal/bus-vm"

/**
 * The program's side of `runCases` (tools/vm/harness.ts): answers one case after the other until there are
 * none. Cases and answers hold at most `capacity` octets. Restarts the program at the end, which ends the run.
 */
export function serveCases(capacity: number, answer: (request: Buffer) => Buffer): void {
    const none = Buffer.alloc(0)
    for (;;) {
        const request = hostCall(16, 0, none, capacity)
        if (request.length === 0) break
        hostCall(17, 0, answer(request), 0)
        // Each case starts with a whole step budget, and the host gets its turn.
        ;(ds as any).sleep(1)
    }
    ds.restart()
}
