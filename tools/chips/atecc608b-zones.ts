/** Commands of the ATECC608B model on its memory: Read, Write, Lock, Counter, UpdateExtra. */
import { crc16 } from "./atecc608b-memory"
import { type AteccState, type Command, demand, Status } from "./atecc608b-state"

const ok = Uint8Array.of(Status.Success)

/** Offset and length an access means within `size` octets; 03 where it lies outside. */
function place(size: number, block: number, word: number, whole: boolean): { at: number; length: number } {
    const at = block * 32 + (whole ? 0 : word * 4)
    demand(at < size, Status.Parse)
    return { at, length: whole ? 32 : 4 }
}

function dataAddress(p2: number): { slot: number; block: number; word: number } {
    return { slot: (p2 >> 3) & 0x0f, block: p2 >> 8, word: p2 & 7 }
}

/** Read 02. */
export function read(state: AteccState, { p1, p2, data }: Command): Uint8Array {
    const { memory } = state
    const zone = p1 & 3
    const whole = (p1 & 0x80) !== 0
    demand(zone !== 3 && (p1 & 0x7c) === 0 && data.length === 0, Status.Parse)
    if (zone !== 2) {
        const octets = zone === 0 ? memory.config : memory.otp
        const { at, length } = place(octets.length, p2 >> 3, p2 & 7, whole)
        demand(zone === 0 || (memory.configLocked && memory.dataLocked), Status.Execution)
        return octets.slice(at, at + length)
    }
    const { slot, block, word } = dataAddress(p2)
    const octets = memory.slots[slot]
    const { at, length } = place(octets.length, block, word, whole)
    demand(memory.configLocked && memory.dataLocked, Status.Execution)
    const hidden = (memory.slotConfig(slot) & 0xc0) !== 0 || memory.isPrivate(slot)
    demand(!hidden, Status.Execution)
    // Octets past the end of the slot mean nothing.
    const out = new Uint8Array(length).fill(0xa5)
    out.set(octets.subarray(at, at + length))
    return out
}

/** Write 12, in clear. */
export function write(state: AteccState, { p1, p2, data }: Command): Uint8Array {
    const { memory } = state
    const zone = p1 & 3
    const whole = (p1 & 0x80) !== 0
    const encrypted = (p1 & 0x40) !== 0
    demand(zone !== 3 && (p1 & 0x3c) === 0, Status.Parse)
    demand(data.length === (whole ? 32 : 4) + (encrypted ? 32 : 0), Status.Parse)
    if (zone === 0) {
        const { at, length } = place(128, p2 >> 3, p2 & 7, whole)
        const fixed = at < 16 || (at < 88 && at + length > 84)
        demand(!memory.configLocked && !fixed && !encrypted, Status.Execution)
        memory.config.set(data, at)
        return ok
    }
    const { slot, block, word } = zone === 1 ? { slot: -1, block: p2 >> 3, word: p2 & 7 } : dataAddress(p2)
    const octets = zone === 1 ? memory.otp : memory.slots[slot]
    const { at, length } = place(octets.length, block, word, whole)
    demand(memory.configLocked && !encrypted, Status.Execution)
    if (!memory.dataLocked) demand(whole, Status.Execution)
    else demand(zone === 2 && lockedWrite(memory.slotConfig(slot), whole), Status.Execution)
    demand(zone === 1 || (!memory.slotLocked(slot) && !memory.isPrivate(slot)), Status.Execution)
    octets.set(data.subarray(0, Math.min(length, octets.length - at)), at)
    return ok
}

/** May a slot be written in clear after the data lock? Encrypted writes are not modelled. */
function lockedWrite(slotConfig: number, whole: boolean): boolean {
    const secret = (slotConfig & 0x80) !== 0
    return slotConfig >> 12 <= 1 && (whole || !secret)
}

/** Lock 17: configuration, data and OTP, or one slot. */
export function lock(state: AteccState, { p1, p2, data }: Command): Uint8Array {
    const { memory } = state
    const zone = p1 & 3
    const slot = (p1 >> 2) & 0x0f
    demand(data.length === 0 && zone !== 3 && (zone === 2 || slot === 0) && (p1 & 0x40) === 0, Status.Parse)
    const agrees = (octets: Uint8Array) => demand((p1 & 0x80) !== 0 || crc16(octets) === p2, Status.Execution)
    if (zone === 0) {
        demand(!memory.configLocked, Status.Execution)
        agrees(memory.config)
        memory.config[87] = 0
        return ok
    }
    demand(memory.configLocked, Status.Execution)
    if (zone === 1) {
        demand(!memory.dataLocked, Status.Execution)
        agrees(Buffer.concat([...memory.slots, memory.otp]))
        memory.config[86] = 0
        return ok
    }
    demand((memory.keyConfig(slot) & 0x20) !== 0 && !memory.slotLocked(slot), Status.Execution)
    agrees(memory.slots[slot])
    memory.lockSlot(slot)
    return ok
}

/** Counter 24: reads or increments. */
export function counter(state: AteccState, { p1, p2, data }: Command): Uint8Array {
    const { memory } = state
    demand(data.length === 0 && p1 <= 1 && p2 <= 1, Status.Parse)
    if (p1 === 1) demand(memory.configLocked && memory.increment(p2), Status.Execution)
    const out = Buffer.alloc(4)
    out.writeUInt32LE(memory.counter(p2))
    return new Uint8Array(out)
}

/** UpdateExtra 20: UserExtra or UserExtraAdd, once after the config lock. */
export function updateExtra(state: AteccState, { p1, p2, data }: Command): Uint8Array {
    const { memory } = state
    demand(data.length === 0 && p1 <= 1, Status.Parse)
    const at = 84 + p1
    demand(!memory.configLocked || memory.config[at] === 0, Status.Execution)
    memory.config[at] = p2 & 0xff
    return ok
}
