/** What the commands of the ATECC608B model share: volatile registers, refusals, faults. */
import type { AteccMemory } from "./atecc608b-memory"

/** Status octets. */
export const Status = {
    Success: 0x00,
    Miscompare: 0x01,
    Parse: 0x03,
    EccFault: 0x05,
    SelfTest: 0x07,
    Health: 0x08,
    Execution: 0x0f,
    AfterWake: 0x11,
    Watchdog: 0xee,
    Communication: 0xff,
} as const

/** A command ends with this status and nothing else happens. */
export class Refusal extends Error {
    constructor(readonly status: number) {
        super(`status ${status.toString(16)}`)
    }
}

/** Throws `Refusal` unless `condition`. */
export function demand(condition: boolean, status: number): asserts condition {
    if (!condition) throw new Refusal(status)
}

/** TempKey, and by extension MsgDigBuf and AltKeyBuf. */
export interface Register {
    data: Uint8Array
    /** Came from a random nonce rather than from input. */
    random: boolean
    /** GenKey put a digest in, for this slot. */
    genKeySlot?: number
    /** An ephemeral private key, usable for ECDH only. */
    privateKey?: boolean
}

/** Faults, each a number of times still to happen. Plain data. */
export interface AteccFaults {
    /** Wake pulses that do nothing. */
    wakeFailures?: number
    /** Answers whose CRC is damaged. */
    crcErrors?: number
    /** Computations with keys that end with status 05. */
    eccFaults?: number
    /** Random and Nonce that end with status 08. */
    healthFailures?: number
    /** Commands with keys during which the supply dips: the part restarts, answers 11 and has done nothing. */
    brownOuts?: number
    /** Commands during which the watchdog strikes: the part sleeps and has done nothing. */
    watchdogs?: number
    /** Self-test bits that fail (as SelfTest reports them); the part is in failure mode while nonzero. */
    selfTest?: number
}

/** Everything volatile a command can reach. Lost in sleep, kept over idle. */
export interface Volatile {
    tempKey?: Register
    msgDigBuf?: Register
    altKeyBuf?: Register
    sha?: Uint8Array[]
}

/** What a command works on. */
export interface AteccState {
    memory: AteccMemory
    volatile: Volatile
    faults: AteccFaults
    random(length: number): Uint8Array
}

/** A command packet after its checks: opcode, parameters, data. */
export interface Command {
    opcode: number
    p1: number
    p2: number
    data: Uint8Array
}
