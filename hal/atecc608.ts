import { Code, fail } from "../firmware/core/errors"
import { cut, sameOctets } from "../firmware/core/octets"
import { platform } from "../firmware/core/platform"
import { codeOf } from "./bus-register"
import type { I2cBus } from "./ports"

const none = hex``
const wakeFrame = hex`04113343`

/** Word addresses: what the first octet after the device address means. */
const wordReset = 0x00
const wordSleep = 0x01
const wordIdle = 0x02
const wordCommand = 0x03

const opRead = 0x02
const opWrite = 0x12
const opNonce = 0x16
const opLock = 0x17
const opRandom = 0x1b
const opCounter = 0x24
const opInfo = 0x30
const opGenKey = 0x40
const opSign = 0x41
const opEcdh = 0x43
const opVerify = 0x45

/** Execution times by opcode for the three clock dividers of ChipMode, in units of 5 ms. */
const times = hex`
    02010101 12090909 16040404 17070707 1b050505 24050505
    30010101 40172b83 41172c85 430f236b 45153bd9`
/** ChipMode of the three columns: none, 28 and 68 in bits 7:3. */
const dividers = hex`002868`

/** CRC-16/ARC of the sixteen nibbles, little endian. */
const nibbles = hex`000001cc01d8001401f0003c002801e401a0006c007801b40050019c01880044`

/**
 * CRC of packets: polynomial 8005 shifted left, octets fed least significant bit first; sent low octet first.
 * That is CRC-16/ARC with its bits in reverse.
 */
export function elementCrc(octets: Buffer, from: number, length: number): number {
    let crc = 0
    for (let i = from; i < from + length; ++i) {
        const octet = octets[i]
        crc = (crc >> 4) ^ nibbles.getAt(((crc ^ octet) & 15) << 1, "u16")
        crc = (crc >> 4) ^ nibbles.getAt(((crc ^ (octet >> 4)) & 15) << 1, "u16")
    }
    let reversed = 0
    for (let i = 0; i < 16; ++i) reversed = (reversed << 1) | ((crc >> i) & 1)
    return reversed
}

/** Word address and command packet. */
function command(op: number, p1: number, p2: number, data: Buffer): Buffer {
    const count = 7 + data.length
    const octets = Buffer.alloc(1 + count)
    octets[0] = wordCommand
    octets[1] = count
    octets[2] = op
    octets[3] = p1
    octets.setAt(4, "u16", p2)
    octets.blitAt(6, data, 0, data.length)
    octets.setAt(count - 1, "u16", elementCrc(octets, 1, count - 2))
    return octets
}

function isNack(error: any): boolean {
    const code = codeOf(error)
    return code === Code.BusAddressNack || code === Code.BusDataNack
}

/** The error of a status octet. */
function codeOfStatus(status: number): number {
    switch (status) {
        case 0x03:
            return Code.ElementParse
        case 0x05:
            return Code.ElementEccFault
        case 0x07:
            return Code.ElementSelfTest
        case 0x08:
            return Code.ElementRandom
        case 0x0f:
            return Code.ElementExecution
        case 0x11:
            return Code.ElementRestart
        default:
            return Code.ElementStatus
    }
}

function sized(answer: Buffer, length: number): Buffer {
    if (answer.length !== length) fail(Code.ImpossibleValue, -1, "an answer of " + length, "" + answer.length)
    return answer
}

/**
 * Microchip ATECC608A/B, secure element.
 *
 * Each method is one session: wake, one or two commands, sleep, so no volatile state outlives it. The waiting
 * inside lets other fibers run; a second session waits until the first has ended (`ElementOccupied` after 10 s).
 *
 * What is repeated is what the data sheet allows: a damaged command (FF) is sent again; a damaged answer is read
 * again, never executed again; with too little watchdog time left (EE) the part is idled, woken and told again; a
 * part that restarted (11), fell asleep or fell silent, and a fault in the computation (05), begin the session anew.
 * Three times each, then the error of that cause. So GenKey and Counter may happen twice for one call.
 *
 * The wake pulse is an address octet 00; it is long enough on a bus of 100 kHz or less.
 * @devsWhenUsed
 */
export class Atecc608 {
    private occupied: boolean
    private answered: boolean
    /** Column of `times`; until the part's configuration has been read, the slowest. */
    private speed: number

    constructor(
        readonly bus: I2cBus,
        readonly address: number,
    ) {
        this.occupied = false
        this.answered = false
        this.speed = 2
    }

    /** Octets 0 to 31 of the configuration zone, which begin with serial number and revision: `PartMismatch`. */
    head(): Buffer {
        const head = this.readBlock(0, 0)
        if (head[0] !== 0x01 || head[1] !== 0x23 || head[12] !== 0xee || head[6] !== 0x60)
            fail(Code.PartMismatch, 0, "an ATECC608", cut(head, 0, 13).toString("hex"))
        this.speed = 2
        for (let i = 0; i < 2; ++i) if ((head[19] & 0xf8) === dividers[i]) this.speed = i
        return head
    }

    /** 32 octets at `address` (block, or slot and block) of zone 0 configuration, 1 OTP, 2 data. */
    readBlock(zone: number, address: number): Buffer {
        return sized(this.run(opRead, zone | 0x80, address, none), 32)
    }

    /** Writes 4 or 32 octets at `address` of a zone. */
    write(zone: number, address: number, octets: Buffer): void {
        this.run(opWrite, zone | (octets.length === 32 ? 0x80 : 0), address, octets)
    }

    /** Lock: `mode` 0 configuration, 1 data and OTP, +80 without comparing `crc`. Cannot be undone. */
    lock(mode: number, crc: number): void {
        this.run(opLock, mode, crc, none)
    }

    /** Info: `mode` 0 revision, 1 validity of the key in `slot`, 2 state. Four octets. */
    info(mode: number, slot: number): Buffer {
        return sized(this.run(opInfo, mode, slot, none), 4)
    }

    /** 32 random octets. Before the configuration is locked the part only has a pattern: `ElementNotLocked`. */
    random(): Buffer {
        const octets = sized(this.run(opRandom, 0, 0, none), 32)
        if (octets.getAt(0, "u32") === 0xffff && octets.getAt(28, "u32") === 0xffff)
            fail(Code.ElementNotLocked, -1, "random octets", "the pattern of an open configuration")
        return octets
    }

    /** Public key X|Y of `slot`, of a new private key if `create`. */
    genKey(slot: number, create: boolean): Buffer {
        return sized(this.run(opGenKey, create ? 0x04 : 0x00, slot, none), 64)
    }

    /** r|s over a digest of 32 octets. */
    sign(slot: number, digest: Buffer): Buffer {
        // External signature of what Nonce passes through to TempKey.
        return sized(this.runAfter(digest, command(opSign, 0x80, slot, none)), 64)
    }

    /** Does r|s over the digest hold for X|Y? A key or signature the part refuses to compute with does not. */
    verify(publicKey: Buffer, digest: Buffer, signature: Buffer): boolean {
        const data = Buffer.alloc(128)
        data.blitAt(0, signature, 0, 64)
        data.blitAt(64, publicKey, 0, 64)
        try {
            return this.runAfter(digest, command(opVerify, 0x02, 0x0004, data))[0] === 0
        } catch (error) {
            const code = codeOf(error)
            if (code !== Code.ElementEccFault && code !== Code.ElementParse) throw error
            return false
        }
    }

    /** X of the shared point, 32 octets: in clear on the bus. */
    ecdh(slot: number, publicKey: Buffer): Buffer {
        return sized(this.run(opEcdh, 0x0c, slot, publicKey), 32)
    }

    /** Value of counter `which` (0 or 1), after one more if `increment`. */
    counter(which: number, increment: boolean): number {
        return sized(this.run(opCounter, increment ? 1 : 0, which, none), 4).getAt(0, "u32")
    }

    private run(op: number, p1: number, p2: number, data: Buffer): Buffer {
        return this.session(none, command(op, p1, p2, data))
    }

    private runAfter(digest: Buffer, step: Buffer): Buffer {
        if (digest.length !== 32) fail(Code.BadArgument, -1, "a digest of 32 octets", "" + digest.length)
        return this.session(command(opNonce, 0x03, 0, digest), step)
    }

    /** Wake, `before` (may be empty), `step`, sleep; the answer of `step`. */
    private session(before: Buffer, step: Buffer): Buffer {
        for (let waited = 0; this.occupied; waited += 5) {
            if (waited >= 10000) fail(Code.ElementOccupied, -1, "a free secure element", "none in 10 s")
            platform().sleepMs(5)
        }
        this.occupied = true
        let cause: any
        try {
            for (let attempt = 1; ; ++attempt) {
                try {
                    this.wake()
                    if (before.length > 0) this.exchange(before)
                    return this.exchange(step)
                } catch (error) {
                    const code = codeOf(error)
                    const again =
                        isNack(error) ||
                        code === Code.ElementRestart ||
                        code === Code.ElementEccFault ||
                        // TempKey is gone, as after a sleep in between.
                        (code === Code.ElementExecution && before.length > 0) ||
                        // The watchdog may have put it to sleep in the midst of the command.
                        code === Code.ElementBusyTooLong
                    // A part that does not wake after such an error has not another one.
                    if (code === Code.ElementWake && cause) throw cause
                    if (!again || attempt === 3) throw error
                    cause = error
                }
                this.tell(wordSleep)
            }
        } finally {
            try {
                this.tell(wordSleep)
            } finally {
                this.occupied = false
            }
        }
    }

    private wake(): void {
        let came = "no acknowledgement"
        for (let attempt = 0; attempt < 3; ++attempt) {
            // It may be awake with other octets to read; or still busy, then only the longest command's time helps.
            if (attempt === 2) platform().sleepMs(1100)
            if (attempt > 0) this.tell(wordSleep)
            try {
                this.bus.transfer(0, none, 0)
            } catch (error) {
                // Nobody answers to the general call.
                if (!isNack(error)) throw error
            }
            platform().sleepMs(2)
            try {
                const frame = this.bus.transfer(this.address, none, 4)
                this.answered = true
                if (sameOctets(frame, wakeFrame)) return
                came = frame.toString("hex")
                if (frame[0] === 4 && frame[1] === 7 && frame.getAt(2, "u16") === elementCrc(frame, 0, 2))
                    fail(Code.ElementSelfTest, -1, "a part that passed its self-test", came)
            } catch (error) {
                if (!isNack(error)) throw error
            }
        }
        fail(this.answered ? Code.ElementWake : Code.PartAbsent, this.address, "ATECC608 to wake", came)
    }

    /** One command and its answer: data, or a single 00 or 01; any other status is thrown. */
    private exchange(step: Buffer): Buffer {
        let code: number = Code.ElementCommandCrc
        for (let attempt = 0; attempt < 3; ++attempt) {
            this.bus.transfer(this.address, step, 0)
            const answer = this.answer(step[2])
            const status = answer[0]
            if (answer.length > 1 || status <= 1) return answer
            if (status === 0xff) {
                code = Code.ElementCommandCrc
            } else if (status === 0xee) {
                // Idle keeps TempKey, which sleep would not.
                code = Code.ElementWatchdog
                this.tell(wordIdle)
                this.wake()
            } else {
                fail(codeOfStatus(status), -1, "success of command " + step[2], "status " + status)
            }
        }
        return fail(code, -1, "command " + step[2] + " taken", "the same status three times")
    }

    /** Waits for the answer of `op` and reads it. */
    private answer(op: number): Buffer {
        let limit = 0
        for (let i = 0; i < times.length; i += 4) if (times[i] === op) limit = times[i + 1 + this.speed] * 5
        // The table is typical in its own words; others allow up to twice as much for the short ones.
        limit += (limit >> 1) + 40
        let waited = 1
        platform().sleepMs(1)
        while (true) {
            try {
                const count = this.bus.transfer(this.address, none, 1)[0]
                return this.rest(count)
            } catch (error) {
                if (!isNack(error)) throw error
            }
            if (waited > limit) fail(Code.ElementBusyTooLong, -1, "an answer in " + limit + " ms", "none to " + op)
            platform().sleepMs(2)
            waited += 2
        }
    }

    /** The answer whose first octet was `count`, without count and CRC; read again from its start while damaged. */
    private rest(first: number): Buffer {
        let count = first
        for (let attempt = 0; attempt < 3; ++attempt) {
            try {
                if (attempt > 0) {
                    this.bus.transfer(this.address, Buffer.from([wordReset]), 0)
                    count = this.bus.transfer(this.address, none, 1)[0]
                }
                if (count >= 4 && count <= 75) {
                    const octets = Buffer.alloc(count)
                    octets[0] = count
                    octets.blitAt(1, this.bus.transfer(this.address, none, count - 1), 0, count - 1)
                    if (octets.getAt(count - 2, "u16") === elementCrc(octets, 0, count - 2))
                        return cut(octets, 1, count - 3)
                }
            } catch (error) {
                // Silent to the last: it is asleep, and the session begins anew.
                if (!isNack(error) || attempt === 2) throw error
            }
        }
        return fail(Code.ElementAnswerCrc, -1, "an intact answer", "a damaged one, count " + count)
    }

    /** Sends a bare word address; a part that does not hear it is asleep already. */
    private tell(word: number): void {
        try {
            this.bus.transfer(this.address, Buffer.from([word]), 0)
        } catch (error) {
            if (!isNack(error)) throw error
        }
    }
}
