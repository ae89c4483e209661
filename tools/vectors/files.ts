import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { basename, join } from "node:path"
import type { Case, Format } from "./format.ts"
import { formats } from "./formats.ts"
import { later } from "./later.ts"

/** A vector file: cases of a format, or the reason why it is not run. */
export type VectorFile =
    | { path: string; format: Format; cases: Case[] }
    | { path: string; name: string; unsupported: string }

/** What stands beside vectors in a folder without being one. */
const besides = /^(README|SOURCE|LICEN[CS]E|COPYING|NOTICE)|\.(md|pem)$/i

/** The files that the words name; a folder stands for all files in it, at any depth. Throws for what is not there. */
export function vectorFiles(words: string[]): string[] {
    return words.flatMap(word => {
        if (!existsSync(word)) throw new Error(`${word}: no such file or folder`)
        return statSync(word).isDirectory() ? filesIn(word) : [word]
    })
}

function filesIn(folder: string): string[] {
    const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))
    const names = new Set(entries.map(entry => entry.name))
    return entries.flatMap(entry => {
        const path = join(folder, entry.name)
        if (entry.isDirectory()) return filesIn(path)
        if (besides.test(entry.name) || belongsToAnother(entry.name, names)) return []
        return [path]
    })
}

/** X.bin and X.libsml.txt belong to X.expected.json, X.hex to X.norm.xml or X.xml, which are what is run. */
function belongsToAnother(name: string, names: Set<string>): boolean {
    if (name.endsWith(".hex") && [".norm.xml", ".xml"].some(end => names.has(name.slice(0, -4) + end))) return true
    for (let at = name.indexOf("."); at >= 0; at = name.indexOf(".", at + 1)) {
        const owner = name.slice(0, at) + ".expected.json"
        if (owner !== name && names.has(owner)) return true
    }
    return false
}

/** Recognises and reads one file. Throws an Error with one line for a file that is in no known format, or broken. */
export function readVectorFile(path: string): VectorFile {
    const text = readFileSync(path, "utf8")
    const json = parsed(path, text)
    const postponed = later.find(each => each.recognises(json, path, text))
    if (postponed) return { path, name: postponed.name, unsupported: postponed.reason }
    const format = formats.find(each => each.recognises(json, path))
    if (!format) throw new Error(`${path}: in none of the formats that are known here`)
    try {
        return { path, format, cases: format.cases(json, path) }
    } catch (error) {
        const message = (error as Error).message
        throw new Error(`${path}: a broken file of ${format.name}: ${message.replace(`${path}: `, "")}`)
    }
}

function parsed(path: string, text: string): unknown {
    if (!/^\s*[[{]/.test(text)) return undefined
    try {
        return JSON.parse(text)
    } catch {
        if (basename(path).endsWith(".json")) throw new Error(`${path}: not JSON`)
        return undefined
    }
}
