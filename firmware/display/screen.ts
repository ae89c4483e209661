import { Code } from "../core/errors"
import { draw, invert } from "../core/font"
import { noAge, Quality, type Values } from "../core/indicator"

/** Values older than this are not present values, in seconds: the MUC sends every 10 s what is new. */
export const presentSeconds = 90
const daySeconds = 86400
const pictureSize = 1024

/** What a person sees, 128 x 64. */
export class Screen {
    readonly picture: Buffer

    constructor(
        /** Image and version: the first thing to be seen. */
        readonly identification: string,
    ) {
        this.picture = Buffer.alloc(pictureSize)
    }

    /**
     * The picture for the last values that came and their age in seconds, both `undefined` where none has come. `trouble` is
     * why nothing comes, as far as it is known: a code, or 0. Present power is shown while it is present; today's consumption
     * while it is of today; what is missing is a row of dashes, and how long it has been missing.
     */
    show(values: Values | undefined, age: number, trouble: number): Buffer {
        this.picture.fillAt(0, pictureSize, 0)
        if (!values || values.age === noAge) {
            this.line(0, this.identification)
            this.middle(2, 2, "NO DATA")
            this.middle(5, 1, values ? "the meter is silent" : "waiting for the MUC")
            this.middle(7, 1, reasonOf(trouble))
            return this.picture
        }
        const present = age <= presentSeconds
        this.right(0, 3, (present ? wattsOf(values.power) : "----") + " W")
        if (present) this.line(3, values.power < 0 ? "fed in now" : "drawn now")
        else this.line(3, reasonOf(trouble))

        const known = (values.flags & Quality.EnergyKnown) !== 0 && dayOf(values, age) === dayOf(values, 0)
        this.right(4, 2, (known ? kilowattHours(values.energy) : "--.--") + " kWh")
        if (known) this.line(6, spanOf(values, present))

        if (!present) {
            this.line(7, "NO DATA for " + spell(age))
            invert(this.picture, 7)
        } else if ((values.flags & Quality.MeterFault) !== 0) this.line(7, "meter reports a fault")
        else if ((values.flags & Quality.TimeKnown) === 0) this.line(7, "time not known")
        else this.line(7, "at " + clockOf(values, values.time, true))
        return this.picture
    }

    private line(page: number, words: string): void {
        draw(this.picture, 0, page, 1, words)
    }

    private right(page: number, scale: number, words: string): void {
        draw(this.picture, 129 - scale - (words.length * 6 - 1) * scale, page, scale, words)
    }

    private middle(page: number, scale: number, words: string): void {
        draw(this.picture, (128 - words.length * 6 * scale) >> 1, page, scale, words)
    }
}

function reasonOf(trouble: number): string {
    switch (trouble) {
        case 0:
            return ""
        case Code.KeyAbsent:
            return "no key is installed"
        case Code.PlcWrongKey:
            return "wrong key"
        case Code.PlcDamaged:
            return "line is disturbed"
        default:
            return "fault E" + trouble
    }
}

function wattsOf(deciwatts: number): string {
    const watts = Math.round(Math.abs(deciwatts) / 10)
    return watts < 100000 ? "" + watts : Math.floor(watts / 1000) + "k"
}

/** Cut off, not rounded: a register never shows what has not been drawn yet. */
function kilowattHours(deciWattHours: number): string {
    const hundredths = Math.floor(deciWattHours / 100)
    return Math.floor(hundredths / 100) + "." + two(hundredths)
}

/** The local day that it is `age` seconds after the values. */
function dayOf(values: Values, age: number): number {
    return Math.floor((values.time + age + values.zone * 60) / daySeconds)
}

function spanOf(values: Values, present: boolean): string {
    const whole = (values.flags & Quality.WholeDay) !== 0
    const from = clockOf(values, values.from, false)
    if (present) return whole ? "today" : "since " + from
    // A line has 21 letters.
    return (whole ? "today until " : "from " + from + " to ") + clockOf(values, values.time, false)
}

function clockOf(values: Values, utcSeconds: number, seconds: boolean): string {
    const local = utcSeconds + values.zone * 60
    const second = local - Math.floor(local / daySeconds) * daySeconds
    const text = two(Math.floor(second / 3600)) + ":" + two(Math.floor(second / 60) % 60)
    return seconds ? text + ":" + two(second % 60) : text
}

/** The last two digits. */
function two(n: number): string {
    n = n % 100
    return (n < 10 ? "0" : "") + n
}

function spell(seconds: number): string {
    const minutes = Math.floor(seconds / 60)
    if (minutes < 100) return minutes + " min"
    const hours = Math.floor(minutes / 60)
    return hours < 100 ? hours + " h" : Math.floor(hours / 24) + " days"
}
