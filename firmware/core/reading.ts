/** One value of a meter by its OBIS code, whatever protocol brought it. */
export class Reading {
    /** DLMS code of the unit (IEC 62056-6-2 table 4); 255 = none, or not said. */
    unit = 255
    /** The number is `value` times this power of ten, exactly, where `exact`; else it is no number, or one that needs more than 53 bits. */
    exponent = 0
    value = 0
    exact = false
    /** When it was measured: [year, month, day, hour, minute, second] as the meter has it, -1 = not given; empty = with the telegram. */
    time: number[] = []

    /** `obis`: six octets A to F. `octets`: the value as sent, which begins at `at`. */
    constructor(
        readonly obis: Buffer,
        readonly octets: Buffer,
        readonly at: number,
    ) {}
}
