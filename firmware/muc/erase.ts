import type { KeyCustody } from "../../hal/ports"
import type { Store } from "../core/store"
import { type Identity, Step } from "./identity"
import { identityAt, signersAt, signersEnd } from "./layout"

const page = 1024
/** The identity goes last: until then the MUC knows that it is being erased. */
const identityEnd = identityAt + page

/**
 * Erases a MUC that was ordered to: its key, certificates, lists, symmetric keys, meters, addresses, logbook. Only the counters of
 * signers stay, so that no command comes a second time. To be called at each start before anything else is read, so it goes
 * on where the power went; then the MUC is as bare as a new board.
 */
export function eraseOrdered(identity: Identity, store: Store, custody: KeyCustody): void {
    if (identity.step() !== Step.Erasing) return
    if (custody.state().configured) custody.erase()
    const nothing = Buffer.alloc(page)
    for (let at = 0; at < store.size; at += page)
        if ((at < identityAt || at >= identityEnd) && (at < signersAt || at >= signersEnd)) store.write(at, nothing)
    identity.forget()
    console.log("erased")
}
