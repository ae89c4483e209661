/**
 * An I2C bus of chip models at transaction level: addressing, acknowledge, clock rate and the time a
 * transaction takes, faults by plan, and recording. Models attach as `I2cDevice`.
 */
import type { ModelClock } from "./clock"
import { type BusFaults, FaultInjector } from "./faults"

/** Result of a transaction. */
export const Status = { Ok: 0, AddressNack: -1, DataNack: -2, Stuck: -3 } as const

/** One part on the bus. Power is the bench's business; an unpowered part answers nothing. */
export interface I2cDevice {
    /** 7-bit addresses this part listens to at this moment include `address`? (asleep -> false) */
    answers(address: number): boolean
    /** Write phase; how many octets were acknowledged (== data.length when all were). */
    write(address: number, data: Uint8Array): number
    /** Read phase; undefined = address not acknowledged. */
    read(address: number, length: number): Uint8Array | undefined
    /** START and an address octet were on the bus, whoever was meant; called before `answers`. */
    addressed?(address: number): void
    /** A general-call address octet (0x00) was clocked: the ATECC's wake pulse when the bus runs at <= 100 kHz. */
    generalCall?(busHz: number): void
    /** SDA was low for `microseconds` on end during a transaction (no general call) meant for another part. */
    otherTraffic?(microseconds: number, busHz: number): void
    /** Power removed: volatile state is lost, non-volatile state survives. */
    powerOff(): void
    /** Power applied. */
    powerOn(): void
    /** Non-volatile state for a state folder. */
    save?(): Uint8Array
    /** Takes back what `save` gave; throws an Error naming the part when the octets are not such a state. */
    load?(state: Uint8Array): void
}

/** One transaction as it went over the wire. */
export interface Transaction {
    /** Counts from 1 since the bus was made. */
    number: number
    /** World time at START, milliseconds. */
    atMs: number
    address: number
    write: Uint8Array
    readLength: number
    status: number
    data: Uint8Array
}

const none = new Uint8Array(0)

/** Longest run of low bits in a stretch of bus octets; acknowledge bits are low, but that of an address nobody has. */
function longestLow(octets: number[], acknowledged: boolean): number {
    let run = 0
    let longest = 0
    for (const octet of octets) {
        for (let bit = 7; bit >= 0; bit--) {
            run = (octet >> bit) & 1 ? 0 : run + 1
            longest = Math.max(longest, run)
        }
        if (acknowledged) longest = Math.max(longest, ++run)
    }
    return longest
}

/** One bus; parts answer in the order they were attached, though it should never matter. */
export class I2cBusModel {
    private readonly devices: I2cDevice[] = []
    private readonly injector = new FaultInjector()
    /** Faults to inject from now on; plain data, may be replaced or changed at any time. */
    faults: BusFaults = {}
    /** Transactions so far. */
    transactions = 0
    /** Milliseconds the wire was busy so far. */
    busyMs = 0
    /** Set to have each transaction's duration (milliseconds) added to a virtual clock after it. */
    onElapsed?: (ms: number) => void
    /** Set to see each transaction after it (recording, statistics). */
    onTransaction?: (transaction: Transaction) => void

    /** `hz`: SCL rate of the board. The default is the highest at which an ATECC hears the wake pulse. */
    constructor(
        readonly clock: ModelClock,
        public hz = 100_000,
    ) {}

    attach(device: I2cDevice): void {
        this.devices.push(device)
    }

    /** Nine clocks with SDA released, then STOP: what a driver does on a stuck bus. */
    nineClocks(): void {
        this.injector.release(this.faults)
    }

    /**
     * START, 7-bit `address`, all of `write`, then, if `readLength` > 0, repeated START and a read. Throws
     * only what a model throws on purpose (`PowerCut`) and RangeError for arguments no bus can carry.
     */
    transfer(address: number, write: Uint8Array, readLength: number): { status: number; data: Uint8Array } {
        if (!(address >= 0 && address <= 0x7f)) throw new RangeError(`7-bit address expected, came ${address}`)
        if (!(readLength >= 0)) throw new RangeError(`read length ${readLength}`)
        const number = ++this.transactions
        const atMs = this.clock.nowMs()
        const fault = this.injector.at(number, address, this.faults)
        let status: number = Status.Ok
        let data: Uint8Array = none
        let clocked = 1
        if (fault.stuck) status = Status.Stuck
        else if (fault.nackAddress) status = Status.AddressNack
        else {
            const sent = fault.nackData === undefined ? write : write.subarray(0, fault.nackData)
            const result = this.carry(address, sent, sent.length < write.length ? 0 : readLength)
            status = result.status
            clocked = result.clocked
            if (status === Status.Ok && sent.length < write.length) status = Status.DataNack
            if (status === Status.Ok) data = fault.flip(result.data)
        }
        const ms = ((clocked * 9 + 2) * 1000) / this.hz
        this.busyMs += ms
        if (this.onTransaction) {
            const copies = { write: write.slice(), data: data.slice() }
            this.onTransaction({ number, atMs, address, readLength, status, ...copies })
        }
        this.onElapsed?.(ms)
        return { status, data }
    }

    private carry(
        address: number,
        write: Uint8Array,
        readLength: number,
    ): { status: number; data: Uint8Array; clocked: number } {
        for (const device of this.devices) device.addressed?.(address)
        const meant = this.devices.filter(d => d.answers(address))
        const others = this.devices.filter(d => !meant.includes(d))
        if (address === 0) for (const device of this.devices) device.generalCall?.(this.hz)
        if (meant.length === 0) {
            const direction = write.length === 0 && readLength > 0 ? 1 : 0
            if (address !== 0) this.disturb(others, [(address << 1) | direction], false)
            return { status: Status.AddressNack, data: none, clocked: 1 }
        }
        const line: number[] = []
        let status: number = Status.Ok
        let data: Uint8Array = none
        if (write.length > 0 || readLength === 0) {
            const taken = Math.max(...meant.map(d => d.write(address, write)))
            line.push(address << 1, ...write.subarray(0, taken + 1))
            if (taken < write.length) status = Status.DataNack
        }
        if (readLength > 0 && status === Status.Ok) {
            line.push((address << 1) | 1)
            const answers = meant.map(d => d.read(address, readLength)).filter(a => a !== undefined)
            if (answers.length === 0) status = Status.AddressNack
            else {
                // Open drain: where two parts send at once the line carries the AND of both.
                data = new Uint8Array(readLength).fill(0xff)
                for (const answer of answers) for (let i = 0; i < readLength; i++) data[i] &= answer[i] ?? 0xff
                for (const octet of data) line.push(octet)
            }
        }
        this.disturb(others, line, true)
        return { status, data, clocked: line.length }
    }

    private disturb(others: I2cDevice[], line: number[], acknowledged: boolean): void {
        const disturbed = others.filter(d => d.otherTraffic)
        if (disturbed.length === 0) return
        const microseconds = (longestLow(line, acknowledged) * 1e6) / this.hz
        for (const device of disturbed) device.otherTraffic?.(microseconds, this.hz)
    }
}
