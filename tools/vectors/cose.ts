import { answer } from "./device/cose-answer.ts"
import type { Case, Format } from "./format.ts"

interface Key {
    kty: string
    kid?: string
    crv?: string
    x?: string
    y?: string
    x_hex?: string
    y_hex?: string
    public?: string
}

interface Signer {
    key: Key
    external?: string
    alg?: string
    protected?: { alg?: string }
}

interface Example {
    title: string
    fail?: boolean
    input: { sign?: { signers: Signer[] }; sign0?: Signer }
    output: { cbor: string }
}

/** COSE_Sign and COSE_Sign1 examples of the COSE working group. */
export const cose: Format = {
    name: "COSE signatures",
    program: "tools/vectors/device/cose.ts",
    capacity: 8192,
    answer,
    recognises(json) {
        const { title, input, output } = (json ?? {}) as Partial<Example>
        return (
            typeof title === "string" && typeof output?.cbor === "string" && (input?.sign ?? input?.sign0) !== undefined
        )
    },
    cases: json => [example(json as Example)],
}

function example({ title, fail, input, output }: Example): Case {
    const signers = input.sign0 ? [input.sign0] : input.sign!.signers
    const keys = signers.map(({ key }) => trusted(key))
    const foreign = keys.indexOf(undefined)
    if (foreign >= 0) {
        const { kty, crv } = signers[foreign].key
        return { id: title, unsupported: `${crv ?? kty}: design.md section 5 has ES256 and HSS/LMS only` }
    }
    const external = Buffer.from(signers[0].external ?? "", "hex")
    return {
        id: title,
        request: coseRequest(keys as TrustedKey[], external, Buffer.from(output.cbor, "hex")),
        judge(reply) {
            if ("escaped" in reply) return { fail: `escaped: ${reply.escaped}` }
            const held =
                "octets" in reply && reply.octets.length === signers.length && reply.octets.every((key, i) => key === i)
            if (held !== (fail ?? false)) return "pass"
            return {
                fail: "error" in reply ? `refused with E${reply.error} at ${reply.at}` : held ? "held" : "refused",
            }
        },
    }
}

/** A key as `device/cose-answer.ts` takes it. */
export interface TrustedKey {
    algorithm: number
    kid: Uint8Array
    key: Uint8Array
}

function trusted(key: Key): TrustedKey | undefined {
    const kid = Buffer.from(key.kid ?? "", "utf8")
    if (key.kty === "HSS-LMS") return { algorithm: -46, kid, key: Buffer.from(key.public ?? "", "hex") }
    if (key.kty !== "EC" || key.crv !== "P-256") return undefined
    const coordinate = (hex?: string, text?: string) =>
        hex ? Buffer.from(hex, "hex") : Buffer.from(text!, "base64url")
    return { algorithm: -7, kid, key: Buffer.concat([coordinate(key.x_hex, key.x), coordinate(key.y_hex, key.y)]) }
}

/** A request of `device/cose-answer.ts`. */
export function coseRequest(keys: TrustedKey[], external: Uint8Array, message: Uint8Array): Buffer {
    const counted = (octets: Uint8Array) => [Buffer.from([octets.length >> 8, octets.length & 0xff]), octets]
    return Buffer.concat([
        Buffer.from([keys.length]),
        ...keys.flatMap(({ algorithm, kid, key }) => [
            Buffer.from([algorithm & 0xff]),
            ...counted(kid),
            ...counted(key),
        ]),
        ...counted(external),
        message,
    ])
}
