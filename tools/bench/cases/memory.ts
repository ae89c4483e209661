import type { Component } from "./stage.ts"

/** What goes on by itself, or tells of an attempt: everything else must stay as it is. Octets of the FRAM, from and to. */
const moving: Record<Component["name"], [from: number, to: number][]> = {
    // Time, energy journal, logbooks (firmware/meter/layout.ts).
    meter: [
        [0x00400, 0x00500],
        [0x01000, 0x02000],
        [0x0e000, 0x11000],
    ],
    // Logbook, certificates that are on their way (firmware/muc/layout.ts).
    MUC: [
        [0x11000, 0x17000],
        [0x1f400, 0x20000],
    ],
}

/** A copy of the FRAM without what moves. */
export function stillOf({ name, bench }: Component): Buffer {
    const copy = Buffer.from(bench.fram.memory)
    for (const [from, to] of moving[name]) copy.fill(0, from, to)
    return copy
}

/** Where two copies differ, "" for nowhere. */
export function differences(before: Buffer, after: Buffer): string {
    const places: string[] = []
    for (let at = 0; at < before.length; at += 256)
        if (!before.subarray(at, at + 256).equals(after.subarray(at, at + 256)))
            places.push(`0x${at.toString(16).padStart(5, "0")}`)
    return places.slice(0, 8).join(" ")
}
