import type { CommandTrust } from "../core/command"
import type { Crl } from "../core/crl"
import { PlombError } from "../core/errors"
import type { LogClock } from "../core/logbook"
import { platform } from "../core/platform"
import type { Certificate } from "../core/x509"
import type { MucClock } from "./clock"
import type { Holdings } from "./holdings"
import { TrustSlot } from "./layout"

/** Whom the MUC's gate believes, and by which clock. */
export class MucCommandTrust implements CommandTrust, LogClock {
    constructor(
        private readonly holdings: Holdings,
        private readonly clock: MucClock,
    ) {}

    /** Manufacturer, institute root and provider. The CA root certifies nobody who commands. */
    hold(): Certificate[] {
        const held: Certificate[] = []
        for (let slot = TrustSlot.Manufacturer; slot <= TrustSlot.SecurityManagement; ++slot) {
            platform().yieldNow()
            const certificate = slot === TrustSlot.CaRoot ? undefined : this.holdings.inForce(slot)
            if (certificate) held.push(certificate)
        }
        return held
    }

    crls(chain: Certificate[]): Crl[] {
        return this.holdings.crlsOf(chain)
    }

    utcSeconds(): number {
        try {
            return this.clock.nowSeconds()
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            return 0
        }
    }

    version(): number {
        return this.holdings.version
    }

    /** Seconds since the board started. */
    secondsIndex(): number {
        return Math.floor(platform().millis() / 1000)
    }

    quality(): number {
        return this.utcSeconds() > 0 ? 2 : 1
    }
}
