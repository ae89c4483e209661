import { Code, fail, PlombError } from "../core/errors"
import { Floor } from "../core/floor"
import { Event } from "../core/logbook"
import { cut, join, numberBE } from "../core/octets"
import { type Manifest, readPackage, verifyPackage } from "../core/package"
import { SlotState, Slots } from "../core/slots"
import { childName, octetsLeaf } from "../core/sml-parameter"
import type { Store } from "../core/store"
import { floorAt, packagesAt, receivingAt, softwareAt, TrustSlot } from "./layout"
import type { Meter } from "./meter"
import { Module } from "./module"

/** DeviceScript 2.16.4, as versions stand in a manifest. */
const runtime = 0x021004

/** In place of a slot: the module that ships with the image, and none. */
const builtInSlot = 255
const noSlot = 254
/** Seconds of a trial between two writes of what is left. */
const trialStep = 30
/** A module that was sound for so long is started anew after a fault; one that was not is put back. */
const soundSeconds = 300

/**
 * Which module measures: what comes into the slots, what is judged, tried, confirmed and put back (firmware/meter/README.md). What may not
 * run never does, and what ran before goes on.
 */
export class Software {
    readonly slots: Slots
    readonly floor: Floor
    /** Told of what no command asked for. */
    onEvent: (event: Event, code: number, detail: Buffer) => void = () => {}
    private running: Made | undefined
    private slot = noSlot
    /** Seconds it has run, and of its trial not written down yet. */
    private sound = 0
    private untold = 0
    /** One is being started or judged: a second one waits. */
    private changing = false
    /** Code of the fault told last: each is told once. */
    private told = 0

    constructor(
        store: Store,
        private readonly meter: Meter,
    ) {
        this.slots = new Slots(store, softwareAt, receivingAt, packagesAt)
        this.floor = new Floor(store, floorAt, meter.machine.custody, () => meter.custody())
        const self = this
        meter.onFault = code => self.fault(code)
        meter.onSecond = () => self.second()
    }

    /** A block of the package announced (`slots`); the last one has the whole judged. Throws what is wrong with block or package. */
    block(value: Buffer): void {
        const slot = this.slots.block(value)
        if (slot < 0) return
        try {
            const version = this.judge(this.slots.read(slot), true).version
            this.onEvent(Event.softwareReceived, 0, cut(this.slots.digest(slot), 0, 16))
            this.slots.verified(slot, version)
        } catch (e: any) {
            if (!(e instanceof PlombError) || isPart(e.code)) throw e
            this.onEvent(Event.failed, e.code, this.slots.digest(slot))
            this.slots.fail(slot, e.code)
            throw e
        }
    }

    /** Puts a verified package on trial, once it was judged again and its self-test is good; `enter` tells the logbook before. */
    activate(digest: Buffer, enter: (detail: Buffer) => void): void {
        const slot = this.slots.named(digest, SlotState.Verified)
        if (this.changing) fail(Code.Busy, -1, "software that stands still", "a change")
        this.changing = true
        try {
            let made: Made
            try {
                made = this.made(slot, true)
            } catch (e: any) {
                if (e instanceof PlombError && !isPart(e.code)) this.slots.fail(slot, e.code)
                throw e
            }
            enter(digest)
            this.slots.begin(slot)
            this.slots.start()
            this.take(made, slot)
        } finally {
            this.changing = false
        }
    }

    /** What is on trial stays; only now the floor rises. */
    confirm(digest: Buffer, enter: (detail: Buffer) => void): void {
        const slot = this.slots.named(digest, SlotState.Trial)
        if (slot !== this.slot) fail(Code.SlotState, -1, "that it runs", "another")
        enter(digest)
        this.slots.confirm(slot)
        if (this.running) this.floor.raise(this.running.floor)
    }

    /** What ran before runs again, unless it is below the floor. */
    putBack(enter: (detail: Buffer) => void): void {
        const trial = this.slots.find(SlotState.Trial)
        const slot = trial >= 0 ? trial : this.slots.find(SlotState.Active)
        if (slot < 0) fail(Code.SlotState, -1, "software in a slot", "the module that ships")
        const before = this.slots.find(trial >= 0 ? SlotState.Active : SlotState.Former)
        const builtIn = this.meter.machine.module
        const version = before >= 0 ? this.slots.version(before) : builtIn ? builtIn.version : 0
        if (version < this.floor.value()) fail(Code.SoftwareFloor, -1, "a version above the floor", "" + version)
        enter(this.slots.digest(slot))
        this.slots.fail(slot, Code.SoftwarePutBack)
        this.stop()
    }

    /** Starts what measures anew, with the parameters of this moment. Throws what its self-test finds; then it measures on as before. */
    reload(): void {
        const r = this.running
        if (r) this.take(this.make(r.image, r.name, r.module.version, r.floor), this.slot)
    }

    /** What stands in the slots, what runs, the floor, and which blocks have come: octets as in README.md. */
    children(name: Buffer): any[] {
        const module = this.running ? this.running.module : undefined
        const version = module ? module.version : 0
        const checksum = module ? module.checksum : Buffer.alloc(32)
        return [
            octetsLeaf(childName(name, 1), this.slots.octets()),
            octetsLeaf(
                childName(name, 2),
                join([Buffer.from([module ? this.slot : noSlot]), numberBE(4, version), checksum]),
            ),
            octetsLeaf(childName(name, 3), module ? module.identification : hex``),
            octetsLeaf(childName(name, 4), numberBE(4, this.floor.value())),
            octetsLeaf(childName(name, 5), this.slots.blocks()),
        ]
    }

    /** A second has been counted, or there is nothing that counts. */
    private second(): void {
        if (this.changing) return
        if (!this.running) {
            this.start()
            return
        }
        this.sound += 1
        if (this.slots.find(SlotState.Trial) !== this.slot) return
        this.untold += 1
        if (this.untold < trialStep) return
        if (!this.slots.spend(this.untold)) this.end(Code.SoftwareUnconfirmed)
        this.untold = 0
    }

    /** What measures did what it must not: started anew if it was sound for long, else withdrawn. */
    private fault(code: number): void {
        if (isPart(code)) return
        if (this.sound < soundSeconds || this.slots.find(SlotState.Trial) === this.slot) this.end(code)
        else this.stop()
    }

    /** Starts what is to run. What does not hold is withdrawn, until something runs or nothing is left. */
    start(): void {
        this.changing = true
        try {
            for (;;) {
                const trial = this.slots.find(SlotState.Trial)
                const slot = trial >= 0 ? trial : this.slots.find(SlotState.Active)
                if (slot < 0) break
                this.slot = slot
                try {
                    if (trial >= 0 && !this.slots.start()) fail(Code.SoftwareStarts, -1, "fewer starts", "one more")
                    const made = this.made(slot, false)
                    this.take(made, slot)
                    // Where power went between the two.
                    if (trial < 0) this.floor.raise(made.floor)
                    return
                } catch (e: any) {
                    if (!(e instanceof PlombError) || isPart(e.code) || e.code === Code.FloorDamaged) throw e
                    this.end(e.code)
                }
            }
            this.slot = builtInSlot
            const builtIn = this.meter.machine.module
            if (!builtIn || builtIn.version < this.floor.value())
                fail(Code.SoftwareNone, -1, "software above the floor", "none")
            this.take(this.make(builtIn.image, builtIn.name, builtIn.version, 0), builtInSlot)
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            this.tell(e.code)
        } finally {
            this.changing = false
        }
    }

    private take(made: Made, slot: number): void {
        this.running = made
        this.slot = slot
        this.sound = 0
        this.untold = 0
        this.told = 0
        this.meter.rule = made.module
    }

    private stop(): void {
        this.running = undefined
        this.meter.rule = undefined
    }

    /** What runs, or was to, is withdrawn for this reason; the next second starts what was before. */
    private end(code: number): void {
        this.stop()
        if (this.slot >= noSlot) {
            this.tell(code)
            return
        }
        this.onEvent(Event.softwareWithdrawn, code, this.slots.digest(this.slot))
        this.slots.fail(this.slot, code)
    }

    /** A reason why nothing runs: each is entered once, not every second. */
    private tell(code: number): void {
        if (this.told !== code && !isPart(code)) this.onEvent(Event.failed, code, hex``)
        this.told = code
    }

    /** The module of a slot, judged, its self-test good. */
    private made(slot: number, installed: boolean): Made {
        const octets = this.slots.read(slot)
        const manifest = this.judge(octets, installed)
        const image = cut(octets, octets.length - manifest.size, manifest.size)
        return this.make(image, manifest.name, manifest.version, manifest.floor)
    }

    private make(image: Buffer, name: string, version: number, floor: number): Made {
        const module = new Module(this.meter, image, name, version)
        module.selfTest()
        return { module: module, image: image, name: name, floor: floor }
    }

    /**
     * Proves a package and judges whether it may run here. To be `installed`, signers must be valid at present and the version newer than
     * what runs; what was installed runs on when its signers' certificates end.
     */
    private judge(octets: Buffer, installed: boolean): Manifest {
        const certificates = this.meter.certificates
        const parts = readPackage(octets)
        const manifest = parts.manifest
        const manufacturer = certificates.held(TrustSlot.Manufacturer)
        const institute = certificates.held(TrustSlot.InstituteRoot)
        if (!manufacturer || !institute) fail(Code.CertificateMissing, -1, "manufacturer and institute", "none")
        const atSeconds = installed ? certificates.utcSeconds() : 0
        if (installed && atSeconds === 0) fail(Code.TimeNotTrusted, -1, "a time that is set", "another")
        verifyPackage(octets, parts, {
            manufacturer: manufacturer,
            institute: institute,
            crls: installed ? certificates.crls() : [],
            atSeconds: atSeconds,
        })
        if (manifest.component !== "meter" || !manifest.metrological || manifest.approval === "")
            fail(Code.SoftwareComponent, -1, "approved software of a meter", manifest.component)
        const hardware = this.meter.identity.hardware()
        if (manifest.hardware !== hardware) fail(Code.SoftwareHardware, -1, hardware, manifest.hardware)
        if (manifest.runtime > runtime) fail(Code.SoftwareRuntime, -1, "runtime " + runtime, "" + manifest.runtime)
        const version = this.running ? this.running.module.version : 0
        if (installed && manifest.version <= version)
            fail(Code.SoftwareVersion, -1, "a version above " + version, "" + manifest.version)
        if (manifest.version < this.floor.value())
            fail(Code.SoftwareFloor, -1, "a version above the floor", "" + manifest.version)
        return manifest
    }
}

/** A module that may run; its confirmation raises the floor to `floor`. */
interface Made {
    module: Module
    image: Buffer
    name: string
    floor: number
}

/** A fault of a part on the bus or of the store says nothing about the software: the next second tries again. */
function isPart(code: number): boolean {
    return code >= 4600 && code < 4800
}
