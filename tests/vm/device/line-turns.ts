import { platform } from "../../../firmware/core/platform"
import { LineMaster } from "../../../firmware/muc/master"
import { installDevicePlatform } from "../../../hal/runtime"

installDevicePlatform(() => true)

/** A line on which nobody answers. */
class QuietLine {
    send(_octets: Buffer): void {}
    poll(): Buffer | undefined {
        return undefined
    }
}

const master = new LineMaster(new QuietLine() as any)
const request = hex`00`

/** Comes back for the line the moment it has left it. */
function greedy(): void {
    for (let i = 0; i < 8; ++i) master.call(request, 3000)
}

function ask(name: string, afterMs: number, listenMs: number): void {
    platform().sleepMs(afterMs)
    const from = platform().millis()
    try {
        master.call(request, listenMs)
        console.log(name + " " + (platform().millis() - from))
    } catch (e: any) {
        console.log(name + " E" + e.code)
    }
}

greedy.start()
ask.start("first", 100, 200)
ask.start("second", 150, 200)
// Later, when all of them are done: one keeps the line for longer than another waits, and a third comes in between.
ask.start("long", 60000, 25000)
ask.start("hopeless", 60100, 200)
ask.start("patient", 70000, 200)
