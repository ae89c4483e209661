import type { PlcUart } from "../../hal/plc-uart"
import { Fn } from "../core/access"
import { Code, PlombError } from "../core/errors"
import type { Held } from "../core/inventory"
import type { Logbook } from "../core/logbook"
import { type CcmCipher, PlcLink, PlcWay, plcLinkSize } from "../core/plc-link"
import type { Store } from "../core/store"
import type { KeyRing } from "./keys"

/** The MUC's address on the power line. */
const mucAddress = 1

/** What is said over a link. */
export interface PlcService {
    /** A message to be sent now, where there is one. */
    due(): Buffer | undefined
    /** What the peer said, proved. Throws `PlcMessage` for what is none. */
    hear(message: Buffer, link: PlcLink): void
    /** The peer's counter lies below our floor, or somebody plays a frame of it again. */
    low(link: PlcLink): void
}

/** A link to the one peer that has address `peer` and the key of `kind`; its counters lie at `at`. */
export class PlcEnd {
    /** Undefined before the key was looked for, and where the counters are damaged. */
    link: PlcLink | undefined

    constructor(
        readonly kind: Held,
        readonly at: number,
        readonly peer: number,
        readonly service: PlcService,
    ) {}
}

/** The MUC's side of a power line: all its links over one modem, each under the key that the key ring holds for it. */
export class PlcServer {
    private rekeyed = true
    /** Kinds of key that were ordered since the last round. */
    private ordered: Held[] = []

    constructor(
        private readonly line: PlcUart,
        private readonly ends: PlcEnd[],
        private readonly store: Store,
        private readonly keys: KeyRing,
        private readonly cipher: CcmCipher,
        private readonly logbook: Logbook,
    ) {}

    /** Another key of this kind was put into the ring, or it was taken out. It is the line's fiber that changes a link. */
    rekey(kind: Held): void {
        this.ordered.push(kind)
        this.rekeyed = true
    }

    /** One round of the loop: sends what is due and takes what has come. Waits a little. */
    round(): void {
        const ends = this.ends
        if (this.rekeyed) {
            this.rekeyed = false
            const ordered = this.ordered
            this.ordered = []
            for (let i = 0; i < ends.length; ++i) this.take(ends[i], ordered.indexOf(ends[i].kind) >= 0)
        }
        for (let i = 0; i < ends.length; ++i) {
            const link = ends[i].link
            if (!link || link.keys() === 0) continue
            try {
                const message = ends[i].service.due()
                if (message) this.line.send(link.seal(message))
            } catch (e: any) {
                if (!(e instanceof PlombError)) throw e
                console.log("plc: " + e.message)
            }
        }
        const frames = this.line.receive()
        for (let i = 0; i < frames.length; ++i) this.hear(frames[i])
    }

    /** Gives a link the key that is held for it. Counters that are damaged are begun anew under an ordered key only: they must not repeat under one that was in use. */
    private take(end: PlcEnd, ordered: boolean): void {
        const key = this.keys.only(end.kind)
        try {
            if (!end.link && ordered) this.store.write(end.at, Buffer.alloc(plcLinkSize))
            const link = end.link || new PlcLink(this.store, end.at, this.cipher, PlcWay.FromMuc, mucAddress, end.peer)
            end.link = link
            if (key) link.give(key)
            else link.drop()
            console.log("plc " + end.peer + " keys " + link.keys())
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            console.log("plc " + end.peer + ": " + e.message)
        }
    }

    /** Neighbours and noise are ordinary on such a line; what was made to be taken for a peer's is entered. */
    private hear(frame: Buffer): void {
        for (let i = 0; i < this.ends.length; ++i) {
            const end = this.ends[i]
            const link = end.link
            if (!link || link.keys() === 0) continue
            try {
                end.service.hear(link.open(frame), link)
                return
            } catch (e: any) {
                if (!(e instanceof PlombError)) throw e
                if (e.code === Code.PlcUnknownPeer) continue
                console.log("plc " + end.peer + ": " + e.message)
                if (e.code === Code.PlcReplayed) end.service.low(link)
                if (e.code === Code.PlcWrongKey || e.code === Code.PlcReplayed)
                    this.logbook.refused(Fn.readCurrent, undefined, e.code, Buffer.from([end.peer]))
                return
            }
        }
    }
}
