import type { BuiltIn } from "../../hal/machine"
import { Code, fail, PlombError } from "../core/errors"
import { Floor } from "../core/floor"
import { Event } from "../core/logbook"
import { cut, numberBE, type OctetSource, sameOctets, tidy } from "../core/octets"
import type { Manifest } from "../core/package"
import { type PackageTrust, packageKeys } from "../core/package-trust"
import { SlotState, Slots } from "../core/slots"
import {
    builtInSlot,
    isElsewhere,
    mustSuit,
    noSlot,
    type Program,
    putBack,
    runningOctets,
    softwareChildren,
} from "../core/software"
import type { Store } from "../core/store"
import { loadImage, type Proved, provePackage } from "../sandbox/package-check"
import { floorAt, packagesAt, receivingAt, softwareAt, TrustSlot } from "./layout"
import type { Meter, RuleKeeper } from "./meter"
import { Module } from "./module"
import { defaultMetering } from "./parameters"

/** Seconds of a trial between two writes of what is left. */
const trialStep = 30
/** Seconds until what takes long begins, so that the answer to what led to it has left the line; and between two tries where nothing may run. */
const restSeconds = 2
const noneSeconds = 10
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
    private slot = noSlot
    /** Seconds it has run, and of its trial not written down yet. */
    private sound = 0
    private untold = 0
    /** One is being proved, which takes half of the heap: nothing else is answered meanwhile. */
    working = false
    /** Code of the fault told last: each is told once. */
    private told = 0
    /** Something may have come that is to be judged; the slot that was verified before the start and is to be activated now. */
    private due = true
    private wanted = -1
    /** Seconds until then. */
    private rest = 0
    /** The package whose signatures were proved last in this run of the program, and its SHA-256. */
    private proved: Proved | undefined
    private provedDigest: Buffer = hex``

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

    /** A package is to come (`Slots.announce`). */
    announce(value: Buffer): void {
        this.slots.announce(value)
        this.later()
    }

    /** A block of it (`Slots.block`). The whole is judged soon; that takes long, and what comes of it stands in its slot. */
    block(value: Buffer): void {
        this.slots.block(value)
        this.later()
    }

    /**
     * Puts a verified package on trial, once certificates, image and self-test were found good again; `enter` tells the logbook before. Signatures were proved
     * since the start; where not, that is done soon, and this is `Busy`.
     */
    activate(digest: Buffer, enter: (detail: Buffer) => void): void {
        const slot = this.slots.named(digest, SlotState.Verified)
        const proved = this.proved
        if (!proved || !sameOctets(this.provedDigest, digest)) {
            // Who asks again does not put it off.
            if (this.wanted !== slot) this.later()
            this.wanted = slot
            fail(Code.Busy, -1, "a package proved since the start", "one that is being proved")
        }
        let program: Program
        let module: Module
        try {
            packageKeys(proved.certificates, true, this.trust(true))
            program = this.load(slot, proved.manifest, true)
            module = this.make(program, this.meter.parameters.metering())
        } catch (e: any) {
            if (e instanceof PlombError && !isElsewhere(e.code)) this.slots.fail(slot, e.code)
            throw e
        }
        enter(digest)
        this.slots.begin(slot)
        this.slots.start()
        this.take(program, module, slot)
        this.rest = restSeconds
    }

    /** What is on trial stays; only now the floor rises. */
    confirm(digest: Buffer, enter: (detail: Buffer) => void): void {
        const slot = this.slots.named(digest, SlotState.Trial)
        if (slot !== this.slot) fail(Code.SlotState, -1, "that it runs", "another")
        enter(digest)
        this.slots.confirm(slot)
        if (this.running) this.floor.raise(this.running.floor)
    }

    /** This package goes, on trial or active, and what ran before it runs again, unless that is below the floor. */
    putBack(digest: Buffer, enter: (detail: Buffer) => void): void {
        putBack(this.slots, digest, this.builtIn.version, this.floor.value(), enter)
        this.stop()
        this.rest = restSeconds
    }

    /** Starts what measures anew with these parameters; `store` keeps them, once its self-test was good. Throws what that finds, with nothing changed. */
    reload(metering: Buffer, store: () => void): void {
        const r = this.running
        const module = r ? this.make(r, metering) : undefined
        if (this.running !== r) fail(Code.Busy, -1, "software that stands still", "a change")
        store()
        if (r && module) this.take(r, module, this.slot)
    }

    /** What stands in the slots, what runs, the floor, and which blocks have come: octets as in README.md. */
    children(name: Buffer): any[] {
        const rule = this.meter.rule
        const slots = this.slots
        return softwareChildren(
            name,
            slots.octets(),
            runningOctets(rule ? this.slot : noSlot, this.version(), rule ? rule.checksum : undefined),
            rule ? rule.identification : hex``,
            numberBE(4, this.floor.value()),
            slots.blocks(),
        )
    }

    /** A second has been counted, or there is nothing that counts. What came is judged here: nothing is to be counted meanwhile. */
    secondOver(): void {
        if (this.running) {
            this.sound += 1
            if (this.slots.find(SlotState.Trial) === this.slot && ++this.untold >= trialStep) {
                if (!this.slots.spend(this.untold)) this.end(Code.SoftwareUnconfirmed)
                this.untold = 0
            }
        }
        if (this.rest > 0) {
            this.rest -= 1
            return
        }
        if (this.meter.answering) return
        if (!this.running) this.start()
        // Without a time nobody can say whose certificates hold.
        if (this.due && this.meter.certificates.utcSeconds() > 0) this.judgeWhatCame()
    }

    /** What measures did what it must not: started anew if it was sound for long, else withdrawn. */
    ruleFailed(code: number): void {
        if (isElsewhere(code)) return
        if (this.sound < soundSeconds || this.slots.find(SlotState.Trial) === this.slot) this.end(code)
        else this.stop()
    }

    /** Starts what is to run. What does not hold is withdrawn, until something runs or nothing is left. */
    start(): void {
        this.working = true
        try {
            for (;;) {
                const trial = this.slots.find(SlotState.Trial)
                const slot = trial >= 0 ? trial : this.slots.find(SlotState.Active)
                if (slot < 0) break
                this.slot = slot
                try {
                    if (trial >= 0 && !this.slots.start()) fail(Code.SoftwareStarts, -1, "fewer starts", "one more")
                    const manifest = this.prove(slot, false).manifest
                    const program = this.load(slot, manifest, false)
                    this.resume(program, slot)
                    // Where power went between the two.
                    if (trial < 0) this.floor.raise(program.floor)
                    return
                } catch (e: any) {
                    if (!(e instanceof PlombError) || isElsewhere(e.code) || e.code === Code.FloorDamaged) throw e
                    this.end(e.code)
                }
            }
            this.slot = builtInSlot
            const builtIn = this.builtIn
            if (builtIn.version < this.floor.value()) fail(Code.SoftwareNone, -1, "software above the floor", "none")
            this.resume(builtIn, builtInSlot)
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            this.rest = noneSeconds
            if (this.told !== e.code) console.log(e.message)
            this.tell(e.code)
        } finally {
            this.working = false
        }
    }

    private later(): void {
        this.due = true
        this.rest = restSeconds
    }

    /** Judges the package that has come whole, or the one that was verified before this start. */
    private judgeWhatCame(): void {
        const slots = this.slots
        let slot = slots.find(SlotState.Receiving)
        this.due = false
        this.working = true
        try {
            const whole = slots.whole()
            slot = whole >= 0 ? whole : this.wanted
            this.wanted = -1
            if (slot < 0 || (whole < 0 && slots.state(slot) !== SlotState.Verified)) return
            const proved = this.proveAside(slot)
            if (whole >= 0) {
                this.meter.tell(Event.softwareReceived, 0, cut(slots.digest(slot), 0, 16))
                slots.verified(slot, proved.manifest.version)
            }
            this.proved = proved
            this.provedDigest = slots.digest(slot)
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            if (isElsewhere(e.code)) {
                this.due = true
                return
            }
            this.meter.tell(Event.failed, e.code, slots.digest(slot))
            slots.fail(slot, e.code)
        } finally {
            this.working = false
        }
    }

    private take(program: Program, module: Module, slot: number): void {
        this.running = program
        this.slot = slot
        this.sound = 0
        this.told = 0
        this.meter.rule = module
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
        this.meter.tell(Event.softwareWithdrawn, code, this.slots.digest(this.slot))
        this.slots.fail(this.slot, code)
    }

    /** A reason why nothing runs: each is entered once, not every second. */
    private tell(code: number): void {
        if (this.told !== code && !isElsewhere(code)) this.meter.tell(Event.failed, code, hex``)
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

    /** Proves and loads what is to be installed. What measures stands aside meanwhile: the heap has no room for both. The front end keeps what is drawn for half a minute. */
    private proveAside(slot: number): Proved {
        const r = this.running
        const sound = this.sound
        const rule = this.meter.rule
        if (rule) this.meter.rule = { identification: rule.identification, checksum: rule.checksum, count: () => {} }
        try {
            const proved = this.prove(slot, true)
            this.load(slot, proved.manifest, true)
            return proved
        } finally {
            if (r && this.running === r) this.resumeAfter(r, sound)
        }
    }

    /** What stood aside goes on; a fault of it is not one of what was judged. */
    private resumeAfter(r: Program, sound: number): void {
        try {
            this.take(r, this.make(r, this.meter.parameters.metering()), this.slot)
            this.sound = sound
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            this.stop()
        }
    }

    private source(slot: number): OctetSource {
        const slots = this.slots
        return (from, length) => slots.read(slot, from, length)
    }

    /** Proves who signed. To be `installed`, signers must be valid at present; what was installed runs on when their certificates end. */
    private prove(slot: number, installed: boolean): Proved {
        const self = this
        if (this.meter.face) this.meter.face.show(true)
        // What is proved wants long pieces of the heap.
        tidy()
        return provePackage(this.builtIn.check, this.source(slot), this.slots.length(slot), () => self.trust(installed))
    }

    /** Loads the image of a package, and judges whether it may run here. To be `installed`, its version must be newer than what runs. */
    private load(slot: number, manifest: Manifest, installed: boolean): Program {
        const loaded = loadImage(this.source(slot), this.slots.length(slot), manifest)
        if (manifest.component !== "meter" || !manifest.metrological || manifest.approval === "")
            fail(Code.SoftwareComponent, -1, "approved software of a meter", manifest.component)
        mustSuit(manifest, this.meter.identity.hardware(), installed ? this.version() : -1, this.floor.value())
        return {
            image: loaded.image,
            called: loaded.called,
            name: manifest.name,
            version: manifest.version,
            floor: manifest.floor,
        }
    }
}
