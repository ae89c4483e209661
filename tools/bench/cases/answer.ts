import { Code } from "../../../firmware/core/errors.ts"
import { verifyAnswer } from "../../authority/answer.ts"
import { readAttention, readResponse } from "../../headend/responses.ts"
import { isAnswer, type ParameterTree } from "../../verify/answer-file.ts"
import { readSmlFile } from "../../verify/sml-file.ts"

/** What came of a command. */
export interface Came {
    /** Code of the first refusal; 0 = everything done or answered, -1 = silence, -2 = an Attention without a code. */
    code: number
    /** The same in words. */
    text: string
    /** "signed": by the device, and it names this command. */
    answer: "none" | "unsigned" | "signed" | "signed, but wrongly"
    /** Trees of those requests that were answered by one. */
    trees: ParameterTree[]
    command: Buffer
    raw: Buffer | undefined
}

const done = "fd00"

/** Reads the answer to the file `command` of the device with this certificate, DER. */
export function readCame(command: Buffer, raw: Buffer | undefined, device: Uint8Array): Came {
    if (!raw) return { code: -1, text: "no answer", answer: "none", trees: [], command, raw }
    if (!isAnswer(readSmlFile(raw))) {
        const attention = readAttention(readResponse(raw))
        return { ...told(attention?.code, attention?.text), answer: "unsigned", trees: [], command, raw }
    }
    const { holds, answer } = verifyAnswer(raw, command, device)
    const outcomes = answer?.outcomes ?? []
    const refused = outcomes.find(({ kind }) => kind === "refused")
    return {
        ...told(refused?.attention, refused?.text),
        answer: holds ? "signed" : "signed, but wrongly",
        trees: outcomes.flatMap(({ tree }) => tree ?? []),
        command,
        raw,
    }
}

function told(attention?: string, text = ""): Pick<Came, "code" | "text"> {
    if (attention === undefined || attention === done) return { code: 0, text: "done" }
    const code = Number(/^E(\d{4})/.exec(text)?.[1] ?? -2)
    return { code, text: code < 0 ? `attention ${attention} ${text}`.trim() : codeText(code) }
}

/** A code as tables show it. */
export function codeText(code: number): string {
    return code === 0 ? "done" : `E${code} ${Code[code] ?? ""}`.trim()
}
