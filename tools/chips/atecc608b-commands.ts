/** Command table of the ATECC608B model, and the commands on random numbers, digests and the part itself. */
import { createHash } from "node:crypto"
import { ecdh, genKey, keyValid, sign, verify } from "./atecc608b-keys"
import { type AteccState, type Command, demand, Refusal, Status } from "./atecc608b-state"
import { counter, lock, read, updateExtra, write } from "./atecc608b-zones"

type Execute = (state: AteccState, command: Command) => Uint8Array

interface Entry {
    run: Execute
    /** Milliseconds in clock modes M0, M1, M2. */
    ms: [number, number, number]
    /** Uses P-256 arithmetic. */
    ecc?: boolean
}

const ok = Uint8Array.of(Status.Success)

/** A known command this model does not carry out. */
const refused: Execute = () => {
    throw new Refusal(Status.Execution)
}

function noise(state: AteccState): Uint8Array {
    if (state.faults.healthFailures) {
        state.faults.healthFailures--
        throw new Refusal(Status.Health)
    }
    if (state.memory.configLocked) return state.random(32)
    return Uint8Array.from({ length: 32 }, (_, i) => (i & 2 ? 0x00 : 0xff))
}

const random: Execute = (state, { p1, p2, data }) => {
    demand(p1 <= 1 && p2 === 0 && data.length === 0, Status.Parse)
    return noise(state)
}

const nonce: Execute = (state, { p1, p2, data }) => {
    const mode = p1 & 3
    if (mode < 2) {
        demand(p1 < 2 && data.length === 20 && (p2 & 0x7fff) === 0, Status.Parse)
        const out = noise(state)
        const hash = createHash("sha256").update(out).update(data)
        const value = new Uint8Array(hash.update(Uint8Array.of(0x16, p1, 0x00)).digest())
        state.volatile.tempKey = { data: value, random: true }
        return p2 & 0x8000 ? value.slice() : out
    }
    const length = p1 & 0x20 ? 64 : 32
    const target = p1 >> 6
    demand(mode === 3 && (p1 & 0x1c) === 0 && p2 === 0 && target !== 3, Status.Parse)
    demand(data.length === length && !(target === 2 && length === 64), Status.Parse)
    const register = { data: data.slice(), random: false }
    if (target === 0) state.volatile.tempKey = register
    else if (target === 1) state.volatile.msgDigBuf = register
    else state.volatile.altKeyBuf = register
    return ok
}

const info: Execute = (state, { p1, p2, data }) => {
    demand(data.length === 0 && p1 <= 2, Status.Parse)
    if (p1 === 0) return state.memory.config.slice(4, 8)
    if (p1 === 1) {
        demand(p2 < 16, Status.Parse)
        return Uint8Array.of(keyValid(state, p2) ? 1 : 0, 0, 0, 0)
    }
    const t = state.volatile.tempKey
    const slot = t?.genKeySlot
    const first = t ? (slot !== undefined ? 0x40 | slot : 0) | (t.random ? 0 : 0x10) : 0
    return Uint8Array.of(first, t ? 0x80 : 0, 0, 0)
}

const sha: Execute = (state, { p1, p2, data }) => {
    const { volatile } = state
    const mode = p1 & 7
    demand((p1 & 0x38) === 0, Status.Parse)
    if (mode === 0) {
        demand(p1 === 0 && p2 === 0 && data.length === 0, Status.Parse)
        volatile.sha = []
        return ok
    }
    // HMAC, hashing a stored key and moving contexts are not modelled.
    demand(mode === 1 || mode === 2, mode <= 7 && mode !== 5 ? Status.Execution : Status.Parse)
    demand(p2 === data.length && (mode === 1 ? data.length === 64 && p1 === 1 : data.length < 64), Status.Parse)
    demand(volatile.sha !== undefined, Status.Execution)
    volatile.sha.push(data.slice())
    if (mode === 1) return ok
    const hash = createHash("sha256")
    for (const part of volatile.sha) hash.update(part)
    const digest = new Uint8Array(hash.digest())
    volatile.sha = undefined
    const target = p1 >> 6
    demand(target !== 2, Status.Parse)
    if (target === 0) volatile.tempKey = { data: digest, random: false }
    if (target === 1) volatile.msgDigBuf = { data: digest, random: false }
    return digest
}

const selfTest: Execute = (state, { p1, p2, data }) => {
    demand(data.length === 0 && p2 === 0 && (p1 & 0xc0) === 0, Status.Parse)
    return Uint8Array.of(state.faults.selfTest ?? 0)
}

const table: Record<number, Entry> = {
    [0x24]: { run: counter, ms: [25, 25, 25] },
    [0x43]: { run: ecdh, ms: [75, 172, 531], ecc: true },
    [0x40]: { run: genKey, ms: [115, 215, 653], ecc: true },
    [0x30]: { run: info, ms: [5, 5, 5] },
    [0x17]: { run: lock, ms: [35, 35, 35] },
    [0x16]: { run: nonce, ms: [20, 20, 20] },
    [0x1b]: { run: random, ms: [23, 23, 23] },
    [0x02]: { run: read, ms: [5, 5, 5] },
    [0x77]: { run: selfTest, ms: [250, 625, 2324] },
    [0x47]: { run: sha, ms: [36, 42, 75] },
    [0x41]: { run: sign, ms: [115, 220, 665], ecc: true },
    [0x45]: { run: verify, ms: [105, 295, 1085], ecc: true },
    [0x12]: { run: write, ms: [45, 45, 45] },
    [0x20]: { run: updateExtra, ms: [10, 10, 10] },
    // PrivWrite, GenDig, KDF, SecureBoot, AES, MAC, CheckMac, DeriveKey
    [0x46]: { run: refused, ms: [50, 50, 50] },
    [0x15]: { run: refused, ms: [25, 35, 35] },
    [0x56]: { run: refused, ms: [165, 165, 165] },
    [0x80]: { run: refused, ms: [80, 160, 480] },
    [0x51]: { run: refused, ms: [27, 27, 27] },
    [0x08]: { run: refused, ms: [55, 55, 55] },
    [0x28]: { run: refused, ms: [40, 40, 40] },
    [0x1c]: { run: refused, ms: [50, 50, 50] },
}

/** Entry of an opcode; undefined = no such command (status 03). */
export function entryOf(opcode: number): Entry | undefined {
    return table[opcode]
}

/** Runs a command; the answer's data, or one status octet. */
export function execute(state: AteccState, entry: Entry, command: Command): Uint8Array {
    const { faults, volatile } = state
    if (faults.selfTest && entry.run !== selfTest && !(entry.run === read && (command.p1 & 3) === 0)) {
        return Uint8Array.of(Status.SelfTest)
    }
    // A digest in progress does not outlive another command.
    if (entry.run !== sha) volatile.sha = undefined
    if (entry.ecc && faults.eccFaults) {
        faults.eccFaults--
        return Uint8Array.of(Status.EccFault)
    }
    try {
        return entry.run(state, command)
    } catch (error) {
        if (error instanceof Refusal) return Uint8Array.of(error.status)
        throw error
    }
}
