import { CRC_BAD } from "../core/crc16"
import { cut, join, sameOctets } from "../core/octets"
import { platform } from "../core/platform"
import { readFile, type SmlMessage } from "../core/sml-read"
import { GET_LIST_RES } from "../core/sml-tables"
import { childrenAt, integerAt, octetsAt, secondsAt, timeKindAt } from "../core/sml-values"
import type { Store } from "../core/store"
import { keptAt, keptPlaces, keptSize } from "./layout"

/**
 * The head of a place: check over the rest of it, number U32, received U32 (UTC, 0 = not known), the list's own time U32, length of
 * the file U16, kind of that time (`TIME_STAMP`: UTC seconds), sound U8 (1: no fault, open cover or clock not trusted), server id 10, drawn and fed in
 * U64 (0.1 Wh), power I32 (0.1 W), SHA-256 of the file cut to 8, pagination U32.
 */
export const numberAt = 4
const receivedAt = 8
export const timeAt = 12
const lengthAt = 16
export const kindAt = 18
export const soundAt = 19
export const idAt = 20
export const drawnAt = 32
export const fedInAt = 40
export const powerAt = 48
const digestAt = 52
export const paginationAt = 60
const headSize = 64
/** Bits of the status word (core/README.md): clock, cover, front end, no module. */
const unsound = 0x87
export const idSize = 10
const daySeconds = 86400

/**
 * What the MUC keeps of its meters for the customer: signed lists that went through it, as they came. Of each meter the newest, and
 * the first of each day, until their places are needed.
 */
export class KeptReadings {
    constructor(private readonly store: Store) {}

    /** An answer on its way to the head-end, received at `utcSeconds` (0 = not known): kept, where it is a signed list; its head then. */
    take(raw: Buffer, utcSeconds: number): Buffer | undefined {
        if (raw.length > keptSize - headSize) return undefined
        const file = readFile(raw, false, CRC_BAD)
        for (let i = 1; i < file.messages.length; ++i) {
            const message = file.messages[i]
            if (message.tag !== GET_LIST_RES) continue
            const head = headOf(message)
            if (!head) break
            head.setAt(receivedAt, "u32", utcSeconds)
            head.setAt(lengthAt, "u16", raw.length)
            head.blitAt(digestAt, platform().sha256([raw]), 0, 8)
            this.keep(head, raw)
            return head
        }
        return undefined
    }

    /** Places of what is kept, the newest first. */
    newestFirst(): number[] {
        const places: number[] = []
        const numbers: number[] = []
        for (let place = 0; place < keptPlaces; ++place) {
            const head = this.head(place)
            if (!head) continue
            const number = head.getAt(numberAt, "u32")
            let i = places.length
            for (; i > 0 && numbers[i - 1] < number; --i) {
                places[i] = places[i - 1]
                numbers[i] = numbers[i - 1]
            }
            places[i] = place
            numbers[i] = number
        }
        return places
    }

    /** The file of the reading with this number, as it came; undefined where it is kept no more. */
    file(number: number): Buffer | undefined {
        for (let place = 0; place < keptPlaces; ++place) {
            const head = this.head(place)
            if (!head || head.getAt(numberAt, "u32") !== number) continue
            const raw = this.store.read(placeOf(place) + headSize, head.getAt(lengthAt, "u16"))
            if (sameOctets(cut(platform().sha256([raw]), 0, 8), cut(head, digestAt, 8))) return raw
        }
        return undefined
    }

    private keep(head: Buffer, raw: Buffer): void {
        const id = cut(head, idAt, idSize)
        // Numbers of the newest of all, of this meter's newest and of the one before; places of the latter and of the oldest of all.
        let newest = 0
        let last = 0
        let lastPlace = 0
        let lastDay = -1
        let before = 0
        let beforeDay = -2
        let oldest = 0xffffffff
        let oldestPlace = 0
        for (let place = 0; place < keptPlaces; ++place) {
            const held = this.head(place)
            const number = held ? held.getAt(numberAt, "u32") : 0
            if (number < oldest) {
                oldest = number
                oldestPlace = place
            }
            newest = Math.max(newest, number)
            if (!held || !sameOctets(cut(held, idAt, idSize), id)) continue
            const day = Math.floor(held.getAt(receivedAt, "u32") / daySeconds)
            if (number > last) {
                before = last
                beforeDay = lastDay
                last = number
                lastPlace = place
                lastDay = day
            } else if (number > before) {
                before = number
                beforeDay = day
            }
        }
        const place = lastDay === beforeDay ? lastPlace : oldestPlace
        head.setAt(numberAt, "u32", newest + 1)
        const at = placeOf(place)
        // Whatever stands there is nobody's before its octets go.
        this.store.write(at, Buffer.alloc(headSize))
        this.store.write(at + headSize, raw)
        this.store.write(at, join([checkOf(head), cut(head, 4, headSize - 4)]))
    }

    /** The head of a place, undefined where nothing is kept. */
    head(place: number): Buffer | undefined {
        const head = this.store.read(placeOf(place), headSize)
        platform().yieldNow()
        return sameOctets(cut(head, 0, 4), checkOf(head)) ? head : undefined
    }
}

function placeOf(place: number): number {
    return keptAt + place * keptSize
}

function checkOf(head: Buffer): Buffer {
    return cut(platform().sha256([hex`4b`, cut(head, 4, headSize - 4)]), 0, 4)
}

/** The head for a signed list of a meter; undefined for any other. */
function headOf(message: SmlMessage): Buffer | undefined {
    const octets = message.octets
    const at = message.fields
    const id = octetsAt(octets, at[1])
    if (id.length !== idSize || octetsAt(octets, at[5]).length !== 64) return undefined
    const head = Buffer.alloc(headSize)
    head.blitAt(idAt, id, 0, idSize)
    head[kindAt] = timeKindAt(octets, at[3])
    head.setAt(timeAt, "u32", secondsAt(octets, at[3]))
    const entries = childrenAt(octets, at[4])
    for (let i = 0; i < entries.length; ++i) {
        const parts = childrenAt(octets, entries[i])
        const name = octetsAt(octets, parts[0]).toString("hex")
        // Of the profile, whose scaler is -1.
        if (name === "0100010800ff") head.setAt(drawnAt, "u64", integerAt(octets, parts[5]))
        else if (name === "8181c7f002ff") head.setAt(paginationAt, "u32", integerAt(octets, parts[5]))
        else if (name === "0100600500ff") head[soundAt] = (integerAt(octets, parts[5]) & unsound) === 0 ? 1 : 0
        else if (name === "0100020800ff") head.setAt(fedInAt, "u64", integerAt(octets, parts[5]))
        else if (name === "0100100700ff") head.setAt(powerAt, "i32", integerAt(octets, parts[5]))
    }
    return head
}
