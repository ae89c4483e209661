import type { Machine } from "../../hal/machine"
import { Code, fail } from "../core/errors"
import type { LogClock } from "../core/logbook"
import { cut, join, sameOctets } from "../core/octets"
import { platform } from "../core/platform"
import type { Store } from "../core/store"
import { type HeldTelegram, writeTelegramList } from "../core/telegram-list"
import { openListSize, openListsAt, telegramListSize, telegramLists, telegramListsAt } from "./layout"

/** Head of a telegram in the list that is being filled: check 4, length U16, kind, status, kind of time, seconds U32. */
const headSize = 13
/** Octets of telegrams in one list: with the rest of the list it fits into its place, and in front of its signature into a file. */
const mostOctets = 1500
const entryOctets = 26
/** Octets read or written at a time: 10 ms at 100 kHz. */
const piece = 100
/** Pause between two pieces, in ms: the lines are served meanwhile, whose FIFOs are full after 73 ms. A yield alone would leave them waiting. */
const pauseMs = 1
/** What a list's place holds: check 4, number U32, length U16, digest 32, signature 64, the signed octets. */
const signedAt = 106
/** A list is signed this long after its first telegram at the latest, in ms; how often that is looked at. */
const longestOpenMs = 120000

/**
 * Telegrams as they were received, and the signed lists they go into (PLOMB-TL/1). A telegram is in the store when `add` returns; the list is signed when it is full, or 2 minutes
 * after its first telegram: one signature serves as many telegrams as came. Power that goes loses no telegram taken: what a list would have held is signed at the next start.
 *
 * The list of number n is filled in one of two places while that of n - 1 is signed out of the other.
 */
export class TelegramLists {
    /** Number of the newest signed list, 0 = none. */
    newest = 0
    private previous: Buffer = Buffer.alloc(32)
    private open = 1
    private fill = 0
    private weight = 0
    private firstMs = 0
    /** Telegrams that are being written: nothing is signed meanwhile. */
    private writing = 0
    private signing = false
    private answering = false

    constructor(
        private readonly store: Store,
        private readonly machine: Machine,
        private readonly serverId: Buffer,
        private readonly clock: LogClock,
    ) {
        for (let slot = 0; slot < telegramLists; ++slot) {
            const number = store.read(placeOf(slot) + 4, 4).getAt(0, "u32")
            if (number > this.newest && (number | 0) % telegramLists === slot && this.load(number)) this.newest = number
        }
        const last = this.load(this.newest)
        if (last) this.previous = cut(last, 10, 32)
        // What was being signed and what was being filled when the power went.
        for (let i = 0; i < 2; ++i) if (this.telegram(this.newest + 1, 0)) this.sign()
        this.open = this.newest + 1
    }

    /** Keeps a telegram of the meter with this address, received now. Waits while two lists are full. `TelegramTooLong`. */
    add(kind: number, status: number, address: Buffer, telegram: Buffer): void {
        const length = 1 + address.length + telegram.length
        if (length + entryOctets > mostOctets) fail(Code.TelegramTooLong, -1, "at most 1,450 octets", "" + length)
        while (this.fill > 0 && this.weight + length + entryOctets > mostOctets) {
            if (this.open === this.newest + 1) this.next()
            else platform().sleepMs(20)
        }
        const seconds = this.clock.utcSeconds()
        const entry = Buffer.alloc(headSize)
        entry.setAt(4, "u16", length)
        entry[6] = kind
        entry[7] = status
        entry[8] = seconds > 0 ? 2 : 1
        entry.setAt(9, "u32", seconds > 0 ? seconds : this.clock.secondsIndex())
        const octets = join([entry, Buffer.from([address.length]), address, telegram])
        octets.blitAt(0, checkOf(this.open, octets), 0, 4)
        if (this.fill === 0) this.firstMs = platform().millis()
        const at = this.fill
        this.fill = at + octets.length
        this.weight += length + entryOctets
        ++this.writing
        try {
            this.write(areaOf(this.open) + at, octets)
        } finally {
            --this.writing
        }
    }

    /** Signs what is to be signed. For a fiber of its own, each 100 ms: a line of 9600 Bd fills a list in 1.2 s. */
    round(): void {
        if (this.writing > 0 || this.answering) return
        if (this.open === this.newest + 1 && this.fill > 0 && platform().millis() - this.firstMs >= longestOpenMs)
            this.next()
        if (this.open <= this.newest + 1) return
        this.signing = true
        try {
            this.sign()
        } finally {
            this.signing = false
        }
    }

    /**
     * Answers while no list is being signed, and the other way round: each wants some 7 KB in long pieces, and the heap has not room for both.
     * Requests come on one connection, one after the other.
     */
    alone(answer: () => Buffer): Buffer {
        while (this.signing) platform().sleepMs(20)
        this.answering = true
        try {
            return answer()
        } finally {
            this.answering = false
        }
    }

    /** System title of the MUC as a client of DLMS: three letters, and the last five octets of its server id. */
    clientTitle(): Buffer {
        return join([Buffer.from("PLM"), cut(this.serverId, this.serverId.length - 5, 5)])
    }

    /** A signed list: its signature (64), and the octets that are signed; undefined where it is no more, or not yet. */
    list(number: number): Buffer[] | undefined {
        const place = this.load(number)
        return place ? [cut(place, 42, 64), cut(place, signedAt, place.length - signedAt)] : undefined
    }

    private next(): void {
        ++this.open
        this.fill = 0
        this.weight = 0
    }

    /** Signs the list behind the newest. */
    private sign(): void {
        const number = this.newest + 1
        const telegrams: HeldTelegram[] = []
        let at = 0
        let held = this.telegram(number, 0)
        while (held) {
            telegrams.push(held)
            at += headSize + held.value.length
            platform().sleepMs(pauseMs)
            held = this.telegram(number, at)
        }
        const machine = this.machine
        const signed = writeTelegramList(
            this.serverId,
            number,
            this.clock.secondsIndex(),
            this.clock.utcSeconds(),
            machine,
            machine.custody.protection,
            this.previous,
            telegrams,
        )
        const digest = platform().sha256([signed])
        const place = Buffer.alloc(signedAt + signed.length)
        place.setAt(4, "u32", number)
        place.setAt(8, "u16", signed.length)
        place.blitAt(10, digest, 0, 32)
        place.blitAt(42, machine.custody.sign(digest), 0, 64)
        place.blitAt(signedAt, signed, 0, signed.length)
        place.blitAt(0, platform().sha256([cut(place, 4, signedAt - 4), signed]), 0, 4)
        this.write(placeOf(number % telegramLists), place)
        this.previous = digest
        this.newest = number
    }

    /** The telegram at this place of the list of this number, as far as it is being filled. */
    private telegram(number: number, at: number): HeldTelegram | undefined {
        if (at + headSize > openListSize) return undefined
        const area = areaOf(number)
        const length = this.store.read(area + at + 4, 2).getAt(0, "u16")
        if (length === 0 || at + headSize + length > openListSize) return undefined
        const octets = this.store.read(area + at, headSize + length)
        if (!sameOctets(cut(octets, 0, 4), checkOf(number, octets))) return undefined
        return {
            kind: octets[6],
            status: octets[7],
            timeKind: octets[8],
            seconds: octets.getAt(9, "u32"),
            value: cut(octets, headSize, length),
        }
    }

    private write(at: number, octets: Buffer): void {
        for (let from = 0; from < octets.length; from += piece) {
            if (from > 0) platform().sleepMs(pauseMs)
            this.store.write(at + from, cut(octets, from, Math.min(piece, octets.length - from)))
        }
    }

    /** All octets of the place of this list, where they are whole. */
    private load(number: number): Buffer | undefined {
        if (number < 1) return undefined
        const at = placeOf(number % telegramLists)
        const head = this.store.read(at, 10)
        const length = head.getAt(8, "u16")
        if (head.getAt(4, "u32") !== number || length > telegramListSize - signedAt) return undefined
        const octets = Buffer.alloc(signedAt + length)
        for (let from = 0; from < octets.length; from += piece) {
            octets.blitAt(from, this.store.read(at + from, Math.min(piece, octets.length - from)), 0, piece)
            platform().sleepMs(pauseMs)
        }
        const check = platform().sha256([cut(octets, 4, octets.length - 4)])
        return sameOctets(cut(octets, 0, 4), cut(check, 0, 4)) ? octets : undefined
    }
}

function placeOf(slot: number): number {
    return telegramListsAt + slot * telegramListSize
}

function areaOf(number: number): number {
    return openListsAt + (number & 1) * openListSize
}

/** Check of a telegram: what belongs to another list does not hold. */
function checkOf(number: number, octets: Buffer): Buffer {
    const head = Buffer.alloc(4)
    head.setAt(0, "u32", number)
    return cut(platform().sha256([head, cut(octets, 4, octets.length - 4)]), 0, 4)
}
