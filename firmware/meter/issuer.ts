import type { KeyCustody } from "../../hal/ports"
import { Code, fail } from "../core/errors"
import { RecordRing } from "../core/journal"
import { cut, join, sameOctets } from "../core/octets"
import { platform } from "../core/platform"
import { type SignedListFields, writeSignedList, writeSignedRow } from "../core/signed-list"
import type { Store } from "../core/store"
import {
    chainAt,
    chainCount,
    chainSize,
    listSlotSize,
    listSlots,
    listsAt,
    profileAt,
    profileCount,
    profileSize,
} from "./layout"

/** The signed octets of a list or row and their signature (64 octets), as they leave the meter. */
export interface Issued {
    signed: Buffer
    signature: Buffer
}

const digestSize = 32
const signatureSize = 64
const listHeader = 6
const rowHeader = 12

/**
 * Everything this meter signs passes here, one at a time: it gets the next pagination and the hash of the
 * one before, is signed, made durable, and only then handed out.
 *
 * The octets are stored before the head of the chain moves on; the one append to the chain is what makes a
 * pagination used. A power cut before it leaves the number free and nothing was seen; a cut after it leaves
 * the list in the store, where it can be had again unchanged. So no number stands for two contents and none
 * is skipped. A row's own append is durable as a whole, so after a cut behind it the chain is caught up.
 */
export class Issuer {
    private readonly chain: RecordRing
    private readonly rows: RecordRing
    private busy = false
    private slots = listSlots
    private slotSize = listSlotSize
    /** A row may be stored whose link is not in the chain yet. */
    private behind = true

    constructor(
        private readonly store: Store,
        private readonly custody: () => KeyCustody,
    ) {
        this.chain = new RecordRing(store, chainAt, chainCount, chainSize)
        this.rows = new RecordRing(store, profileAt, profileCount, profileSize)
        this.catchUp()
    }

    /** Keeps so many lists of up to `size` octets, in the same place. */
    keep(slots: number, size: number): void {
        this.slots = slots
        this.slotSize = size
    }

    /** Links or rows are lost: nothing may be signed, since a pagination could come twice. */
    damaged(): boolean {
        return this.chain.damaged(this.rows.newest > 0) || this.rows.torn > 1
    }

    /** Pagination of the last list or row issued; 0 before the first. */
    pagination(): number {
        const head = this.chain.latest()
        return head ? head.getAt(0, "u32") : 0
    }

    /**
     * Issues a list. `present` is asked for what it says when its turn has come, so that registers rise with the pagination;
     * pagination and previous hash are filled in here.
     */
    issueList(present: () => SignedListFields): Issued {
        this.enter()
        try {
            const fields = present()
            this.number(fields)
            const issued = this.sign(writeSignedList(fields))
            if (issued.signed.length + signatureSize + listHeader > this.slotSize)
                fail(Code.OutOfRange, -1, this.slotSize + " octets a list", "" + issued.signed.length)
            const body = join([issued.signed, issued.signature])
            const head = Buffer.alloc(listHeader)
            head.setAt(0, "u32", fields.pagination)
            head.setAt(4, "u16", issued.signed.length)
            this.store.write(this.listAddress(fields.pagination), join([head, body]))
            this.commit(fields.pagination, issued.signed)
            return issued
        } finally {
            this.busy = false
        }
    }

    /** Issues a profile row and keeps it in the load profile. */
    issueRow(present: () => SignedListFields): void {
        this.enter()
        try {
            const fields = present()
            this.number(fields)
            const issued = this.sign(writeSignedRow(fields))
            const record = Buffer.alloc(profileSize)
            record.setAt(0, "u32", fields.periodEnd)
            record.setAt(4, "u16", issued.signed.length)
            record[6] = fields.timeQuality
            record.setAt(8, "u32", fields.pagination)
            record.blitAt(rowHeader, issued.signature, 0, signatureSize)
            const room = profileSize - rowHeader - signatureSize
            if (issued.signed.length > room)
                fail(Code.OutOfRange, -1, room + " octets a row", "" + issued.signed.length)
            record.blitAt(rowHeader + signatureSize, issued.signed, 0, issued.signed.length)
            this.behind = true
            this.rows.append(record)
            this.commit(fields.pagination, issued.signed)
            this.behind = false
        } finally {
            this.busy = false
        }
    }

    /** The list with this pagination, where it is still kept. */
    storedList(pagination: number): Issued | undefined {
        const at = this.listAddress(pagination)
        const head = this.store.read(at, listHeader)
        const length = head.getAt(4, "u16")
        if (head.getAt(0, "u32") !== pagination || length + listHeader + signatureSize > this.slotSize) return undefined
        // Only what the chain knows was ever handed out; it has one link for each pagination.
        const link = this.chain.read(this.chain.newest - this.pagination() + pagination)
        if (!link || link.getAt(0, "u32") !== pagination) return undefined
        const signed = this.store.read(at + listHeader, length)
        if (!sameOctets(cut(link, 4, digestSize), platform().sha256([signed]))) return undefined
        return { signed: signed, signature: this.store.read(at + listHeader + length, signatureSize) }
    }

    /** Sequence numbers of the oldest and newest profile row; newest 0 where there is none. */
    oldestRow(): number {
        return Math.max(1, this.rows.newest - profileCount + 1)
    }
    newestRow(): number {
        return this.rows.newest
    }

    /** End of the period of a row and the time quality that says of which kind it is; unchecked, to look for rows. */
    peekRow(sequence: number): { periodEnd: number; timeQuality: number } {
        const head = this.rows.peek(sequence, 7)
        return { periodEnd: head.getAt(0, "u32"), timeQuality: head[6] }
    }

    /** One profile row with its period's end (of the kind `timeQuality` says), if it is there. */
    row(sequence: number): ProfileRow | undefined {
        const record = this.rows.read(sequence)
        return record ? rowOf(record) : undefined
    }

    /** Waits for the one before; signing takes a tenth of a second and other fibers run meanwhile. */
    private enter(): void {
        for (let waited = 0; this.busy; waited += 5) {
            if (waited > 3000) fail(Code.Busy, -1, "the signer free within 3 s", "busy")
            platform().sleepMs(5)
        }
        this.busy = true
    }

    private catchUp(): void {
        const newest = this.behind ? this.rows.latest() : undefined
        const next = this.pagination() + 1
        if (newest && newest.getAt(8, "u32") === next) this.commit(next, rowOf(newest).signed)
        this.behind = false
    }

    private number(fields: SignedListFields): void {
        this.catchUp()
        const head = this.chain.latest()
        fields.pagination = head ? head.getAt(0, "u32") + 1 : 1
        fields.previous = head ? cut(head, 4, digestSize) : Buffer.alloc(digestSize)
    }

    private sign(signed: Buffer): Issued {
        return { signed: signed, signature: this.custody().sign(platform().sha256([signed])) }
    }

    private commit(pagination: number, signed: Buffer): void {
        const link = Buffer.alloc(chainSize)
        link.setAt(0, "u32", pagination)
        link.blitAt(4, platform().sha256([signed]), 0, digestSize)
        this.chain.append(link)
    }

    private listAddress(pagination: number): number {
        return listsAt + (pagination % this.slots) * this.slotSize
    }
}

/** A row of the load profile as it was signed. */
export class ProfileRow {
    constructor(
        readonly periodEnd: number,
        readonly timeQuality: number,
        readonly signed: Buffer,
        readonly signature: Buffer,
    ) {}
}

function rowOf(record: Buffer): ProfileRow {
    return new ProfileRow(
        record.getAt(0, "u32"),
        record[6],
        cut(record, rowHeader + signatureSize, record.getAt(4, "u16")),
        cut(record, rowHeader, signatureSize),
    )
}
