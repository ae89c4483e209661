import { readFileSync } from "node:fs"
import { UsageError } from "../cli/usage.ts"
import { PkiError } from "./files.ts"

/**
 * The passphrase that `--passphrase-file` (its first line) or `--passphrase-env` names; undefined where
 * neither is given. Throws `UsageError` for both at once, `PkiError` for an empty or unreadable one.
 */
export function readPassphrase(values: { "passphrase-file"?: string; "passphrase-env"?: string }): string | undefined {
    const file = values["passphrase-file"]
    const variable = values["passphrase-env"]
    if (file !== undefined && variable !== undefined)
        throw new UsageError("one passphrase, from a file or from a variable")
    if (file === undefined && variable === undefined) return undefined
    let passphrase: string
    try {
        passphrase = file !== undefined ? readFileSync(file, "utf8").split(/\r?\n/)[0] : (process.env[variable!] ?? "")
    } catch {
        throw new PkiError(`the passphrase file ${file} can not be read`)
    }
    if (passphrase === "") throw new PkiError(`the passphrase in ${file ?? `$${variable}`} is empty`)
    return passphrase
}
