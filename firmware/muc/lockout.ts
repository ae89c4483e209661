import { Fn } from "../core/access"
import { Code, PlombError } from "../core/errors"
import { SwitchedRecord } from "../core/journal"
import type { Logbook } from "../core/logbook"
import { sameOctets } from "../core/octets"
import { passwordHolds } from "../core/password"
import { platform } from "../core/platform"
import type { Store } from "../core/store"
import { Role } from "../core/x509-role"
import { lockoutAt } from "./layout"

/** Wrong passwords in a row before anybody has to wait. */
const freeTries = 3
/** The first wait, ms; each further wrong password doubles it, up to the longest. */
const firstWaitMs = 30000
const longestWaitMs = 3600000
/** For so long a password that was right is known by its MAC, ms. */
const knownMs = 600000

/**
 * Tries of a password, counted in the store. The count goes up before the password is looked at, so a power cut in between wins nothing; and
 * as there is no clock that an attacker could not stop, each start of the board begins the present wait anew.
 */
export class Lockout {
    private readonly record: SwitchedRecord
    private untilMs = 0
    /** MAC of the password that was right last, under a key of this start of the board. */
    private readonly key = platform().randomOctets(32)
    private known = this.key
    private knownAt = 0

    /** `onLock` hears of each wait that begins, and after how many wrong passwords. */
    constructor(
        store: Store,
        private readonly onLock: (failures: number) => void,
    ) {
        this.record = new SwitchedRecord(store, lockoutAt, 1)
        this.wait(this.failures())
    }

    /** Seconds for which nobody is let in, 0 for none. */
    secondsLeft(): number {
        return Math.max(0, Math.ceil((this.untilMs - platform().millis()) / 1000))
    }

    /** Is it the password? Only to be asked while `secondsLeft` is 0. */
    lets(verifier: Buffer, password: Buffer): boolean {
        const now = platform().millis()
        const mac = platform().hmacSha256(this.key, [verifier, password])
        if (sameOctets(mac, this.known) && now - this.knownAt < knownMs) return true
        const failures = Math.min(this.failures() + 1, 255)
        this.record.save(Buffer.from([failures]))
        if (passwordHolds(verifier, password)) {
            this.record.save(hex`00`)
            this.known = mac
            this.knownAt = platform().millis()
            return true
        }
        this.wait(failures)
        if (this.untilMs > 0) this.onLock(failures)
        return false
    }

    private wait(failures: number): void {
        this.untilMs = 0
        if (failures < freeTries) return
        const doublings = Math.min(failures - freeTries, 7)
        this.untilMs = platform().millis() + Math.min(firstWaitMs << doublings, longestWaitMs)
    }

    /** A count that is damaged is a high one. */
    private failures(): number {
        try {
            const count = this.record.load()
            return count ? count[0] : 0
        } catch (e: any) {
            if (!(e instanceof PlombError) || e.code !== Code.RecordDamaged) throw e
            return 255
        }
    }
}

/** Tries of the customer's password, each wait entered in the logbook. */
export function loggedLockout(store: Store, logbook: Logbook): Lockout {
    return new Lockout(store, failures => {
        const customer = { role: Role.customer, id: Buffer.alloc(8) }
        logbook.refused(Fn.readCurrent, customer, Code.PasswordLocked, Buffer.from([failures]))
    })
}
