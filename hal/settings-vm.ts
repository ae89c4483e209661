import { hostCall } from "./bus-vm"
import type { Settings } from "./ports"

/** Settings of the VM: `--set key=value` of the host. Values up to 200 octets, as in a board's flash. */
export class VmSettings implements Settings {
    get(key: string): string {
        return hostCall(2, 0, Buffer.from(key), 200).toString("utf8")
    }
}
