import { existsSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { answer } from "./device/sml-answer.ts"
import type { Case, Format } from "./format.ts"
import { type ExpectedFrame, smlCases } from "./sml.ts"

/** `NAME.expected.json` beside `NAME.xml`: signed readings of charging meters. */
interface Expected {
    file: string
    values: { kind: "SML" | "OCMF"; frames?: ExpectedFrame[] }[]
}

function isExpected(json: unknown): json is Expected {
    const { file, values } = (json ?? {}) as Expected
    return typeof file === "string" && file.endsWith(".xml") && Array.isArray(values)
}

/** The octets of each `signedData` in hex, in order; empty for one that is text. */
function telegrams(xml: string): Buffer[] {
    return [...xml.matchAll(/<signedData[^>]*>([^<]*)</g)].map(([, text]) =>
        Buffer.from(text.replace(/\s/g, ""), "hex"),
    )
}

/** The telegrams inside SAFE's files: does the core read the good ones and refuse the damaged one? */
export const safe: Format = {
    name: "SAFE telegrams (structure; signatures: plomb verify)",
    recognises: isExpected,
    cases(json, path) {
        const { file, values } = json as Expected
        const xml = join(dirname(path), file)
        if (!existsSync(xml)) throw new Error(`${path}: ${file} is not beside it`)
        const octets = telegrams(readFileSync(xml, "utf8"))
        return values.flatMap(({ kind, frames }, i): Case[] => {
            const id = `${file} value ${i}`
            if (kind === "SML" && frames) return smlCases(id, octets[i], frames)
            return [{ id, unsupported: "OCMF text is the verifier's, not the core's: plomb verify judges it" }]
        })
    },
    answer,
    program: "tools/vectors/device/sml.ts",
}
