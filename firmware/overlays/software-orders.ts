import { Code, fail } from "../core/errors"
import { numberBE } from "../core/octets"
import { SlotState } from "../core/slots"
import { newlyAnnounced, Order, putBack, SoftwareArea } from "../core/software"
import { floor, host, serve, slots, withdraw } from "./software"

/*
 * Orders to the software of a device while it works (firmware/muc/README.md): what comes into the slots, what is to be tried, stays or goes.
 * What takes long is written down for the next start.
 */

serve((order, value) => {
    if (order === Order.Tell) host.told([slots.octets(), numberBE(4, floor.value()), slots.blocks()])
    else if (order === Order.Announce) announce(value)
    else if (order === Order.Block) block(value)
    else if (order === Order.Activate) activate(value)
    else if (order === Order.Confirm) confirm(value)
    else if (order === Order.PutBack) {
        putBack(slots, value, host.about(0), floor.value(), digest => host.enter(digest))
        host.restart()
    } else if (order === Order.Passed) {
        if (slots.spend(host.about(3))) return
        withdraw(host.about(1), Code.SoftwareUnconfirmed)
        host.restart()
    } else withdraw(host.about(1), host.about(3))
})

function announce(value: Buffer): void {
    const digest = newlyAnnounced(slots, value)
    if (digest) host.enter(digest)
    slots.announce(value)
    host.write(SoftwareArea.Judged, Buffer.alloc(1))
}

/** With the last one the whole is judged, at the next start. */
function block(value: Buffer): void {
    slots.block(value)
    const marks = slots.blocks()
    for (let i = 0; i < marks.length; ++i) if (marks[i] === 0) return
    host.restart()
}

/** Its signatures are proved anew at the start that follows; who signed must be in force already now. */
function activate(digest: Buffer): void {
    const slot = slots.named(digest, SlotState.Verified)
    if (slots.find(SlotState.Trial) >= 0) fail(Code.SlotState, -1, "no other on trial", "one")
    const code = host.signers([], 1)
    if (code > 0) fail(code, -1, "the manufacturer's certificate", "none that holds")
    host.enter(digest)
    slots.begin(slot)
    host.restart()
}

function confirm(digest: Buffer): void {
    const slot = slots.named(digest, SlotState.Trial)
    if (slot !== host.about(1)) fail(Code.SlotState, -1, "that it runs", "another")
    host.enter(digest)
    slots.confirm(slot)
    floor.raise(host.about(2))
}
