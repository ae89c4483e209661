import { toolchain } from "./toolchain.ts"

/** Writes the source position into a line of a stack trace: `at deep_F17 (pc:16)` -> `at deep (src/main.ts:4:18)`. */
export function mapStackLine(debug: unknown, line: string): string {
    if (!/_F\d+\s*\(pc:|\bpc=\d+ @/.test(line)) return line
    return toolchain()
        .compiler.parseStackFrame(debug, line)
        .markedLine // biome-ignore lint/suspicious/noControlCharactersInRegex: the compiler colours positions
        .replace(/\x1b\[\d+m/g, "")
        .replace(/ \[as F\d+_pc\d+\]/g, "")
        .replace(/ \(https:\/\/[^)]*\)/g, "")
        .replace(/ st=\d+$/, "")
}
