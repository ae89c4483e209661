import { Code, fail } from "./errors"
import { SwitchedRecord } from "./journal"
import { cut, join, sameOctets } from "./octets"
import { platform } from "./platform"
import { bodyOf, frameOf, headerSize, longestPayload } from "./plc-frame"
import type { Store } from "./store"

/**
 * One end of a PLC link: frames under AES-256-CCM with a shared key (KEY1PLC, KEY2PLC of the paper).
 *
 * Body of a frame: number of the key U8 | nonce 13 | sealed payload | tag 8. Nonce: 1 and direction U8 | from U16 | to U16 |
 * counter U64, little endian. The runtime's cipher takes no associated data, and needs none here: who, to whom, which
 * way and how many-th is the nonce itself, so the tag covers it (and the length, SP 800-38C A.2.1). The key's number
 * only says which key to try.
 *
 * A sender's counter never repeats under a key, a power cut at any octet included: it is used up to a reservation that lies
 * in the store. What a receiver took is below a floor that was stored before it was taken; a peer is told the floor
 * after a power cut (`floor`, `raise`), or the few frames up to there are lost.
 */

/** AES-256-CCM (SP 800-38C) with q = 2, a nonce of 13 octets, a tag of 8 and no associated data. */
export interface CcmCipher {
    /** Ciphertext and tag. `key` 32 octets. */
    seal(key: Buffer, nonce: Buffer, plain: Buffer): Buffer
    /** The plaintext, `undefined` where the tag does not hold. */
    open(key: Buffer, nonce: Buffer, sealed: Buffer): Buffer | undefined
}

/** Which way a frame goes: 0 from the MUC, 1 to it. */
export enum PlcWay {
    FromMuc = 0,
    ToMuc = 1,
}

export const plcKeySize = 32

/** Counters sent between two writes, and counters taken between two. */
const sendStep = 64
const takeStep = 16
/** Counters end here: the VM's numbers are exact up to 2^53. */
const counterEnd = 0x10000000000000
/** Counters kept as seen behind the newest. */
const windowSize = 32

const version = 0x10
const nonceSize = headerSize - 1

// The record: reservation U64, then for the key in use and the one to come: is there U8, key 32, floor U64.
const slotAt = 8
const floorAt = 1 + plcKeySize
const slotSize = floorAt + 8
const recordSize = slotAt + 2 * slotSize
/** What a link takes of the store. */
export const plcLinkSize = 2 * (recordSize + 4) + 1

/** @devsWhenUsed */
export class PlcLink {
    private readonly record: SwitchedRecord
    private readonly data: Buffer
    /** The store may not hold `data`: nothing is sent or taken before it does. */
    private unsaved: boolean
    /** Next counter to send with; below the reservation. */
    private next: number
    /** For both keys: newest counter taken, and which of those behind it (bit 0: the newest). */
    private readonly newest: number[]
    private readonly seen: number[]

    /** Throws `RecordDamaged` where the store holds something else than a link: begun anew, counters would repeat. */
    constructor(
        store: Store,
        at: number,
        readonly cipher: CcmCipher,
        readonly way: PlcWay,
        readonly own: number,
        readonly peer: number,
    ) {
        this.record = new SwitchedRecord(store, at, recordSize)
        // What a power cut has left of a key that was replaced.
        this.record.settle()
        this.data = this.record.load() || Buffer.alloc(recordSize)
        this.unsaved = false
        this.next = this.data.getAt(0, "u64")
        this.newest = [0, 0]
        this.seen = [0, 0]
        this.forget(0)
        this.forget(1)
    }

    /** Keys held: 0, 1, or 2 while the peer has not been heard under the newer one. */
    keys(): number {
        return this.data[slotAt] + this.data[slotAt + slotSize]
    }

    /**
     * Takes the key of this link, 32 octets. Where there is another one it stays in use until the first frame under the new
     * one has come. One that is held already changes nothing, so this may be called at each start. `BadArgument`: no key.
     */
    give(key: Buffer): void {
        if (key.length !== plcKeySize || sameOctets(key, Buffer.alloc(plcKeySize)))
            fail(Code.BadArgument, -1, plcKeySize + " octets, not all zero", key.length + " octets")
        if (this.holds(0, key) || this.holds(1, key)) return
        const slot = this.data[slotAt]
        // A memory that is new may stand in for one whose counters are lost: nothing that it sent is sent again.
        if (slot === 0 && this.next === 0) {
            const chance = platform().randomOctets(4)
            this.next = (chance.getAt(0, "u32") + 1) * 0x10000
            this.data.setAt(0, "u64", this.next)
        }
        const at = slotAt + slot * slotSize
        this.data[at] = 1
        this.data.blitAt(at + 1, key, 0, plcKeySize)
        this.data.setAt(at + floorAt, "u64", 0)
        this.save()
        this.record.settle()
        this.forget(slot)
    }

    /** Overwrites all keys. The next one given begins at a counter drawn by chance, so that also a former one repeats nothing. */
    drop(): void {
        if (this.keys() === 0) return
        this.data.fillAt(0, recordSize, 0)
        this.next = 0
        this.save()
        this.record.settle()
        this.forget(0)
        this.forget(1)
    }

    /**
     * The octets to send for `payload` (at most 128). `underNew`: under the key to come, where there is one, to let the peer
     * know of it. `KeyAbsent`, `BadArgument`, `OutOfRange` (the counter has come to its end: a new key).
     */
    seal(payload: Buffer, underNew = false): Buffer {
        if (payload.length > longestPayload)
            fail(Code.BadArgument, -1, "at most " + longestPayload + " octets", "" + payload.length)
        if (this.data[slotAt] === 0) fail(Code.KeyAbsent)
        if (this.unsaved || this.next >= this.data.getAt(0, "u64")) {
            if (this.next >= counterEnd) fail(Code.OutOfRange, -1, "a counter", "" + this.next)
            this.data.setAt(0, "u64", this.next + sendStep)
            this.save()
        }
        const head = Buffer.alloc(headerSize)
        const key = this.key(underNew && this.keys() > 1 ? 1 : 0)
        head[0] = numberOf(key)
        head[1] = version | this.way
        head.setAt(2, "u16", this.own)
        head.setAt(4, "u16", this.peer)
        // Used up before the cipher has a chance to fail.
        head.setAt(6, "u64", this.next++)
        return frameOf(join([head, this.cipher.seal(key, cut(head, 1, nonceSize), payload)]))
    }

    /**
     * The payload of what stood between two delimiters. `PlcDamaged` and `PlcForm`: the line. `PlcUnknownPeer`: somebody
     * else's. `PlcWrongKey`: under no key of this link, or made up. `PlcReplayed`, `PlcLate`: sealed by the peer, and not taken.
     */
    open(stuffed: Buffer): Buffer {
        const body = bodyOf(stuffed)
        const head = body[1]
        if ((head & 0xfe) !== version) fail(Code.PlcForm, 1, "version 1", "" + head)
        const from = body.getAt(2, "u16")
        if ((head & 1) === this.way || from !== this.peer || body.getAt(4, "u16") !== this.own)
            fail(Code.PlcUnknownPeer, 2, "a frame of " + this.peer, "one of " + from)
        const nonce = cut(body, 1, nonceSize)
        const sealed = cut(body, headerSize, body.length - headerSize)
        for (let slot = 0; slot < this.keys(); ++slot) {
            const key = this.key(slot)
            if (numberOf(key) === body[0]) {
                const payload = this.cipher.open(key, nonce, sealed)
                if (payload) {
                    this.count(slot, body.getAt(6, "u64"))
                    return payload
                }
            }
        }
        return fail(Code.PlcWrongKey, 0, "a frame under a key held", "number " + body[0])
    }

    /** The least counter that is taken of the peer, whatever happens: what to tell it after a start. */
    floor(underNew = false): number {
        return this.newest[underNew && this.keys() > 1 ? 1 : 0] + 1
    }

    /** The peer takes nothing below `floor`: goes on from there. */
    raise(floor: number): void {
        if (floor > this.next && floor < counterEnd) this.next = floor
    }

    /** Is `counter` new? Then it is behind the stored floor before its payload goes to anybody. */
    private count(slot: number, counter: number): void {
        if (counter >= counterEnd) fail(Code.PlcForm, 6, "a counter below 2^52", "above")
        const ahead = counter - this.newest[slot]
        if (ahead <= 0) {
            if (ahead > -windowSize && (this.seen[slot] & (1 << -ahead)) === 0)
                fail(Code.PlcLate, 6, "after " + this.newest[slot], "" + counter)
            fail(Code.PlcReplayed, 6, "after " + this.newest[slot], "" + counter)
        }
        let changed = false
        if (slot === 1) {
            // The first frame under the new key: the old one goes, in both copies of the record.
            this.data.blitAt(slotAt, this.data, slotAt + slotSize, slotSize)
            this.data.fillAt(slotAt + slotSize, slotSize, 0)
            this.newest[0] = this.newest[1]
            this.seen[0] = this.seen[1]
            changed = true
        }
        if (changed || this.unsaved || counter >= this.data.getAt(slotAt + floorAt, "u64")) {
            this.data.setAt(slotAt + floorAt, "u64", counter + takeStep)
            this.save()
        }
        if (changed) {
            this.record.settle()
            this.forget(1)
        }
        this.newest[0] = counter
        this.seen[0] = ahead < windowSize ? (this.seen[0] << ahead) | 1 : 1
    }

    /** After a start all below the floor counts as seen. */
    private forget(slot: number): void {
        this.newest[slot] = this.data.getAt(slotAt + slot * slotSize + floorAt, "u64") - 1
        this.seen[slot] = -1
    }

    private holds(slot: number, key: Buffer): boolean {
        return this.data[slotAt + slot * slotSize] > 0 && sameOctets(this.key(slot), key)
    }

    private key(slot: number): Buffer {
        return cut(this.data, slotAt + slot * slotSize + 1, plcKeySize)
    }

    private save(): void {
        this.unsaved = true
        this.record.save(this.data)
        this.unsaved = false
    }
}

/** A key's number tells nothing of it that could be used, and both ends know it without being told. */
function numberOf(key: Buffer): number {
    return platform().sha256([Buffer.from("plomb plc"), key])[0]
}
