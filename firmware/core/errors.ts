/**
 * Every error this firmware raises. The code is what the wire and the logbook carry and what tests
 * assert; the text is for people and may change.
 *
 * The thousands say whose fault it is: 1 the caller, 2 the data that came in, 3 a proof that failed,
 * 4 a device, 5 a missing right. The hundreds say which room: 0 octets, 1 DER, 2 X.509, 3 P-256,
 * 4 SML, 5 signed lists, 6 bus and chips, 7 storage, 8 calibration, 9 links.
 */
export enum Code {
    BadArgument = 1001,
    OutOfRange = 2001,
}

/**
 * What was expected, what came, and where (`at`: octet offset in the input, or -1 where there is none).
 * Neither text ever carries key material.
 */
export class PlombError extends Error {
    constructor(
        readonly code: number,
        readonly at: number,
        readonly expected: string,
        readonly came: string,
    ) {
        super("E" + code + (at >= 0 ? " at " + at : "") + ": expected " + expected + ", came " + came)
        this.name = "PlombError"
    }
}

/** Throws the one typed error. */
export function fail(code: number, at: number, expected: string, came: string): never {
    throw new PlombError(code, at, expected, came)
}
