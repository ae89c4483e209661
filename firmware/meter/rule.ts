import type { Meter, Rule } from "./meter"
import { fedIn } from "./registers"

const daySeconds = 86400

/** Counts by the fixed part's own rule: tariffs by the time of day, periods as `Meter` sees them; signed lists name the fixed part itself as what measures. */
export function plainRule(meter: Meter): Rule {
    const registers = meter.registers
    return {
        identification: Buffer.from(meter.machine.softwareIdentification),
        checksum: meter.machine.softwareChecksum,
        count: (microwattSeconds: number) => {
            meter.periodOver = true
            if (microwattSeconds < 0) registers.add(fedIn, -microwattSeconds)
            else {
                const time = meter.time
                const seconds = time.utcSeconds()
                const day = Math.floor(seconds / daySeconds)
                const minute = Math.floor((seconds - day * daySeconds) / 60)
                registers.add(0, microwattSeconds)
                // 1 January 1970 was a Thursday.
                registers.add(time.trusted() ? meter.parameters.tariff(minute, (day + 3) % 7) : 1, microwattSeconds)
            }
        },
    }
}
