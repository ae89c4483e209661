import { Code } from "../../firmware/core/errors.ts"

/** The same line with the name behind each error code, which an image prints as a number only: "E3213 CrlMissing". */
export function withNames(line: string): string {
    return line.replace(/\bE(\d{4})\b/g, (text, code) => {
        const name = Code[Number(code)]
        return name ? `${text} ${name}` : text
    })
}
