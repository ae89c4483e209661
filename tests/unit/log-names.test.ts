import { expect, test } from "vitest"
import { Event } from "../../firmware/core/logbook.ts"
import { reasonOf } from "../../tools/tls/reason.ts"
import { events } from "../../tools/verify/logbook-words.ts"
import { withNames } from "../../tools/vm/codes.ts"

test("an error code in a board's log gets its name, whatever else has four digits stays", () => {
    expect(withNames("directory: ca-root E2958 at 12")).toBe("directory: ca-root E2958 LdapMissing at 12")
    expect(withNames("uplink 127.0.0.1:7259 E3213")).toBe("uplink 127.0.0.1:7259 E3213 CrlMissing")
    for (const line of ["E9999", "0100E2958F", "read 2958 octets"]) expect(withNames(line)).toBe(line)
})

test("a refused TLS connection is told in words: the peer's alert, our own reason, or what the socket says", () => {
    const error = (message: string, reason?: string) => Object.assign(new Error(message), reason ? { reason } : {})
    expect(reasonOf(error("80DC:error:0A000416:SSL…", "sslv3 alert certificate unknown"))).toBe(
        "the peer's alert: certificate unknown",
    )
    expect(reasonOf(error("80DC:error:0A0000C7:SSL…", "peer did not return a certificate"))).toBe(
        "peer did not return a certificate",
    )
    expect(reasonOf(error("read ECONNRESET\n"))).toBe("read ECONNRESET")
})

test("every event that a logbook can hold is told in words", () => {
    const numbers = Object.values(Event).filter(each => typeof each === "number")
    expect(numbers.filter(number => events[number] === undefined)).toEqual([])
})
