/**
 * What applications see of the hardware: small interfaces, one a purpose. A driver implements one; an
 * application never learns which part or which bus binding is behind it. All calls are synchronous in
 * type; those that wait let other fibers run, so shared state is guarded by whoever owns it.
 */

/** One I2C bus. Bindings: the board's own, the VM's synchronous call, the Jacdac bridge. */
export interface I2cBus {
    /**
     * One transaction: START, 7-bit `address`, all of `write` (may be empty), then, if `readLength` > 0,
     * repeated START and `readLength` octets (0 to 256). Throws `BusAddressNack`, `BusDataNack` or
     * `BusStuck`; never retries: what to retry is in each part's data sheet, so in its driver.
     */
    transfer(address: number, write: Buffer, readLength: number): Buffer
}

/** Why the present time is or is not to be believed (DS3231 OSF and our own record of who set it). */
export enum TimeQuality {
    /** Never set by an authorised party. */
    NeverSet = 0,
    /** Was set; the oscillator has stopped since, so the time is wrong by an unknown amount. */
    Stopped = 1,
    /** Set by an authorised party and running since. */
    Set = 2,
}

/** What a real-time clock says. */
export interface ClockReading {
    /** Seconds since 1970-01-01T00:00:00Z; 0 where the fields are not a date. */
    utcSeconds: number
    /** The oscillator has not stopped since the last authorised set, and the fields are a date. */
    running: boolean
}

/** Real-time clock. */
export interface RealTimeClock {
    read(): ClockReading
    /** Sets the time and, last of all, clears the stop flag. Only an authorised set may call this. */
    set(utcSeconds: number): void
    /** Temperature of the part in quarters of a degree Celsius. */
    temperatureQuarters(): number
}

/** Metering constants of one board, written at calibration. All are metrological parameters. */
export interface Calibration {
    /** Gain registers: factor = value / 0x400000, 0x200000 to 0x600000. */
    voltageGain: number
    currentGain: number
    activePowerGain: number
    /** Phase calibration register, sign and magnitude (ADE7953 PHCALA). */
    phase: number
    /** Nanovolts per VRMS LSB, nanoamperes per IRMS LSB of this hardware model. */
    nanovoltsPerLsb: number
    nanoamperesPerLsb: number
    /** Microwatt-seconds per energy LSB of this hardware model. */
    microwattSecondsPerLsb: number
}

/** Present values of the front end, already scaled. */
export interface Measurement {
    /** Millivolts rms. */
    millivolts: number
    /** Milliamperes rms. */
    milliamperes: number
    /** Active power in milliwatts, negative when fed in. */
    milliwatts: number
    /** Line frequency in millihertz, 0 where there is no line. */
    millihertz: number
    /** Active power is below the no-load threshold: energy stands still. */
    noLoad: boolean
}

/** Energy metering front end. */
export interface EnergyFrontEnd {
    /** Brings the part up (unlock, no-load, accumulation mode) with these constants and reads them back. */
    start(calibration: Calibration): void
    measure(): Measurement
    /**
     * Active energy since the previous call, in microwatt-seconds (signed, integral, exact). Loses
     * nothing between calls up to 30 s apart; throws rather than guess when the part was reset meanwhile.
     */
    takeEnergy(): number
}

/** One UART with RS-485 direction control. */
export interface UartPort {
    /** Opens at `baud`, 8N1 (`parity` 0), 8E1 (1) or 7E1 (2), and reads the settings back. */
    open(baud: number, parity: number): void
    /** Queues octets for sending; waits (letting other fibers run) while the FIFO is full. */
    send(octets: Buffer): void
    /** All octets received since the last call, possibly none. Throws `UartOverrun` once per loss. */
    receive(): Buffer
    /** All queued octets and their stop bits have left. */
    sent(): boolean
    /** Grows when octets come with a framing or parity error or a break; absent where the part does not tell. */
    damaged?: number
}

/** A panel of 128 x 64 pixels that shows what it is given and can not be asked what it shows. */
export interface PicturePanel {
    /** Sets the panel up; dark until the next `show`. Throws `PartAbsent`. */
    start(): void
    /** 8 pages of 128 columns of 8 pixels, bit 0 on top; 1,024 octets. */
    show(picture: Buffer): void
}

/** The same panel for those who have no room for a picture: it takes one strip after another. */
export interface StripPanel {
    /** Sets the panel up and makes it dark; what its memory holds is of no account until it is written. Throws `PartAbsent`. */
    start(): void
    /**
     * Writes `pages` pages from `page` on (0 to 7), of each the columns from `column` on (0 to 127), `strip.length / pages` of them; at most
     * 216 octets. One transfer. `light`: from then on the panel is lit.
     */
    put(column: number, page: number, pages: number, strip: Buffer, light: boolean): void
}

/** How the signing key is kept: stands in every signed list. */
export enum KeyProtection {
    /** Software P-256, key in FRAM. */
    None = 0,
    /** Made inside a secure element, never readable. */
    Element = 1,
}

/** State of the key's holder; each step is final. */
export interface CustodyState {
    /** Configuration written and locked. */
    configured: boolean
    /** A private key exists in the signing slot. */
    keyPresent: boolean
    /** Data zone locked; nothing but a new GenKey changes the key from here on. */
    sealed: boolean
}

/** Holder of the device's private key. It is made inside and has no way out. */
export interface KeyCustody {
    readonly protection: KeyProtection
    state(): CustodyState
    /** Serial number of the part (9 octets), or empty for software custody. */
    serial(): Buffer
    /** Writes and locks the configuration. Final. */
    configure(): void
    /** Makes a new private key inside and answers the public key X|Y, 64 octets. */
    generateKey(): Buffer
    /** Public key X|Y of the present private key. */
    publicKey(): Buffer
    /** ECDSA P-256 over a 32-octet digest: r|s, 64 octets. */
    sign(digest: Buffer): Buffer
    /** Verifies as `Platform.verifyP256`. */
    verify(publicKey: Buffer, digest: Buffer, signature: Buffer): boolean
    /** Locks the data zone. Final. */
    seal(): void
    /** Destroys the private key. */
    erase(): void
    /** Monotonic counter: its value, and one more. It never goes down. */
    counter(): number
    incrementCounter(): number
}

/** Ephemeral Diffie-Hellman on P-256 (SP 800-56A 6.1.2.2). One agreement at a time; a private key serves once. */
export interface KeyAgreement {
    /** Makes the pair for the next `begin` where none waits, so that nobody need wait then; what is left of one that served is destroyed. */
    prepare(): void
    /** A new key pair, in place of one begun before; answers its public key X|Y, 64 octets. */
    begin(): Buffer
    /**
     * X of the shared point with `peer` (X|Y), 32 octets; the pair serves no more. Throws `BadPublicKey` where `peer`
     * is no point of the curve, `KeyAbsent` without a `begin`.
     */
    agree(peer: Buffer): Buffer
}

/** One TCP connection of the board. */
export interface Uplink {
    /** Connects; throws `LinkRefused` or `LinkTimeout`. */
    connect(host: string, port: number, timeoutMs: number): void
    send(octets: Buffer): void
    /** Octets, or `undefined` after `timeoutMs` of silence, or `null` once the peer closed. */
    receive(timeoutMs: number): Buffer | undefined | null
    close(): void
}

/** One part on an SPI bus (mode 0, most significant bit first) with its chip select. */
export interface SpiPort {
    /** One frame, chip select low from its first octet to its last: all of `write`, then `readLength` octets that come. */
    transfer(write: Buffer, readLength: number): Buffer
}

/** A TCP server's port that serves one peer after another; others wait meanwhile. */
export interface ListeningPort {
    /** Waits for a peer; false after `timeoutMs` without one. */
    accept(timeoutMs: number): boolean
    /** Throws `LinkLost` where the peer is gone or takes nothing for ten seconds. */
    send(octets: Buffer): void
    /** Octets, or `undefined` after `timeoutMs` of silence, or `null` once the peer closed. */
    receive(timeoutMs: number): Buffer | undefined | null
    /** Ends with this peer; does nothing where there is none. */
    close(): void
}

/** Settings a person gives a board: flash settings on a board, `--set key=value` in the VM. */
export interface Settings {
    /** The value, or an empty string where it is not set. Keys are at most 13 characters. */
    get(key: string): string
}
