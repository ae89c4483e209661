/** A family of vector files that is known but not run, with the reason. */
export interface Later {
    name: string
    reason: string
    recognises(json: any, path: string, text: string): boolean
}

const of = (name: string, issue: string) => `the core has no ${name} yet: ${issue}`
const readers = "it comes with the readers of other meters' telegrams"

/** All of the object's own names are there. */
function has(json: any, ...names: string[]): boolean {
    return typeof json === "object" && json !== null && names.every(name => name in json)
}

function algorithm(json: any): string {
    return typeof json?.algorithm === "string" && Array.isArray(json.testGroups) ? json.algorithm : ""
}

const firstCase = (json: any) => (Array.isArray(json?.cases) ? json.cases[0] : undefined)

/** Formats of later work; most particular first. */
export const later: Later[] = [
    {
        name: "AES-CCM",
        reason: "the core has no AES-CCM: no telegram of OMS or DLMS here needs it, and AES-256-CCM of the PLC links is native code of the DeviceScript runtime",
        recognises: json => /AES-CCM/.test(algorithm(json)),
    },
    {
        name: "SHA-256",
        reason: "it is native code of the DeviceScript runtime (and of Node), not of the core",
        recognises: json => /^SHA2/.test(algorithm(json)),
    },
    {
        name: "DLMS/COSEM",
        reason: of("DLMS", readers),
        recognises: json =>
            has(firstCase(json), "apdu") ||
            has(firstCase(json), "llcPdu") ||
            has(firstCase(json), "systemTitle") ||
            has(firstCase(json), "stream") ||
            has(firstCase(json), "frame", "expected"),
    },
    {
        name: "IEC 62056-21",
        reason: of("IEC 62056-21", readers),
        recognises: (json, path, text) =>
            has(json, "dataSets") || has(json, "exchange") || (path.endsWith(".raw") && text.includes("/")),
    },
    {
        name: "SAFE transparency software",
        reason: "signed readings of charging meters are the verifier's, not the core's: plomb verify FILE judges them",
        recognises: (_json, path, text) => path.endsWith(".xml") && /<signedData/.test(text),
    },
]
