/**
 * The programs that keep the software of a device (firmware/overlays/software-start.ts, software-orders.ts), parts of the fixed image:
 * - `onOrder(f)`: `f(order, value)` carries out one (`Order` in firmware/core/software.ts).
 * - `read(at, length)`, `write(at, octets)`: the area of the store that is its own (`SoftwareArea`).
 * - `signers(keys, installed)`: the host puts identifier and key of the manufacturer's two signatures into `keys`; 0, or why none counts. `run(program)`: 0, or
 *   why it does not run.
 * - `tell(event, code, digest)`: an entry in the logbook; `enter(digest)`: that of the order. `told(values)`: the answer to `Order.Tell`: slots, floor, blocks.
 * - `about(what)`: 0 version of the module in the image, 1 the slot that runs, 2 the floor it raises, 3 the order's number: seconds, or a code.
 *   `hardware()`: the model of this device. `publicKey()`, `sign(digest)`: the device's key. `counter()`, `incrementCounter()`: the monotonic counter.
 * - `refuse(code, at)`: ends the order with this error. `restart()`: the device is to start anew.
 * - `sha256`, `verifyP256`, `hashChain`, `yieldNow`: as in `Platform`.
 */
export const softwareCalls = [
    "onOrder:f",
    "read:nn",
    "write:nb",
    "sha256:o",
    "verifyP256:bbb",
    "hashChain:bbn",
    "signers:on",
    "run:o",
    "tell:nnb",
    "enter:b",
    "told:o",
    "about:n",
    "hardware:",
    "publicKey:",
    "sign:b",
    "counter:",
    "incrementCounter:",
    "yieldNow:",
    "refuse:nn",
    "restart:",
]
