import { hostCall } from "./bus-vm"

/** Pin number by which the host knows the seal switch of a board in the VM. */
const sealPin = 1

/** The seal or terminal cover is open: the host answers 1. */
export function sealOpenInVm(): boolean {
    return hostCall(3, sealPin, hex``, 1)[0] === 1
}
