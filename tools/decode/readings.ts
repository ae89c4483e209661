import type { Reading } from "../../firmware/core/reading"
import { decimal } from "./decimal.ts"
import { ownUnit } from "./mbus-names.ts"
import { shortest, timeText } from "./mbus-values.ts"
import { obisText } from "./obis.ts"
import { unitName } from "./units.ts"

/** A reading as it is printed, the same for every protocol. */
export interface DecodedReading {
    obis: string
    /** Exact decimal text. */
    value?: string
    unit?: string
    /** What was sent, where it is no number: as text if it can be read, and as octets. */
    text?: string
    hex?: string
    /** When it was measured, as the meter has it. */
    time?: string
}

function valueText({ value, exponent }: Reading): string {
    if (Number.isInteger(value)) return decimal(BigInt(value), exponent)
    const digits = shortest(value, exponent)
    return decimal(digits.raw, digits.exponent)
}

export function decodedReading(reading: Reading): DecodedReading {
    const { octets, unit } = reading
    const name = ownUnit(unit) ?? (unit === 255 ? undefined : unitName(unit))
    const text = octets.toString("latin1")
    return {
        obis: obisText(reading.obis),
        ...(reading.exact ? { value: valueText(reading) } : {}),
        ...(name ? { unit: name } : {}),
        ...(reading.exact
            ? {}
            : {
                  ...(/^[ -~]+$/.test(text) ? { text } : {}),
                  ...(octets.length > 0 ? { hex: octets.toString("hex") } : {}),
              }),
        ...(reading.time.length > 0 ? { time: timeText(reading.time) } : {}),
    }
}
