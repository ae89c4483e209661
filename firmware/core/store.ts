/** Octet store whose writes hold at once, octet by octet, and may stop anywhere (FRAM). */
export interface Store {
    /** Size in octets. */
    readonly size: number
    /** Reads `length` octets (0 to 8192) at `address`. */
    read(address: number, length: number): Buffer
    /** Writes all of `data` at `address`, ascending. Power loss leaves a prefix. */
    write(address: number, data: Buffer): void
}
