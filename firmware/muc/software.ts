import type { BuiltIn, Machine } from "../../hal/machine"
import { Code, fail, PlombError } from "../core/errors"
import { type Logbook, none } from "../core/logbook"
import { tidy } from "../core/octets"
import { manufacturerKeys } from "../core/package-trust"
import { platform } from "../core/platform"
import {
    builtInSlot,
    isElsewhere,
    nameOf,
    noSlot,
    Order,
    type Program,
    runningOctets,
    SoftwareArea,
    softwareChildren,
} from "../core/software"
import type { Store } from "../core/store"
import { hashChain } from "../sandbox/hash-chain"
import { Sandbox, type SandboxHost } from "../sandbox/sandbox"
import { softwareCalls } from "../sandbox/software-calls"
import type { MucClock } from "./clock"
import type { Holdings } from "./holdings"
import type { Identity } from "./identity"
import { softwareAt, TrustSlot } from "./layout"
import { Polling } from "./polling"

/** The program is the fixed part's own, and what it does is bounded by the package: these are above what any needs. */
const limits = { work: 32000000, memory: 16000000 }
/** The longest pieces of heap that an order wants, octets, and how many are kept for it. */
const longPiece = 480
const longPieces = 4
const pollMs = 20
/** Seconds of a trial between two writes of what is left. */
const trialStep = 30
/** A module that was sound for so long is started anew after a fault; one that was not is put back. */
const soundSeconds = 300

/**
 * Which module runs on the MUC (README.md). Orders are carried out by programs in the sandbox (firmware/overlays), for which this is the host. The
 * heap has no room to prove a package beside TLS and the line, so that is done at the start of the program, before all else: an order, or the last block of a package, is
 * written down and has the program start anew (`restart`).
 */
export class MucSoftware implements SandboxHost {
    readonly calls = softwareCalls
    /** The program is to start anew, once what led to it is answered. */
    restart = false
    /** What runs. */
    module: Polling | undefined
    private slot = noSlot
    private version = 0
    private identification: Buffer = hex``
    private checksum: Buffer | undefined
    private trial = false
    /** Its confirmation raises the floor to this version. */
    private raises = 0
    /** Seconds it has run, and of its trial not written down yet. */
    private sound = 0
    private untold = 0
    /** Of the order under way. */
    private number = 0
    private values: Buffer[] = []
    private enter: ((detail: Buffer) => void) | undefined
    /** An order is carried out; the module's turn is under way: the heap has no room for both. */
    busy = false
    polling = false

    constructor(
        private readonly store: Store,
        private readonly machine: Machine,
        private readonly identity: Identity,
        private readonly holdings: Holdings,
        private readonly clock: MucClock,
        public logbook: Logbook,
        /** Ships with the image: runs where no slot does. */
        private readonly builtIn: BuiltIn,
    ) {}

    /** At the start of the program, while the heap is empty: judges what has come, then starts what is to run. */
    begin(): void {
        const self = this
        attempt(() => self.order(Order.Judge, hex``))
        tidy()
        attempt(() => self.order(Order.Start, hex``))
        tidy()
    }

    /** Carries out an order; `enter` tells the logbook, before anything changes. Throws what comes of it, `Busy` while another is carried out. */
    order(order: Order, value: Buffer, enter?: (detail: Buffer) => void): void {
        if (this.busy) fail(Code.Busy, -1, "one order at a time", "another")
        this.busy = true
        while (this.polling) platform().sleepMs(pollMs)
        this.enter = enter
        tidy()
        // Keeps long pieces of the heap free while what the program is made of takes the short ones.
        const room: Buffer[] = []
        for (let i = 0; i < longPieces; ++i) room.push(Buffer.alloc(longPiece))
        try {
            const program = order > Order.Start ? this.builtIn.orders : this.builtIn.check
            if (!program) fail(Code.SoftwareNone, -1, "a program for orders", "none")
            const box = new Sandbox(program.image, this, limits, program.called)
            box.start()
            while (room.length > 0) room.pop()
            box.call("onOrder", order, value)
            if (order === Order.Confirm) this.trial = false
        } finally {
            this.busy = false
        }
    }

    /** What stands in the slots, what runs, the floor, and which blocks have come. */
    children(name: Buffer): any[] {
        this.order(Order.Tell, hex``)
        const values = this.values
        const runs = this.module !== undefined
        return softwareChildren(
            name,
            values[0],
            runningOctets(runs ? this.slot : noSlot, runs ? this.version : 0, runs ? this.checksum : undefined),
            runs ? this.identification : hex``,
            values[1],
            values[2],
        )
    }

    /** So many seconds have passed. */
    passed(seconds: number): void {
        if (!this.module) return
        this.sound += seconds
        if (!this.trial) return
        this.untold += seconds
        if (this.untold < trialStep) return
        this.number = this.untold
        this.order(Order.Passed, hex``)
        this.untold = 0
    }

    /** The module did what it must not: started anew if it was sound for long, else withdrawn. */
    failed(code: number): void {
        this.number = code
        if (this.slot < noSlot && (this.sound < soundSeconds || this.trial)) this.order(Order.Withdraw, hex``)
        this.module = undefined
        // What ships with the image would fail again and again.
        this.restart = this.slot !== builtInSlot
    }

    log(line: string): void {
        console.log("software: " + line)
    }

    call(index: number, a: any, b: any, c: any): any {
        const custody = this.machine.custody
        if (index === 1 || index === 2) {
            const length = index === 1 ? b : b.length
            if (!(a >= 0 && length >= 0 && a + length <= SoftwareArea.Size))
                fail(Code.OutOfRange, a, "the area of software", "octets beside it")
            if (index === 1) return this.store.read(softwareAt + a, length)
            this.store.write(softwareAt + a, b)
        } else if (index === 3) return platform().sha256(a)
        else if (index === 4) return platform().verifyP256(a, b, c)
        else if (index === 5) return hashChain(a, b, c)
        else if (index === 6 || index === 7) {
            try {
                if (index === 6) this.signers(a, b)
                else this.run(a.own)
            } catch (e: any) {
                if (!(e instanceof PlombError) || isElsewhere(e.code)) throw e
                return e.code
            }
            return 0
        } else if (index === 8) this.logbook.append(a, none, undefined, b, c)
        else if (index === 9) {
            if (this.enter) this.enter(a)
        } else if (index === 10) this.values = a
        else if (index === 11)
            return a === 0 ? this.builtIn.version : a === 1 ? this.slot : a === 2 ? this.raises : this.number
        else if (index === 12) return this.identity.hardware().toString("utf8")
        else if (index === 13) return custody.publicKey()
        else if (index === 14) return custody.sign(a)
        else if (index === 15) return custody.counter()
        else if (index === 16) return custody.incrementCounter()
        else if (index === 18) fail(a, b)
        else if (index === 19) this.restart = true
        return undefined
    }

    /** The keys of the manufacturer, who alone signs here; to be `installed`, in force at present. */
    private signers(keys: Buffer[], installed: number): void {
        const holdings = this.holdings
        const manufacturer = installed
            ? holdings.inForce(TrustSlot.Manufacturer)
            : holdings.certificate(TrustSlot.Manufacturer)
        if (!manufacturer) fail(Code.CertificateMissing, -1, "the manufacturer", "none")
        if (installed && this.clock.nowSeconds() > manufacturer.notAfter)
            fail(Code.ChainExpired, -1, "a manufacturer whose certificate holds", "one that ended")
        const found = manufacturerKeys(manufacturer)
        for (let i = 0; i < found.length; ++i) {
            keys.push(found[i].kid)
            keys.push(found[i].key)
        }
    }

    private run(given: any): void {
        const program: Program = given.slot === builtInSlot ? this.builtIn : given
        this.module = undefined
        this.slot = given.slot
        this.trial = given.trial === true
        const module = new Polling(program)
        this.version = program.version
        this.raises = program.floor
        this.identification = nameOf(program)
        this.checksum = platform().sha256([program.image])
        this.sound = 0
        this.module = module
    }
}

/** A fault of the store or of a part is told and ends nothing but this. */
function attempt(what: () => void): void {
    try {
        what()
    } catch (e: any) {
        if (!(e instanceof PlombError)) throw e
        console.log("software " + e.message)
    }
}
