import { SwitchedRecord } from "../core/journal"
import { cut } from "../core/octets"
import type { Store } from "../core/store"
import { identityAt } from "./layout"

/** How far this MUC has come; each step is reached once, in this order. */
export enum Step {
    /** Nothing is known: a bare board. */
    Bare = 0,
    /** Hardware model and anchors written. */
    Produced = 1,
    /** The key's holder is configured and has made the key. */
    KeyMade = 2,
    /** Certificate chain installed and checked, clock set. */
    Certified = 3,
    /** Sealed: this is how it leaves the manufacturer. */
    Delivered = 4,
    /** Keys and password verifier are there; installation is closed. */
    Installed = 5,
    /** An order to erase it was given: nothing else is done until that is over. */
    Erasing = 6,
}

/** Longest hardware model, octets. */
export const mostHardware = 31

// The record: step, length of the hardware model, model.
const modelAt = 2
const recordSize = modelAt + mostHardware

/**
 * Which MUC this is, and how far it has come.
 *
 * @devsWhenUsed
 */
export class Identity {
    /** 05 and six octets in the place of a MAC (DIN 43863-5): the low ones of the device identifier. */
    readonly serverId: Buffer
    private readonly record: SwitchedRecord
    private readonly data: Buffer

    constructor(store: Store, deviceId: Buffer) {
        this.serverId = Buffer.alloc(7)
        this.serverId[0] = 0x05
        this.serverId.blitAt(1, deviceId, deviceId.length - 6, 6)
        this.record = new SwitchedRecord(store, identityAt, recordSize)
        this.data = this.record.load() || Buffer.alloc(recordSize)
    }

    step(): Step {
        return this.data[0]
    }

    /** Hardware model as the manufacturer wrote it. */
    hardware(): Buffer {
        const length = this.data[1]
        return cut(this.data, modelAt, length <= mostHardware ? length : 0)
    }

    /** Production: at most 31 octets of hardware model. */
    produce(hardware: Buffer): void {
        this.data[1] = hardware.length
        this.data.blitAt(modelAt, hardware, 0, hardware.length)
        this.save(Step.Produced)
    }

    /** Records that `step` is done; the one write that makes it so. Nothing where it was done before. */
    reach(step: Step): void {
        if (this.step() < step) this.save(step)
    }

    /** Back to a bare board. */
    forget(): void {
        this.data.fillAt(0, recordSize, 0)
        this.save(Step.Bare)
        this.record.settle()
    }

    private save(step: Step): void {
        const before = this.data[0]
        this.data[0] = step
        try {
            this.record.save(this.data)
        } catch (e: any) {
            this.data[0] = before
            throw e
        }
    }
}
