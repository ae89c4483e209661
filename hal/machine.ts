import type { I2cBus, KeyAgreement, KeyCustody, Settings, Uplink } from "./ports"

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
    /** The board's 8-octet device identifier. */
    deviceId: Buffer
    /** Image name and version, as it stands in signed lists: "plomb-meter 0.1.0". */
    softwareIdentification: string
    /** SHA-256 by which the running image is known; 32 octets. */
    softwareChecksum: Buffer
    /** The seal or terminal cover is open. */
    sealOpen(): boolean
}
