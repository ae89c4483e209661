import { Code } from "../../firmware/core/errors"

/** What a code of the meter means to the person at the station, and what to do; by the command it answers. */
const sentences: Record<number, string> = {
    [Code.BadArgument]: "it does not take this value",
    [Code.StepOutOfOrder]: "it is not at this step: run the same command again",
    [Code.CertificateMissing]: "a certificate did not arrive whole: run the same command again",
    [Code.OutOfRange]: "a value is outside what it can hold",
    [Code.ChainExpired]: "by this station's clock the calibration authority's certificates are past their time",
    [Code.ChainNotYetValid]: "by this station's clock the certificates are not valid yet: look at its date",
    [Code.CertificateForOtherKey]: "the certificate is for another key than the one it holds",
    [Code.CertificateForOtherName]: "the certificate names another device",
    [Code.RoleMismatch]: "a certificate has not the role that its place asks for: is this the PKI's own?",
    [Code.ChainIssuer]: "a certificate was not issued under the anchor that it was produced with",
    [Code.TimeNotTrusted]: "its clock has stopped: look at its battery",
    [Code.TooManyKeys]: "it has no room for another key",
    [Code.InstallationIncomplete]: "a key or the password is still to be brought",
    [Code.BusStuck]: "its I2C bus is held: look for a short or a part without supply",
    [Code.PartMismatch]: "another part answers at this address",
    [Code.ReadBackMismatch]: "a part does not keep what is written to it",
    [Code.FramWriteProtected]: "its memory (FRAM) is write-protected: look at the WP pin",
    [Code.FrontEndReset]: "its front end was reset and is being started: run the same command again",
    [Code.ElementWake]: "the secure element stopped answering: look at its supply, then run the same command again",
    [Code.ElementExecution]: "the secure element does not allow this: it was configured for something else",
    [Code.ElementRestart]: "the secure element restarts in the midst of a command: its supply is weak",
    [Code.ElementSelfTest]: "the secure element failed its self-test: replace it",
    [Code.ElementRandom]: "the secure element's random numbers failed their test: replace it",
    [Code.ElementLocked]: "the secure element was locked before",
    [Code.ElementConfigForeign]: "the secure element is locked for ever with a foreign configuration: replace it",
    [Code.RecordDamaged]: "a record in its memory is damaged",
    [Code.KeyAbsent]: "it holds no key",
    [Code.Busy]: "it is busy: run the same command again",
    [Code.AlreadyInstalled]: "it is installed, and opening it again needs an order of an authority",
    [Code.AlreadyCalibrated]: "it is calibrated, and calibration is closed",
}

const silent = [Code.PartAbsent, Code.BusAddressNack, Code.BusDataNack]
const frontEnd = "its metering front end (ADE7953)"
const parts: Record<string, string> = { adjust: frontEnd, measure: frontEnd, certify: "its clock or secure element" }

/** One clear sentence for the code with which the meter refused `command`. */
export function meaningOf(command: string, code: number): string {
    const name = `E${code} ${Code[code] ?? "unknown"}`
    if (silent.includes(code))
        return `${parts[command] ?? "its secure element (ATECC608B) or memory"} does not answer (${name})`
    const sentence = sentences[code]
    return sentence ? `${sentence} (${name})` : name
}
