import { readFile } from "node:fs/promises"

/** One operating point of the reference: what is really applied to the meter. */
export interface ReferencePoint {
    name: string
    volts: number
    amperes: number
    /** Current lags voltage by this many degrees. */
    lagDegrees: number
    hertz: number
}

/** Applies a point to the meter and answers what the reference standard then reads. */
export interface ReferenceSource {
    description: string
    apply(point: ReferencePoint): Promise<ReferencePoint>
}

/** Active power of a point in watts. */
export function wattsOf(point: ReferencePoint): number {
    return point.volts * point.amperes * Math.cos((point.lagDegrees * Math.PI) / 180)
}

/** Gains are taken at the first point, phase at the second; the third proves both. */
export const points: ReferencePoint[] = [
    { name: "gain", volts: 230, amperes: 5, lagDegrees: 0, hertz: 50 },
    { name: "phase", volts: 230, amperes: 5, lagDegrees: 60, hertz: 50 },
    { name: "proof", volts: 230, amperes: 10, lagDegrees: 36.87, hertz: 50 },
]

/**
 * A reference whose readings a person or another program has put into a JSON file:
 * `{"gain": {"volts": 230.02, "amperes": 5.001, "lagDegrees": 0.1, "hertz": 50}, "phase": …, "proof": …}`.
 * `ask` tells the person to set the source and waits.
 */
export async function referenceFromFile(path: string, ask: (text: string) => Promise<void>): Promise<ReferenceSource> {
    let stored: Record<string, Omit<ReferencePoint, "name">>
    try {
        stored = JSON.parse(await readFile(path, "utf8"))
    } catch (error) {
        throw new Error(`${path}: ${(error as Error).message}`)
    }
    for (const { name } of points)
        for (const quantity of ["volts", "amperes", "lagDegrees", "hertz"] as const)
            if (typeof stored[name]?.[quantity] !== "number")
                throw new Error(`${path}: expected a number for ${name}.${quantity}, came ${stored[name]?.[quantity]}`)
    return {
        description: `readings of ${path}`,
        apply: async point => {
            const reading = { ...stored[point.name], name: point.name }
            await ask(
                `Set the source to ${reading.volts} V, ${reading.amperes} A, ${reading.lagDegrees} degrees lagging, and wait until it is steady.`,
            )
            return reading
        },
    }
}
