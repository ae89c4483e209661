import { hostCall } from "./bus-vm"
import type { SpiPort } from "./ports"

/** The SPI part of the VM: a chip model in the host process answers. */
export class VmSpi implements SpiPort {
    transfer(write: Buffer, readLength: number): Buffer {
        return hostCall(4, 0, write, readLength)
    }
}
