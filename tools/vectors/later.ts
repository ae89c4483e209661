/** A family of vector files that is known but not run, with the reason. */
export interface Later {
    name: string
    reason: string
    recognises(json: any, path: string, text: string): boolean
}

function algorithm(json: any): string {
    return typeof json?.algorithm === "string" && Array.isArray(json.testGroups) ? json.algorithm : ""
}

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
        name: "SAFE transparency software",
        reason: "signed readings of charging meters are the verifier's, not the core's: plomb verify FILE judges them",
        recognises: (_json, path, text) => path.endsWith(".xml") && /<signedData/.test(text),
    },
]
