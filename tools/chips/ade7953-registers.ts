/** Register map of the ADE7953 (data sheet, register tables): addresses, widths, power-up values. */

/** Register addresses; those of 24 and 32 bits by their 24-bit form (32-bit form: + 0x100). */
export const Reg = {
    SAGCYC: 0x000,
    DISNOLOAD: 0x001,
    LCYCMODE: 0x004,
    PGA_V: 0x007,
    PGA_IA: 0x008,
    PGA_IB: 0x009,
    WRITE_PROTECT: 0x040,
    LAST_OP: 0x0fd,
    UNLOCK: 0x0fe,
    LAST_RWDATA8: 0x0ff,
    VERSION: 0x702,
    EX_REF: 0x800,
    ZXTOUT: 0x100,
    LINECYC: 0x101,
    CONFIG: 0x102,
    CF1DEN: 0x103,
    CF2DEN: 0x104,
    CFMODE: 0x107,
    PHCALA: 0x108,
    PHCALB: 0x109,
    PFA: 0x10a,
    PFB: 0x10b,
    ANGLE_A: 0x10c,
    ANGLE_B: 0x10d,
    PERIOD: 0x10e,
    ALT_OUTPUT: 0x110,
    RESERVED: 0x120,
    LAST_ADD: 0x1fe,
    LAST_RWDATA16: 0x1ff,
    SAGLVL: 0x200,
    ACCMODE: 0x201,
    AP_NOLOAD: 0x203,
    VAR_NOLOAD: 0x204,
    VA_NOLOAD: 0x205,
    AVA: 0x210,
    AWATT: 0x212,
    AVAR: 0x214,
    IA: 0x216,
    IB: 0x217,
    V: 0x218,
    IRMSA: 0x21a,
    IRMSB: 0x21b,
    VRMS: 0x21c,
    AENERGYA: 0x21e,
    RENERGYA: 0x220,
    APENERGYA: 0x222,
    OVLVL: 0x224,
    OILVL: 0x225,
    VPEAK: 0x226,
    IRQENA: 0x22c,
    IRQSTATA: 0x22d,
    RSTIRQSTATA: 0x22e,
    IRQENB: 0x22f,
    IRQSTATB: 0x230,
    RSTIRQSTATB: 0x231,
    AIGAIN: 0x280,
    AIRMSOS: 0x286,
    VRMSOS: 0x288,
    AWATTOS: 0x289,
    BIGAIN: 0x28c,
    LAST_RWDATA24: 0x2ff,
    CRC: 0x37f,
} as const

/** Width in octets by address. */
export function widthOf(address: number): number {
    if (address === Reg.VERSION || address === Reg.EX_REF) return 1
    return (address >> 8) + 1
}

const defaults: [number, number][] = [
    [Reg.LCYCMODE, 0x40],
    [Reg.VERSION, 0x03],
    [Reg.ZXTOUT, 0xffff],
    [Reg.CONFIG, 0x8004],
    [Reg.CF1DEN, 0x003f],
    [Reg.CF2DEN, 0x003f],
    [Reg.CFMODE, 0x0300],
    [Reg.AP_NOLOAD, 0x00e419],
    [Reg.VAR_NOLOAD, 0x00e419],
    [Reg.OVLVL, 0xffffff],
    [Reg.OILVL, 0xffffff],
    [Reg.IRQENA, 0x100000],
    ...[0, 1, 2, 3, 4, 12, 13, 14, 15, 16].map((n): [number, number] => [Reg.AIGAIN + n, 0x400000]),
]

/** Registers one may write; all others are read only (writes are acknowledged and ignored). */
const writable = new Set<number>([
    ...[0x000, 0x001, 0x004, 0x007, 0x008, 0x009, 0x040, 0x0fe, 0x800],
    ...[0x100, 0x101, 0x102, 0x103, 0x104, 0x107, 0x108, 0x109, 0x110, 0x120],
    ...[0x200, 0x201, 0x203, 0x204, 0x205, 0x224, 0x225, 0x22c, 0x22f],
    ...[0x280, 0x281, 0x282, 0x283, 0x284, 0x286, 0x288, 0x289, 0x28a, 0x28b],
    ...[0x28c, 0x28d, 0x28e, 0x28f, 0x290, 0x292, 0x295, 0x296, 0x297],
])

/** May the register (24-bit form of the address) be written? */
export function isWritable(address: number): boolean {
    return writable.has(address)
}

/** Those whose 32-bit form is sign-extended: powers, waveforms, energies, offsets. */
export function isSigned(address: number): boolean {
    if (address >= 0x210 && address <= 0x218) return true
    if (address >= 0x21e && address <= 0x223) return true
    return (address >= 0x286 && address <= 0x28b) || (address >= 0x292 && address <= 0x297)
}

/** All registers at power up, by address. */
export function powerUpRegisters(): Map<number, number> {
    return new Map(defaults)
}

/** Addresses the configuration CRC covers here: all one may write except the unlock key and IRQ enables. */
export const configuration = [...writable].filter(a => a !== Reg.UNLOCK && a !== Reg.IRQENA && a !== Reg.IRQENB)
