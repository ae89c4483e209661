import { platform } from "../../../firmware/core/platform"
import { hostCall } from "../../../hal/bus-vm"
import { installDevicePlatform } from "../../../hal/runtime"

installDevicePlatform(() => true)

// Calls of op 17 take time, as bus transfers do; op 16 marks beginning and end of a wait.
for (let calls = 0; calls < 20; ++calls) {
    for (let i = 0; i < calls; ++i) hostCall(17, 0, hex`00`, 0)
    hostCall(16, 0, hex`00`, 0)
    platform().sleepMs(2)
    hostCall(16, 1, hex`00`, 0)
}
console.log("done")
