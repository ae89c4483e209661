import { fail } from "../core/errors"

/** Alerts of RFC 8446 clause 6 that are named outside of the table below. */
export const closeNotify = 0
export const userCanceled = 90

/** Code U16 LE and the alert it is told with; codes that are not here go by their room. */
const alerts = hex`
    540b 32  550b 0a  560b 2f  570b 16  580b 46  590b 28  5a0b 6d  5b0b 6e  5c0b 70  5d0b 2f
    b80b 14  9c08 2b  fd08 2f  3f0f 74  400f 2a  810c 2a  820c 2d  830c 2d  840c 30  850c 30
    860c 2a  870c 2a  880c 2b  890c 2b  8a0c 2a  8b0c 2c  8c0c 2b  8d0c 2e  8e0c 2e  8f0c 2e
    900c 2e`

/** The alert that tells the peer of an error of this code (RFC 8446 6.2). */
export function alertOf(code: number): number {
    for (let at = 0; at < alerts.length; at += 3) if (alerts.getAt(at, "u16") === code) return alerts[at + 2]
    const room = Math.floor(code / 100)
    // bad_certificate, decrypt_error, access_denied, and internal_error for what is not the peer's doing
    if (room === 21 || room === 22) return 42
    if (room === 39) return 51
    return room >= 50 ? 49 : 80
}

/** Throws: something else came than `expected`. */
export function refuse(code: number, expected: string): never {
    fail(code, -1, expected, "another")
}
