import * as ds from "@devicescript/core"
import { Code, fail } from "../firmware/core/errors"
import type { I2cBus } from "./ports"

// The VM's socket hooks as a synchronous call into the host process (tools/vm/hypercall.ts): what is written
// begins with the mark below, and the host writes its reply over it. One buffer serves all calls up to its
// size: a call returns before anything else can run.

const header = 16
const host = "plomb-hw"
let shared: Buffer

function frame(payload: number): Buffer {
    const b = Buffer.alloc(header + payload)
    b.blitAt(0, hex`00 50 4c 4f 4d 42 48 57`, 0, 8)
    return b
}

/**
 * Calls the host process: `op` 1 I2C, 2 setting, 3 GPIO, 4 SPI, 16 to 255 the harness's own; `a` 0 to 255. Answers the
 * reply, at most `readLength` octets or as many as were written, whichever is more (up to 65,519).
 * `status` of the call is 0 or it throws: -1 `BusAddressNack`, -2 `BusDataNack`, -3 `BusStuck`.
 */
export function hostCall(op: number, a: number, write: Buffer, readLength: number): Buffer {
    const payload = Math.max(write.length, readLength)
    let b = shared
    if (payload > 304) b = frame(payload)
    else if (!b) {
        b = frame(304)
        shared = b
    }
    b[8] = op
    b[9] = a
    b[10] = 0
    b.setAt(12, "u16", write.length)
    b.setAt(14, "u16", readLength)
    b.blitAt(header, write, 0, write.length)
    const dsx = ds as any
    let rc: number = dsx._socketWrite(b)
    if (rc === -100) {
        // No socket is open, or the network's was closed: the hooks only answer while one is.
        if (!dsx._socketOnEvent) dsx._socketOnEvent = () => {}
        dsx._socketOpen(host, 1)
        rc = dsx._socketWrite(b)
    }
    if (rc !== 0) fail(Code.BusStuck, -1, "a host that answers", "result " + rc)
    const status = b.getAt(10, "i8")
    if (status === -1) fail(Code.BusAddressNack, a, "an answer", "none")
    if (status === -2) fail(Code.BusDataNack, -1, "all octets acknowledged by " + a, "not")
    if (status !== 0) fail(Code.BusStuck, -1, "a free bus", "status " + status)
    const length = b.getAt(14, "u16")
    const reply = Buffer.alloc(length)
    reply.blitAt(0, b, header, length)
    return reply
}

/** The bus of the VM: chip models in the host process answer. */
export class VmBus implements I2cBus {
    transfer(address: number, write: Buffer, readLength: number): Buffer {
        return hostCall(1, address, write, readLength)
    }
}
