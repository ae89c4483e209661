const text = `1 a, 2 mo, 3 wk, 4 d, 5 h, 6 min, 7 s, 8 deg, 9 degC, 10 currency, 11 m, 12 m/s, 13 m3, 14 m3 corrected, 15 m3/h,
16 m3/h corrected, 17 m3/d, 18 m3/d corrected, 19 l, 20 kg, 21 N, 22 Nm, 23 Pa, 24 bar, 25 J, 26 J/h, 27 W, 28 VA, 29 var, 30 Wh,
31 VAh, 32 varh, 33 A, 34 C, 35 V, 36 V/m, 37 F, 38 ohm, 39 ohm m, 40 Wb, 41 T, 42 A/m, 43 H, 44 Hz, 45 1/Wh, 46 1/varh, 47 1/VAh,
48 V2h, 49 A2h, 50 kg/s, 51 S, 52 K, 53 1/(V2h), 54 1/(A2h), 55 1/m3, 56 %, 57 Ah, 60 Wh/m3, 61 J/m3, 62 mol %, 63 g/m3, 64 Pa s,
65 J/kg, 70 dBm, 71 dBuV, 72 dB, 253 reserved, 254 other, 255 no unit`

const names = new Map(
    text.split(/,\s+/).map(item => {
        const [code, ...words] = item.split(" ")
        return [Number(code), words.join(" ")]
    }),
)

/** Name of a DLMS unit code (IEC 62056-62), or `undefined`. */
export function unitName(code: number): string | undefined {
    return names.get(code)
}

/** DLMS code of a unit's name, or `undefined`. */
export function unitCode(name: string): number | undefined {
    for (const [code, each] of names) if (each === name) return code
    return undefined
}
