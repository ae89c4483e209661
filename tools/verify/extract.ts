import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { UsageError } from "../cli/usage.ts"
import { derSignature } from "./curves.ts"
import type { SignedOctets, Verdict } from "./findings.ts"

function writeOne(folder: string, { signed, signature, keyPem, sml, chain }: SignedOctets): void {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, "signed.bin"), signed)
    writeFileSync(join(folder, "signature.der"), derSignature(signature))
    if (sml) writeFileSync(join(folder, "reading.sml"), sml)
    if (keyPem) writeFileSync(join(folder, "key.pem"), keyPem)
    if (chain && chain.length > 0) writeFileSync(join(folder, "chain.pem"), chain.join("\n"))
}

/**
 * Puts what was signed into a new folder, so that other tools can check it; several readings get folders
 * 1, 2, ... inside. The folder appears whole or not at all.
 */
export function extract(folder: string, verdicts: Verdict[]): void {
    const proofs = verdicts.flatMap(({ proof }) => (proof ? [proof] : []))
    if (proofs.length === 0) throw new Error("nothing to extract: no signed octets were found")
    if (existsSync(folder) && readdirSync(folder).length > 0)
        throw new UsageError(`--extract ${folder}: the folder is not empty`)
    const beside = `${folder.replace(/\/+$/, "")}.${process.pid}.part`
    try {
        if (proofs.length === 1) writeOne(beside, proofs[0])
        else
            proofs.forEach((proof, i) => {
                writeOne(join(beside, String(i + 1)), proof)
            })
        if (existsSync(folder)) rmSync(folder, { recursive: true })
        renameSync(beside, folder)
    } finally {
        rmSync(beside, { recursive: true, force: true })
    }
}
