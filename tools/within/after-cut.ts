import { createHash } from "node:crypto"
import { RecordRing } from "../../firmware/core/journal.ts"
import { type Logbook, logEntrySize } from "../../firmware/core/logbook.ts"
import { SlotState, type Slots, slotCount } from "../../firmware/core/slots.ts"
import { journalAt, journalCount, journalSize } from "../../firmware/meter/layout.ts"
import type { BuiltIn } from "../../hal/machine.ts"
import { blocksOf } from "../package/delivery.ts"
import { Package } from "../package/package.ts"
import { type MeterInNode, unitsPerSecond } from "./meter.ts"

const registers = [0, 1, 2, 3, 4, 9]

/** What a meter had shown, entered and signed when its power went. */
export interface Shown {
    registers: number[]
    entries: number
    pagination: number
}

/** Looks at a meter whose power has just gone: what it knew was durable. */
export function shownBy({ meter, functions }: MeterInNode): Shown {
    return {
        registers: registers.map(each => meter.registers.register(each)),
        entries: functions.metrologicalLog.newest(),
        pagination: meter.issuer.pagination(),
    }
}

/** What a meter may run: each package of the play by the hash of its file, proved once, and what ships. */
export interface Proved {
    builtIn: BuiltIn
    files: Map<string, Buffer>
}

/** What is wrong with a meter that was started after a power cut; empty where all is as it must be. */
export function faultsOf(device: MeterInNode, before: Shown, proved: Proved): string[] {
    return [
        ...readingFaults(device, before),
        ...logFaults(device.functions.metrologicalLog, before.entries),
        ...slotFaults(device.software.slots, proved.files),
        ...runningFaults(device, proved),
    ]
}

function readingFaults({ meter, store }: MeterInNode, before: Shown): string[] {
    const faults: string[] = []
    registers.forEach((register, i) => {
        const now = meter.registers.register(register)
        if (now < before.registers[i]) faults.push(`register ${register} went back: ${before.registers[i]} to ${now}`)
        if (now > before.registers[i] + 2 * unitsPerSecond) faults.push(`register ${register} leapt to ${now}`)
    })
    const ring = new RecordRing(store, journalAt, journalCount, journalSize)
    if (ring.damaged(true)) faults.push(`${ring.torn} damaged records of the journal`)
    // The oldest one may have been in the midst of its replacement.
    const oldest = Math.max(1, ring.newest - journalCount + 2)
    for (let sequence = oldest; sequence < ring.newest; ++sequence)
        if (!ring.read(sequence)) faults.push(`record ${sequence} of the journal is missing`)
    const pagination = meter.issuer.pagination()
    if (pagination < before.pagination) faults.push(`pagination went back: ${before.pagination} to ${pagination}`)
    return faults
}

/** What is wrong with a log that had so many `entries`. */
export function logFaults(log: Logbook, entries: number): string[] {
    const faults: string[] = []
    const newest = log.newest()
    if (newest < entries) faults.push(`entries of the logbook are gone: ${entries} to ${newest}`)
    let previous: Buffer | undefined
    for (let number = log.head().readUInt32BE(4); number <= newest; ++number) {
        const entry = log.read(number)
        if (!entry) faults.push(`entry ${number} of the logbook is missing`)
        else if (previous && !entry.subarray(logEntrySize - 32).equals(sha256(previous)))
            faults.push(`entry ${number} of the logbook does not name the one before`)
        previous = entry
    }
    return faults
}

/** What is wrong with slots: of each state in use one at most, and what they hold is what was sent. */
export function slotFaults(slots: Slots, files: Map<string, Buffer>): string[] {
    const faults: string[] = []
    const states = Array.from({ length: slotCount }, (_, slot) => slots.state(slot))
    for (const single of [SlotState.Receiving, SlotState.Trial, SlotState.Active, SlotState.Former])
        if (states.filter(each => each === single).length > 1) faults.push(`more than one slot is ${SlotState[single]}`)
    states.forEach((state, slot) => {
        if (state === SlotState.Empty || state === SlotState.Failed) return
        const name = slots.digest(slot).toString("hex")
        const file = files.get(name)
        const content = slots.read(slot, 0, slots.length(slot))
        if (!file) faults.push(`slot ${slot + 1} names a package that nobody sent`)
        else if (state === SlotState.Receiving) {
            const marks = slots.blocks()
            blocksOf(file).forEach((block, i) => {
                const there = content.subarray(i * 1024, i * 1024 + block.length)
                if (marks[i] === 1 && !there.equals(block)) faults.push(`block ${i + 1} is marked and not there`)
            })
        } else if (!content.equals(file)) faults.push(`slot ${slot + 1} is ${SlotState[state]} with other contents`)
    })
    return faults
}

/** Is what measures the one that the slots say, of a proved package, and not below the floor? */
function runningFaults({ meter, software }: MeterInNode, { builtIn, files }: Proved): string[] {
    const { rule } = meter
    if (!rule) return ["nothing measures"]
    const { slots, floor } = software
    const trial = slots.find(SlotState.Trial)
    const slot = trial >= 0 ? trial : slots.find(SlotState.Active)
    const file = slot < 0 ? undefined : files.get(slots.digest(slot).toString("hex"))
    const image = slot < 0 ? builtIn.image : file ? Package.read(file).image : Buffer.alloc(0)
    const faults: string[] = []
    if (!sha256(image).equals(Buffer.from(rule.checksum)))
        faults.push(`${rule.identification} runs, which slot ${slot + 1} does not hold`)
    const version = slot < 0 ? builtIn.version : slots.version(slot)
    if (version < floor.value()) faults.push(`${rule.identification} runs below the floor`)
    return faults
}

function sha256(octets: Uint8Array): Buffer {
    return createHash("sha256").update(octets).digest()
}
