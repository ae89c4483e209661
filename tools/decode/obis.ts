/** "1-0:1.8.0*255" of the six octets of an OBIS code (IEC 62056-61). */
export function obisText(octets: Uint8Array): string {
    const [a, b, c, d, e, f] = octets
    return `${a}-${b}:${c}.${d}.${e}*${f}`
}
