import type { Machine } from "../../hal/machine"
import type { KeyCustody } from "../../hal/ports"
import { Code, PlombError } from "../core/errors"
import type { Store } from "../core/store"
import { type Identity, Step } from "./identity"
import { custodyAt, custodyEnd, identityAt, signersAt, signersEnd } from "./layout"

const page = 0x200
/** The identity goes last: until then the meter knows that it is being erased. */
const identityEnd = identityAt + 0x400

/**
 * Erases a meter that was ordered to: both keys, certificates, registers, signed lists, load profile, parameters, logbooks, the software
 * area. Only counters stay: those of signers, so that no command comes a second time, and those of the keys'
 * holders, which never go back. To be called at each start before anything else is read, so it goes on where the power went; then the
 * meter is as bare as a new board.
 */
export function eraseOrdered(identity: Identity, store: Store, machine: Machine): void {
    if (identity.step() !== Step.Erasing) return
    let keep = destroy(machine.custody)
    if (machine.spare && !destroy(machine.spare)) keep = false
    const nothing = Buffer.alloc(page)
    for (let at = 0; at < store.size; at += page)
        if (
            (at < identityAt || at >= identityEnd) &&
            (!keep || at < custodyAt || at >= custodyEnd) &&
            (at < signersAt || at >= signersEnd)
        )
            store.write(at, nothing)
    identity.forget()
    console.log("erased")
}

/** Answers false where what the holder keeps in the store is damaged, so that nothing of it may stay. */
function destroy(custody: KeyCustody): boolean {
    try {
        if (custody.state().configured) custody.erase()
        return true
    } catch (e: any) {
        if (!(e instanceof PlombError) || e.code !== Code.RecordDamaged) throw e
        return false
    }
}
