import { createHash } from "node:crypto"
import { type PublicKey, verifyBoth } from "../verify/curves.ts"
import { numberOf, obis, readSignedItem, type SignedItem, textOctets } from "../verify/signed-list.ts"
import { readSmlFile, type SmlFile } from "../verify/sml-file.ts"
import { listOf, octetsOf } from "../verify/sml-tlv.ts"

/** A signed list or profile row as it left the meter; energies in 0.1 Wh. */
export interface Entry {
    kind: "list" | "profile row"
    pagination: number
    signed: string
    signature: string
    drawn: number
    /** Tariffs 1 and 2 together; lists only. */
    tariffs: number | undefined
    fedIn: number
    secondsIndex: number
    timeQuality: number
    /** The sensor's time in seconds, and of a row the end of its period. */
    seconds: number
    periodEnd: number | undefined
    status: number
    power: number
    previousHash: string
}

/** Attention numbers (last two octets, hex) of a response file, in order. */
export function attentionsOf(raw: Buffer): string[] {
    const file = readSmlFile(raw)
    return file.messages
        .filter(({ tag }) => tag === 0xff01)
        .map(({ body }) =>
            octetsOf(file.payload, listOf(body, 4, "Attention.Res")[1], "attentionNo")
                .toString("hex")
                .slice(-4),
        )
}

/** The signed lists and rows of a response file, in order. Throws `SmlDamage` for damaged octets. */
export function itemsOf(raw: Buffer): { file: SmlFile; item: SignedItem }[] {
    const file = readSmlFile(raw)
    if (file.damage) throw file.damage
    return file.messages.flatMap((_, i) => {
        const item = readSignedItem(file, i)
        return item ? [{ file, item }] : []
    })
}

function entryOf(file: SmlFile, item: SignedItem): Entry {
    const number = (code: string) => Number(numberOf(file.payload, item, code) ?? Number.NaN)
    const status = item.status ?? numberOf(file.payload, item, obis.status)
    const power = item.entries.find(each => each.obis === obis.power)?.value
    return {
        kind: item.kind,
        pagination: number(obis.pagination),
        signed: item.signed.toString("hex"),
        signature: item.signature.toString("hex"),
        drawn: number(obis.drawn),
        tariffs: item.kind === "list" ? number(obis.drawn1) + number(obis.drawn2) : undefined,
        fedIn: number(obis.fedIn),
        secondsIndex: number(obis.secondsIndex),
        timeQuality: number(obis.timeQuality),
        seconds: item.time?.seconds ?? Number.NaN,
        periodEnd: item.valTime?.seconds,
        status: Number(status),
        power: power ? file.payload.readInt32BE(power.end - 4) : Number.NaN,
        previousHash: textOctets(file.payload, item, obis.previousHash)?.toString("hex") ?? "",
    }
}

/**
 * Everything one meter has signed, as seen from outside, and the rules it must keep whatever happens to it: one
 * content a pagination, none left out, each naming the one before, registers and seconds index never going back.
 */
export class Ledger {
    readonly entries = new Map<number, Entry>()
    /** One line for each broken rule. */
    readonly failures: string[] = []
    newest = 0

    /** `key`: the meter's. */
    constructor(private readonly key: PublicKey) {}

    /** Takes a response file in; answers the entries it held, the known ones too. */
    take(raw: Buffer): Entry[] {
        return itemsOf(raw).map(({ file, item }) => {
            const entry = entryOf(file, item)
            const { pagination } = entry
            const known = this.entries.get(pagination)
            if (known && (known.signed !== entry.signed || known.signature !== entry.signature))
                this.failures.push(`pagination ${pagination} stands for two contents`)
            else if (!known) {
                if (!verifyBoth(this.key, item.signed, item.signature).holds)
                    this.failures.push(`${entry.kind} ${pagination}: its signature does not hold`)
                this.entries.set(pagination, entry)
                this.newest = Math.max(this.newest, pagination)
            }
            return entry
        })
    }

    /** Paginations below the newest that nobody has seen. */
    missing(): number[] {
        const gaps: number[] = []
        const seen = [...this.entries.keys()].sort((a, b) => a - b)
        for (let i = 1; i < seen.length; ++i) for (let gap = seen[i - 1] + 1; gap < seen[i]; ++gap) gaps.push(gap)
        return gaps
    }

    /** Sensor's times in seconds of the nearest entries before and after a missing pagination, between which it was issued. */
    around(pagination: number): [number, number] {
        const seen = [...this.entries.keys()]
        const seconds = (nearest: number) => this.entries.get(nearest)?.seconds ?? Number.NaN
        return [
            seconds(Math.max(...seen.filter(each => each < pagination))),
            seconds(Math.min(...seen.filter(each => each > pagination))),
        ]
    }

    /** Compares all neighbours in the order of their paginations. */
    judge(): string[] {
        const failures = [...this.failures]
        const entries = [...this.entries.values()].sort((a, b) => a.pagination - b.pagination)
        for (let i = 1; i < entries.length; ++i) {
            const [before, after] = [entries[i - 1], entries[i]]
            const say = (text: string) => failures.push(`${before.pagination} to ${after.pagination}: ${text}`)
            if (after.pagination !== before.pagination + 1) say("a pagination is missing")
            else if (after.previousHash !== hashOf(before)) say("the hash of the one before is another")
            if (after.drawn < before.drawn) say(`1-0:1.8.0 went back from ${before.drawn} to ${after.drawn}`)
            if (after.fedIn < before.fedIn) say(`1-0:2.8.0 went back from ${before.fedIn} to ${after.fedIn}`)
            if (after.secondsIndex < before.secondsIndex)
                say(`the seconds index went back from ${before.secondsIndex} to ${after.secondsIndex}`)
        }
        for (const { pagination, tariffs, drawn } of entries)
            if (tariffs !== undefined && Math.abs(tariffs - drawn) > 1)
                failures.push(`${pagination}: the tariffs make ${tariffs}, 1-0:1.8.0 is ${drawn}`)
        return failures
    }
}

function hashOf(entry: Entry): string {
    return createHash("sha256").update(Buffer.from(entry.signed, "hex")).digest("hex")
}
