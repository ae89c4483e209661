/**
 * Microchip ATECC608B: secure element on I2C (public sheets of the 508A and of the pre-configured 608 variants, vendor
 * library, logs of real parts; the complete 608 sheet is not public). Real P-256 inside; private keys exist only in
 * the non-volatile state. Locking is as final as on silicon: only a fresh state is unlocked again.
 *
 * Facts not settled by two sources, and what this model does: Sign and Verify use up TempKey and MsgDigBuf (the strict
 * reading); a public key not on the curve gives 05; GenKey 00 on an empty slot gives 0F; before the data lock only
 * 32-octet writes are taken, to every slot but locked and private-key ones, and GenKey ignores WriteConfig; a lock
 * whose CRC does not agree gives 0F, and the data lock's CRC covers private keys, so nobody can compute it; a counter
 * at its end gives 0F; Verify and counting need the config lock; a SHA in progress does not survive another command;
 * Info state octet 0 bit 7 is NoMac (0); the failed-self-test wake answer carries the true CRC of `04 07`; watchdog
 * 1.3 s (13 s with ChipMode bit 2); execution takes the full time of the vendor's table, refusals of a packet 1 ms;
 * an unknown ChipMode divider runs as M2; surplus octets of a partial block read A5; a new command after an
 * incomplete packet completes that packet. Not modelled, refused with 0F: internal Sign, validated public keys,
 * encrypted reads and writes, MACs, HMAC, GenDig, PrivWrite, AES, KDF, SecureBoot, DeriveKey, CheckMac.
 */
import { randomBytes } from "node:crypto"
import { entryOf, execute } from "./atecc608b-commands"
import { AteccMemory, crc16, serialOf } from "./atecc608b-memory"
import { type AteccFaults, type Command, Status, type Volatile } from "./atecc608b-state"
import type { I2cDevice } from "./bus"
import type { ModelClock } from "./clock"

const wakeLowMicroseconds = 60
const wakeMaxHz = 100_000
/** Faster traffic for other parts does not wake it. */
const disturbingHz = 300_000
const readyMs = 1.5
const refusalMs = 1
const maxCount = 7 + 155

/** One part and what it draws from. */
export interface AteccOptions {
    clock: ModelClock
    /** Middle six octets of the serial number as a number; default 1. */
    serial?: number
    /** Source of all random numbers and keys; default the machine's own. */
    random?(length: number): Uint8Array
    /** Share of the execution times this part takes; default 1. */
    speed?: number
}

type Mode = "off" | "sleep" | "idle" | "awake"

/** The part as the bus sees it. */
export class Atecc608b implements I2cDevice {
    /** Faults to inject; may be changed at any time. */
    faults: AteccFaults = {}
    private readonly memory: AteccMemory
    private volatile: Volatile = {}
    private mode: Mode = "off"
    private wokenMs = 0
    private chipMode = 0
    private address = 0x60
    private output: Uint8Array = new Uint8Array(0)
    private outputAt = 0
    private group: number[] = []
    private pending?: { doneMs: number; finish(): void }

    constructor(private readonly options: AteccOptions) {
        this.memory = new AteccMemory(serialOf(options.serial ?? 1))
    }

    /** Nine octets 01 23 .. EE. */
    get serialNumber(): Uint8Array {
        return this.memory.serial
    }

    /** Which zones are locked. */
    get locked(): { config: boolean; data: boolean } {
        return { config: this.memory.configLocked, data: this.memory.dataLocked }
    }

    /** Present mode. */
    get state(): Mode {
        this.sync()
        return this.mode
    }

    generalCall(busHz: number): void {
        if (busHz <= wakeMaxHz) this.wake()
    }

    otherTraffic(microseconds: number, busHz: number): void {
        // Its own address sent at 100 kHz is just as long as the limit; it is not meant to be enough.
        if (microseconds > wakeLowMicroseconds && busHz < disturbingHz) this.wake()
    }

    answers(address: number): boolean {
        this.sync()
        if (this.mode !== "awake" || address !== this.address) return false
        return !this.pending && this.options.clock.nowMs() >= this.wokenMs + readyMs
    }

    write(_address: number, data: Uint8Array): number {
        if (data.length === 0) return 0
        switch (data[0]) {
            case 0x00:
                this.outputAt = 0
                return 1
            case 0x01:
                this.sleep()
                return data.length
            case 0x02:
                this.mode = "idle"
                this.flush()
                return data.length
            case 0x03:
                return 1 + this.take(data.subarray(1))
        }
        return 0
    }

    read(_address: number, length: number): Uint8Array | undefined {
        if (this.group.length > 0 || this.pending) return undefined
        const out = new Uint8Array(length).fill(0xff)
        out.set(this.output.subarray(this.outputAt, this.outputAt + length))
        this.outputAt = Math.min(this.output.length, this.outputAt + length)
        return out
    }

    powerOff(): void {
        this.sync()
        this.sleep()
        this.mode = "off"
    }

    powerOn(): void {
        this.mode = "sleep"
    }

    /** Non-volatile state as text. Holds private keys: whoever stores it keeps it from others. */
    save(): Uint8Array {
        this.sync()
        return new Uint8Array(Buffer.from(this.memory.toJson()))
    }

    load(state: Uint8Array): void {
        this.memory.fromJson(Buffer.from(state).toString())
    }

    private get watchdogMs(): number {
        return this.wokenMs + (this.chipMode & 4 ? 13_000 : 1300)
    }

    /** Lets happen what happened meanwhile: a command ends, the watchdog strikes. */
    private sync(): void {
        const now = this.options.clock.nowMs()
        if (this.pending && now >= this.pending.doneMs) {
            const { finish } = this.pending
            this.pending = undefined
            finish()
        }
        if (this.mode === "awake" && now >= this.watchdogMs) this.sleep()
    }

    private wake(): void {
        this.sync()
        if (this.mode !== "sleep" && this.mode !== "idle") return
        if (this.faults.wakeFailures) {
            this.faults.wakeFailures--
            return
        }
        this.restart(this.options.clock.nowMs())
    }

    private restart(atMs: number): void {
        this.mode = "awake"
        this.wokenMs = atMs
        const { config } = this.memory
        this.chipMode = config[19]
        this.address = (this.chipMode & 1 && config[85] !== 0 ? config[85] : config[16]) >> 1
        this.answer(Uint8Array.of(this.faults.selfTest ? Status.SelfTest : Status.AfterWake))
    }

    private sleep(): void {
        this.mode = "sleep"
        this.volatile = {}
        this.pending = undefined
        this.flush()
    }

    private flush(): void {
        this.output = new Uint8Array(0)
        this.outputAt = 0
        this.group = []
    }

    private answer(data: Uint8Array): void {
        const head = Uint8Array.of(data.length + 3, ...data)
        const crc = crc16(head)
        this.output = Uint8Array.of(...head, crc & 0xff, crc >> 8)
        this.outputAt = 0
    }

    /** Packet octets; how many were acknowledged. */
    private take(octets: Uint8Array): number {
        let taken = 0
        for (const octet of octets) {
            if (this.group.length > 0 && this.group.length >= this.group[0]) break
            this.group.push(octet)
            taken++
        }
        const count = this.group[0]
        if (count !== undefined && (count < 7 || count > maxCount)) {
            this.group = []
            this.later(refusalMs, () => this.answer(Uint8Array.of(Status.Communication)))
        } else if (count !== undefined && this.group.length === count) {
            const packet = Uint8Array.from(this.group)
            this.group = []
            this.dispatch(packet)
        }
        return taken
    }

    private dispatch(packet: Uint8Array): void {
        const body = packet.subarray(0, packet.length - 2)
        const crc = crc16(body)
        const command: Command = {
            opcode: packet[1],
            p1: packet[2],
            p2: packet[3] | (packet[4] << 8),
            data: packet.slice(5, body.length),
        }
        const entry = entryOf(command.opcode)
        const divider = this.chipMode & 0xf8
        const clockMode = divider === 0 ? 0 : divider === 0x28 ? 1 : 2
        const ms = entry ? entry.ms[clockMode] * (this.options.speed ?? 1) : refusalMs
        const now = this.options.clock.nowMs()
        const refuse = (status: number) => this.later(refusalMs, () => this.answer(Uint8Array.of(status)))
        if ((crc & 0xff) !== packet[body.length] || crc >> 8 !== packet[body.length + 1]) {
            refuse(Status.Communication)
        } else if (now + ms > this.watchdogMs) refuse(Status.Watchdog)
        else if (!entry) refuse(Status.Parse)
        else if (this.faults.watchdogs) {
            this.faults.watchdogs--
            this.later(ms, () => this.sleep())
        } else if (entry.ecc && this.faults.brownOuts) {
            this.faults.brownOuts--
            this.later(ms / 2, () => {
                this.sleep()
                this.restart(now + ms / 2)
            })
        } else this.later(ms, () => this.finish(entry, command))
    }

    private finish(entry: NonNullable<ReturnType<typeof entryOf>>, command: Command): void {
        const state = {
            memory: this.memory,
            volatile: this.volatile,
            faults: this.faults,
            random: this.options.random ?? (n => new Uint8Array(randomBytes(n))),
        }
        this.answer(execute(state, entry, command))
        if (this.faults.crcErrors) {
            this.faults.crcErrors--
            this.output[this.output.length - 1] ^= 0x01
        }
    }

    private later(ms: number, finish: () => void): void {
        this.flush()
        this.pending = { doneMs: this.options.clock.nowMs() + ms, finish }
    }
}
