import type { BuiltIn } from "../../hal/machine"
import { Code, fail, PlombError } from "../core/errors"
import { Floor } from "../core/floor"
import { Event } from "../core/logbook"
import { cut, join, numberBE } from "../core/octets"
import type { PackageTrust } from "../core/package-trust"
import { SlotState, Slots } from "../core/slots"
import { childName, octetsLeaf } from "../core/sml-parameter"
import type { Store } from "../core/store"
import { type Checked, checkPackage } from "../sandbox/package-check"
import { floorAt, packagesAt, receivingAt, softwareAt, TrustSlot } from "./layout"
import type { Meter, RuleKeeper } from "./meter"
import { Module, type Program } from "./module"
import { defaultMetering } from "./parameters"

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
export class Software implements RuleKeeper {
    readonly slots: Slots
    readonly floor: Floor
    private running: Program | undefined
    private module: Module | undefined
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
        /** Ships with the image: runs where no slot does. */
        private readonly builtIn: BuiltIn,
    ) {
        this.slots = new Slots(store, softwareAt, receivingAt, packagesAt)
        this.floor = new Floor(store, floorAt, meter.machine.custody, () => meter.custody())
        meter.keeper = this
    }

    /** A block of the package announced (`slots`); the last one has the whole judged. Throws what is wrong with block or package. */
    block(value: Buffer): void {
        const slot = this.slots.block(value)
        if (slot < 0) return
        try {
            const version = this.judge(slot, true).version
            this.meter.tell(Event.softwareReceived, 0, cut(this.slots.digest(slot), 0, 16))
            this.slots.verified(slot, version)
        } catch (e: any) {
            if (!(e instanceof PlombError) || isPart(e.code)) throw e
            this.meter.tell(Event.failed, e.code, this.slots.digest(slot))
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
            let program: Program
            let module: Module
            try {
                program = this.judge(slot, true)
                module = this.make(program, this.meter.parameters.metering())
            } catch (e: any) {
                if (e instanceof PlombError && !isPart(e.code)) this.slots.fail(slot, e.code)
                throw e
            }
            enter(digest)
            this.slots.begin(slot)
            this.slots.start()
            this.take(program, module, slot)
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
        const builtIn = this.builtIn
        const version = before >= 0 ? this.slots.version(before) : builtIn.version
        if (version < this.floor.value()) fail(Code.SoftwareFloor, -1, "a version above the floor", "" + version)
        enter(this.slots.digest(slot))
        this.slots.fail(slot, Code.SoftwarePutBack)
        this.stop()
    }

    /** Starts what measures anew with these parameters; `store` keeps them, once its self-test was good. Throws what that finds, with nothing changed. */
    reload(metering: Buffer, store: () => void): void {
        const r = this.running
        const module = r ? this.make(r, metering) : undefined
        if (this.changing || this.running !== r) fail(Code.Busy, -1, "software that stands still", "a change")
        store()
        if (r && module) this.take(r, module, this.slot)
    }

    /** What stands in the slots, what runs, the floor, and which blocks have come: octets as in README.md. */
    children(name: Buffer): any[] {
        const module = this.module
        const values = [
            this.slots.octets(),
            join([
                Buffer.from([module ? this.slot : noSlot]),
                numberBE(4, this.version()),
                module ? module.checksum : Buffer.alloc(32),
            ]),
            module ? module.identification : hex``,
            numberBE(4, this.floor.value()),
            this.slots.blocks(),
        ]
        const children: any[] = []
        for (let i = 0; i < values.length; ++i) children.push(octetsLeaf(childName(name, i + 1), values[i]))
        return children
    }

    /** A second has been counted, or there is nothing that counts. */
    secondOver(): void {
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
    ruleFailed(code: number): void {
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
                    const program = this.judge(slot, false)
                    this.resume(program, slot)
                    // Where power went between the two.
                    if (trial < 0) this.floor.raise(program.floor)
                    return
                } catch (e: any) {
                    if (!(e instanceof PlombError) || isPart(e.code) || e.code === Code.FloorDamaged) throw e
                    this.end(e.code)
                }
            }
            this.slot = builtInSlot
            const builtIn = this.builtIn
            if (builtIn.version < this.floor.value()) fail(Code.SoftwareNone, -1, "software above the floor", "none")
            this.resume(builtIn, builtInSlot)
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            this.tell(e.code)
        } finally {
            this.changing = false
        }
    }

    private take(program: Program, module: Module, slot: number): void {
        this.running = program
        this.module = module
        this.slot = slot
        this.sound = 0
        this.told = 0
        this.meter.rule = module
    }

    private stop(): void {
        this.running = undefined
        this.module = undefined
        this.meter.rule = undefined
    }

    /** What runs, or was to, is withdrawn for this reason; the next second starts what was before. */
    private end(code: number): void {
        this.stop()
        if (this.slot >= noSlot) {
            this.tell(code)
            return
        }
        this.meter.tell(Event.softwareWithdrawn, code, this.slots.digest(this.slot))
        this.slots.fail(this.slot, code)
    }

    /** A reason why nothing runs: each is entered once, not every second. */
    private tell(code: number): void {
        if (this.told !== code && !isPart(code)) this.meter.tell(Event.failed, code, hex``)
        this.told = code
    }

    /** What measured before measures again, with the parameters of a new meter where it can not have those there are, rather than not at all. */
    private resume(program: Program, slot: number): void {
        const parameters = this.meter.parameters
        let module: Module
        try {
            module = this.make(program, parameters.metering())
        } catch (e: any) {
            if (!(e instanceof PlombError) || e.code !== Code.SoftwareSelfTest) throw e
            module = this.make(program, defaultMetering)
            this.meter.tell(Event.parameterSet, e.code, defaultMetering)
            parameters.setMetering(defaultMetering)
        }
        this.take(program, module, slot)
    }

    /** Version of what measures, 0 where nothing does. */
    private version(): number {
        return this.running ? this.running.version : 0
    }

    private make(program: Program, metering: Buffer): Module {
        const module = new Module(this.meter, program, metering)
        module.selfTest()
        return module
    }

    /** What packages are judged by. */
    private trust(installed: boolean): PackageTrust {
        const certificates = this.meter.certificates
        const manufacturer = installed
            ? certificates.held(TrustSlot.Manufacturer)
            : certificates.certificate(TrustSlot.Manufacturer)
        const institute = certificates.certificate(TrustSlot.InstituteRoot)
        if (!manufacturer || !institute) fail(Code.CertificateMissing, -1, "manufacturer and institute", "none")
        const atSeconds = installed ? certificates.utcSeconds() : 0
        if (installed && atSeconds === 0) fail(Code.TimeNotTrusted, -1, "a time that is set", "another")
        return {
            manufacturer: manufacturer,
            institute: institute,
            crls: installed ? certificates.crls() : [],
            atSeconds: atSeconds,
        }
    }

    /**
     * Proves a package and judges whether it may run here. To be `installed`, signers must be valid at present and the version newer than
     * what runs; what was installed runs on when its signers' certificates end.
     */
    private judge(slot: number, installed: boolean): Program {
        const self = this
        const slots = this.slots
        const r = this.running
        const sound = this.sound
        let checked: Checked
        // What measures stands aside: the heap has no room for both. The front end keeps what is drawn for half a minute.
        this.module = undefined
        this.meter.rule = undefined
        try {
            checked = checkPackage(
                this.builtIn.check,
                (from, size) => slots.read(slot, from, size),
                slots.length(slot),
                () => self.trust(installed),
            )
        } finally {
            if (r) this.take(r, this.make(r, this.meter.parameters.metering()), this.slot)
            this.sound = sound
        }
        const manifest = checked.manifest
        if (manifest.component !== "meter" || !manifest.metrological || manifest.approval === "")
            fail(Code.SoftwareComponent, -1, "approved software of a meter", manifest.component)
        const hardware = this.meter.identity.hardware()
        if (manifest.hardware !== hardware) fail(Code.SoftwareHardware, -1, hardware, manifest.hardware)
        if (manifest.runtime > runtime) fail(Code.SoftwareRuntime, -1, "runtime " + runtime, "" + manifest.runtime)
        const version = this.version()
        if (installed && manifest.version <= version)
            fail(Code.SoftwareVersion, -1, "a version above " + version, "" + manifest.version)
        if (manifest.version < this.floor.value())
            fail(Code.SoftwareFloor, -1, "a version above the floor", "" + manifest.version)
        return {
            image: checked.image,
            called: checked.called,
            name: manifest.name,
            version: manifest.version,
            floor: manifest.floor,
        }
    }
}

/** A fault of a part on the bus or of the store says nothing about the software: the next second tries again. */
function isPart(code: number): boolean {
    return code >= 4600 && code < 4800
}
