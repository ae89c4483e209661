/**
 * Recorded transactions as text, one a line, and their replay: a recording of a real part put through its
 * model shows where the two differ.
 *
 * `atMs address write readLength -> status data`, octets in hexadecimal, `-` for none; `#` starts a comment.
 * Example: `12.5 60 030730000000035d 0 -> 0 -`
 */
import type { I2cBusModel, Transaction } from "./bus"

/** A line of a trace is not a transaction. */
export class TraceError extends Error {
    constructor(
        readonly line: number,
        came: string,
    ) {
        super(`trace line ${line}: expected "atMs address write readLength -> status data", came "${came}"`)
        this.name = "TraceError"
    }
}

const hexOf = (octets: Uint8Array) => (octets.length ? Buffer.from(octets).toString("hex") : "-")
const octetsOf = (text: string) => new Uint8Array(text === "-" ? [] : Buffer.from(text, "hex"))

/** One transaction as a line, without line end. */
export function formatTransaction(t: Transaction): string {
    const address = t.address.toString(16).padStart(2, "0")
    return `${t.atMs} ${address} ${hexOf(t.write)} ${t.readLength} -> ${t.status} ${hexOf(t.data)}`
}

/** Reads a trace; numbers the transactions from 1. Throws `TraceError`. */
export function parseTrace(text: string): Transaction[] {
    const out: Transaction[] = []
    const pattern =
        /^\s*(\d+(?:\.\d+)?)\s+([0-7][0-9a-f]) ((?:[0-9a-f]{2})+|-) (\d+) -> (0|-[123]) ((?:[0-9a-f]{2})+|-)\s*(?:#.*)?$/i
    for (const [index, line] of text.split(/\r?\n/).entries()) {
        if (/^\s*(#|$)/.test(line)) continue
        const m = pattern.exec(line)
        if (!m) throw new TraceError(index + 1, line)
        out.push({
            number: out.length + 1,
            atMs: Number(m[1]),
            address: Number.parseInt(m[2], 16),
            write: octetsOf(m[3]),
            readLength: Number(m[4]),
            status: Number(m[5]),
            data: octetsOf(m[6]),
        })
    }
    return out
}

/** One difference between a recording and what the model answered. */
export interface Difference {
    recorded: Transaction
    status: number
    data: Uint8Array
}

/** Sends a recording to `bus`, waiting between transactions as recorded (`wait` in milliseconds). */
export function replay(trace: Transaction[], bus: I2cBusModel, wait: (ms: number) => void): Difference[] {
    const differences: Difference[] = []
    let before = trace[0]?.atMs ?? 0
    for (const recorded of trace) {
        wait(Math.max(0, recorded.atMs - before))
        before = recorded.atMs
        const { status, data } = bus.transfer(recorded.address, recorded.write, recorded.readLength)
        if (status !== recorded.status || hexOf(data) !== hexOf(recorded.data)) {
            differences.push({ recorded, status, data })
        }
    }
    return differences
}
