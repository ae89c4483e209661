import type { I2cBus, KeyAgreement, KeyCustody, Settings, SpiPort, Uplink } from "./ports"

/** A program for the sandbox, and what `checkImage` (firmware/sandbox/image.ts) answered of it when it was built. */
export interface BuiltInProgram {
    image: Buffer
    called: Buffer
}

/** A module inside the image: an image of its own, its name, its version as in a manifest. */
export interface BuiltIn extends BuiltInProgram {
    name: string
    version: number
    /** 0: it raises none. */
    floor: number
    /** The program that checks packages (firmware/overlays/packages.ts), or starts what was delivered (software-start.ts there). */
    check: BuiltInProgram
    /** The one that carries out orders meanwhile (software-orders.ts), in images that have no code for it. */
    orders?: BuiltInProgram
}

/**
 * One board as its image sees it. `plomb build` generates the entry that fills this in with the
 * bindings `devicescript.json` chooses for the board, and calls the image's `start(machine)`.
 */
export interface Machine {
    bus: I2cBus
    settings: Settings
    custody: KeyCustody
    /** Holder of a second key, in images whose key can be rolled over. */
    spare?: KeyCustody
    /** Absent in images that speak no TLS. */
    agreement?: KeyAgreement
    /** Absent on boards without a network. */
    uplink?: Uplink
    /** Absent where there is no Ethernet part. */
    spi?: SpiPort
    /** The board's 8-octet device identifier. */
    deviceId: Buffer
    /** Image name and version, as it stands in signed lists: "plomb-meter 0.1.0". */
    softwareIdentification: string
    /** SHA-256 by which the running image is known; 32 octets. */
    softwareChecksum: Buffer
    /** The module that ships with the image, in images that run modules. */
    module?: BuiltIn
    /** The seal or terminal cover is open. */
    sealOpen(): boolean
}
