import "../node/platform.ts"
import { Floor } from "../../firmware/core/floor.ts"
import { Logbook } from "../../firmware/core/logbook.ts"
import { Slots } from "../../firmware/core/slots.ts"
import { softwarePath } from "../../firmware/core/sml-parameter.ts"
import { SoftwareArea } from "../../firmware/core/software.ts"
import { MucClock } from "../../firmware/muc/clock.ts"
import { MucCommandTrust } from "../../firmware/muc/command-trust.ts"
import { Holdings } from "../../firmware/muc/holdings.ts"
import { Identity, Step } from "../../firmware/muc/identity.ts"
import { logbookAt, logbookEntries, softwareAt, TrustSlot } from "../../firmware/muc/layout.ts"
import { MucSoftware } from "../../firmware/muc/software.ts"
import { SoftwareCustody } from "../../hal/keys-software.ts"
import type { BuiltIn, Machine } from "../../hal/machine.ts"
import type { RealTimeClock } from "../../hal/ports.ts"
import type { CutStore } from "./cut-store.ts"
import type { Clock } from "./meter.ts"

const deviceId = Buffer.from("0000000000000001", "hex")

/**
 * What keeps the software of a MUC (firmware/muc/modules.ts), put together in Node: a FRAM that can lose its power, keys kept in it, no line and no
 * network. It starts anew where its program does.
 */
export class MucInNode {
    software!: MucSoftware
    logbook!: Logbook
    holdings!: Holdings
    /** Starts since the power came. */
    starts = 0

    constructor(
        public store: CutStore,
        private readonly builtIn: BuiltIn,
        private readonly clock: Clock,
    ) {}

    /** Powers it, or has its program start anew. */
    start(): void {
        this.starts += 1
        const { store } = this
        const rtc = {
            read: () => ({ utcSeconds: Math.floor(this.clock.ms / 1000), running: true }),
        } as unknown as RealTimeClock
        const identity = new Identity(store, deviceId)
        const time = new MucClock(rtc, identity)
        this.holdings = new Holdings(store)
        this.logbook = new Logbook(store, logbookAt, logbookEntries, "ring", new MucCommandTrust(this.holdings, time))
        const machine = { custody: new SoftwareCustody(store) } as unknown as Machine
        this.software = new MucSoftware(store, machine, identity, this.holdings, time, this.logbook, this.builtIn)
        this.software.begin()
    }

    /** Starts anew for as long as an order asks for it. */
    settle(): void {
        while (this.software.restart) this.start()
    }

    /** Makes a bare board a MUC of this hardware with the manufacturer's certificate. */
    install(hardware: string, manufacturer: Buffer): void {
        const custody = new SoftwareCustody(this.store)
        const identity = new Identity(this.store, deviceId)
        identity.produce(Buffer.from(hardware))
        custody.configure()
        custody.generateKey()
        const { trust } = new Holdings(this.store)
        trust.writePart(TrustSlot.Manufacturer, 0, manufacturer)
        trust.close(TrustSlot.Manufacturer, manufacturer.length)
        identity.reach(Step.Installed)
    }

    /** What stands in the slots now. */
    slots(): Slots {
        // Records are bound to their places, and those are places in the area.
        const area = {
            size: SoftwareArea.Size,
            read: (at: number, length: number) => this.store.read(softwareAt + at, length),
            write: (at: number, octets: Buffer) => this.store.write(softwareAt + at, octets),
        }
        return new Slots(area, SoftwareArea.Slots, SoftwareArea.Receiving, SoftwareArea.Packages, SoftwareArea.SlotSize)
    }

    /** SHA-256 of the image that runs, zeros where none does. */
    checksum(): Buffer {
        const [, [, runs]] = this.software.children(softwarePath)[1]
        return Buffer.from(runs[1].subarray(5))
    }

    /** The version below which nothing runs. */
    floor(): number {
        const custody = new SoftwareCustody(this.store)
        return new Floor(this.store, softwareAt + SoftwareArea.Floor, custody, () => custody).value()
    }

    /** Entries of the logbook, oldest first: event and code. */
    entries(): { event: number; code: number }[] {
        const entries: { event: number; code: number }[] = []
        for (let number = 1; number <= this.logbook.newest(); ++number) {
            const entry = this.logbook.read(number)
            if (entry) entries.push({ event: entry[13], code: entry.readUInt16BE(16) })
        }
        return entries
    }
}
