/** Bits of the meter's status word (1-0:96.5.0), as in the signed list profile. */
export enum Status {
    TimeNotTrusted = 0x1,
    SealOpen = 0x2,
    FrontEndFault = 0x4,
    NoLoad = 0x8,
    Uncalibrated = 0x10,
    PowerWasLost = 0x20,
    /** Records are lost: the meter neither counts nor signs, so no signed list has this bit. */
    MemoryDamaged = 0x40,
    /** No metrological software that may run: nothing is measured. */
    NoSoftware = 0x80,
    LoadPresent = 0x100,
    FeedingIn = 0x800,
}
