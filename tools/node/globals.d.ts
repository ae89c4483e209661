/**
 * What DeviceScript's Buffer has and Node's lacks. `tools/node/platform.ts` adds these to Node's
 * Buffer so that `firmware/core` runs unchanged; little endian, saturating, as in the VM.
 */
type NumberFormat = "u8" | "u16" | "u32" | "u64" | "i8" | "i16" | "i32" | "i64" | "f32" | "f64"

interface Buffer {
    getAt(offset: number, format: NumberFormat): number
    setAt(offset: number, format: NumberFormat, value: number): void
    blitAt(offset: number, source: Uint8Array | string, sourceOffset: number, length: number): number
    fillAt(offset: number, length: number, value: number): void
}

/** DeviceScript's literal of octets: blanks and `//` comments are skipped. */
declare function hex(parts: TemplateStringsArray): Buffer
