import "../node/platform.ts"
import { writeCsr } from "../../firmware/core/csr.ts"
import { installPlatform } from "../../firmware/core/platform.ts"
import { Answerer } from "../../firmware/meter/answer.ts"
import { produceIdentity } from "../../firmware/meter/calibration.ts"
import { Functions } from "../../firmware/meter/functions.ts"
import { Step } from "../../firmware/meter/identity.ts"
import { TrustSlot } from "../../firmware/meter/layout.ts"
import { Meter } from "../../firmware/meter/meter.ts"
import { Software } from "../../firmware/meter/software.ts"
import { SoftwareCustody } from "../../hal/keys-software.ts"
import type { BuiltIn, Machine } from "../../hal/machine.ts"
import type { EnergyFrontEnd, RealTimeClock } from "../../hal/ports.ts"
import { nodePlatform } from "../node/platform.ts"
import { nativeCurve } from "./curve.ts"
import type { CutStore } from "./cut-store.ts"

/** Energy of a second in 0.1 Wh, and in microwatt-seconds. */
export const unitsPerSecond = 10
const microwattSeconds = unitsPerSecond * 360_000_000

/** What the fixed part calls itself here; its checksum is of no build. */
export const fixedPart = { identification: "plomb-meter in Node", checksum: Buffer.alloc(32, 7) }

/** The time of a meter in Node, in milliseconds since 1970. */
export interface Clock {
    ms: number
}

/**
 * Has the firmware in this process go by `clock`. With `fast`, signatures are checked by Node's own curve, for those who prove order and
 * not arithmetic.
 */
export function installClock(clock: Clock | undefined, fast = false): void {
    installPlatform({
        ...nodePlatform,
        ...(fast ? nativeCurve() : {}),
        ...(clock && { millis: () => clock.ms }),
    })
}

/**
 * The meter's program (firmware/meter), put together in Node as `main.ts` does it: a FRAM that can lose its power, keys kept in it, a front
 * end with a constant load, no line. Nothing of it is a model but those parts.
 */
export class MeterInNode {
    readonly meter: Meter
    readonly software: Software
    readonly functions: Functions
    private readonly answerer: Answerer
    private readonly custody: SoftwareCustody
    /** Seconds of energy in the front end. */
    private waiting = 0

    /** Powers it; `module` is what ships with the image. */
    constructor(
        readonly store: CutStore,
        module: BuiltIn,
        private readonly clock: Clock,
    ) {
        this.custody = new SoftwareCustody(store)
        const machine = {
            custody: this.custody,
            spare: new SoftwareCustody(store, 0x00900),
            softwareIdentification: fixedPart.identification,
            softwareChecksum: fixedPart.checksum,
            sealOpen: () => false,
        } as unknown as Machine
        const frontEnd: EnergyFrontEnd = {
            start: () => {
                this.waiting = 0
            },
            takeEnergy: () => {
                const energy = this.waiting * microwattSeconds
                this.waiting = 0
                return energy
            },
            measure: () => ({
                millivolts: 230_000,
                milliamperes: 15_650,
                milliwatts: microwattSeconds / 1000,
                millihertz: 50_000,
                noLoad: false,
            }),
        }
        const rtc = {
            read: () => ({ utcSeconds: Math.floor(clock.ms / 1000), running: true }),
            set: () => {},
        } as unknown as RealTimeClock
        this.meter = new Meter(machine, store, frontEnd, rtc)
        this.software = new Software(store, this.meter, module)
        this.functions = new Functions(store, this.meter, this.software)
        this.meter.time.refresh()
        if (this.meter.identity.step() === Step.Calibrated) this.software.start()
        this.answerer = new Answerer(this.meter, this.functions)
    }

    /** A second of the clock, and the meter's work in it. */
    second(): void {
        this.clock.ms += 1000
        this.waiting += 1
        this.meter.tick()
    }

    /** The answer to a file on the line; undefined for silence. */
    answer(file: Buffer): Buffer | undefined {
        return this.answerer.answer(file)?.file
    }

    /**
     * Makes a bare board a meter: what calibration does, without its measurements. `certify` answers the certificate for a request; `held`
     * are those of calibration authority, institute's root, manufacturer and provider, DER.
     */
    async calibrate(
        serial: number,
        hardware: string,
        held: Buffer[],
        certify: (csr: Buffer, serverId: string) => Promise<Buffer>,
    ): Promise<void> {
        const { identity, trust, time } = this.meter
        produceIdentity(identity, serial, Buffer.from(hardware))
        this.custody.configure()
        this.custody.generateKey()
        const serverId = identity.serverId().toString("hex")
        const own = await certify(writeCsr(serverId, `${serial}`, this.custody), serverId)
        for (const [slot, der] of [own, ...held].entries()) {
            trust.writePart(TrustSlot.Meter + slot, 0, der)
            trust.close(slot, der.length)
        }
        this.custody.seal()
        identity.reach(Step.Calibrated)
        time.set(Math.floor(this.clock.ms / 1000))
        // As in calibration it has counted and signed before it is left alone.
        this.software.start()
        this.second()
        this.meter.issueList()
    }
}
