import type { Machine } from "../../hal/machine"
import type { KeyCustody } from "../../hal/ports"
import { Code, PlombError } from "../core/errors"
import type { Store } from "../core/store"
import { type Identity, Step } from "./identity"
import { identityAt, signersAt, signersEnd } from "./layout"

const page = 0x400
/** The identity goes last: until then the meter knows that it is being erased. */
const identityEnd = identityAt + page

/**
 * Erases a meter that was ordered to: both keys, certificates, registers, signed lists, load profile, parameters, logbooks. Only the
 * counters of signers stay, so that no command comes a second time. To be called at each start before anything else is read, so it goes
 * on where the power went; then the meter is as bare as a new board.
 */
export function eraseOrdered(identity: Identity, store: Store, machine: Machine): void {
    if (identity.step() !== Step.Erasing) return
    destroy(machine.custody)
    if (machine.spare) destroy(machine.spare)
    const nothing = Buffer.alloc(page)
    for (let at = 0; at < store.size; at += page)
        if ((at < identityAt || at >= identityEnd) && (at < signersAt || at >= signersEnd)) store.write(at, nothing)
    identity.forget()
    console.log("erased")
}

function destroy(custody: KeyCustody): void {
    try {
        if (custody.state().configured) custody.erase()
    } catch (e: any) {
        // Power went while its record was being overwritten, which goes on below.
        if (!(e instanceof PlombError) || e.code !== Code.RecordDamaged) throw e
    }
}
