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

/** What a reading of the reference may say; outside it is a slip of the hand or of the unit. */
const ranges = [
    ["volts", 50, 350],
    ["amperes", 0.1, 100],
    ["lagDegrees", -89, 89],
    ["hertz", 45, 65],
] as const

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
        const { code, message } = error as NodeJS.ErrnoException
        throw new Error(code ? `${path} can not be read (${code})` : `${path} is no JSON: ${message}`)
    }
    for (const { name } of points)
        for (const [quantity, least, most] of ranges) {
            const value = stored?.[name]?.[quantity]
            if (typeof value !== "number" || !(value >= least && value <= most))
                throw new Error(`${path}: expected ${least} to ${most} for ${name}.${quantity}, came ${value}`)
        }
    let set = ""
    return {
        description: `readings of ${path}`,
        apply: async point => {
            const { name } = point
            const { volts, amperes, lagDegrees, hertz } = stored[name]
            // A point is visited more than once; the source stands where it was set.
            if (set !== name)
                await ask(
                    `Set the source to ${volts} V, ${amperes} A, ${lagDegrees} degrees lagging, until it is steady.`,
                )
            set = name
            return { name, volts, amperes, lagDegrees, hertz }
        },
    }
}
