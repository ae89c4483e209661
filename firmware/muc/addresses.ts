import type { Settings } from "../../hal/ports"
import { Code, fail } from "../core/errors"
import { SwitchedRecord } from "../core/journal"
import { cut } from "../core/octets"
import type { Store } from "../core/store"
import { endpointOf } from "./endpoint"
import { addressesAt } from "./layout"

/** Longest text of addresses, octets. */
const mostText = 200

/** A text of up to `most` octets in the store, replaced whole. */
export class TextRecord {
    private readonly record: SwitchedRecord
    private held: Buffer

    constructor(
        store: Store,
        at: number,
        private readonly most: number,
    ) {
        this.record = new SwitchedRecord(store, at, 1 + most)
        const data = this.record.load()
        this.held = data ? cut(data, 1, data[0]) : hex``
    }

    get(): Buffer {
        return this.held
    }

    set(text: Buffer): void {
        if (text.length > this.most) fail(Code.OutOfRange, -1, "at most " + this.most + " octets", "" + text.length)
        const data = Buffer.alloc(1 + this.most)
        data[0] = text.length
        data.blitAt(1, text, 0, text.length)
        this.record.save(data)
        this.held = text
    }
}

/**
 * Where the MUC connects: the lines "uplink=HOST:PORT", "directory=HOST:PORT" and "provider=NAME" that a command has set, and the board's
 * settings of the same names for what they leave out.
 */
export class Addresses implements Settings {
    readonly text: TextRecord

    constructor(
        store: Store,
        private readonly settings: Settings,
    ) {
        this.text = new TextRecord(store, addressesAt, mostText)
    }

    get(name: string): string {
        const line = name + "="
        const lines = this.lines(this.text.get())
        for (let i = 0; i < lines.length; ++i)
            if (lines[i].slice(0, line.length) === line) return lines[i].slice(line.length)
        return this.settings.get(name)
    }

    /** Throws `BadArgument` unless each line is one of those above. An empty text leaves all to the settings. */
    check(text: Buffer): void {
        const lines = this.lines(text)
        for (let i = 0; i < lines.length; ++i) {
            const line = lines[i]
            const at = line.indexOf("=") + 1
            const name = line.slice(0, at)
            const where = name === "uplink=" || name === "directory="
            const right = where ? endpointOf(line.slice(at)) !== undefined : name === "provider="
            if (!right) fail(Code.BadArgument, i, "uplink, directory or provider", line)
        }
    }

    private lines(text: Buffer): string[] {
        const lines: string[] = []
        let from = 0
        for (let at = 0; at <= text.length; ++at)
            if (at === text.length ? at > 0 : text[at] === 10) {
                lines.push(cut(text, from, at - from).toString("utf8"))
                from = at + 1
            }
        return lines
    }
}
