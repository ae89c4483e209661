import { existsSync } from "node:fs"
import { join } from "node:path"
import { readSerial } from "../calibrate/batch.ts"
import { readArgs, UsageError } from "../cli/usage.ts"
import { Desk } from "./desk.ts"

export const help = `plomb desk: meters and a MUC on one RS-485 line, in the VM, in the foreground

  plomb desk --serial N... --uplink HOST:PORT [--state DIR] [--for SECONDS]

The meters are those that \`plomb calibrate --board vm\` has calibrated; the MUC finds them and calls the head-end
at HOST:PORT (\`plomb headend\`). Ctrl-C takes the power away; what the parts keep stays in DIR.

  --serial N     a meter; may be repeated
  --uplink H:P   where the head-end listens
  --state DIR    folder of the boards' folders (default .plomb/state)
  --for SECONDS  ends after this time`

/** Runs the desk until Ctrl-C or `--for`; 1 after a panic. */
export async function run(args: string[]): Promise<number> {
    const { values } = readArgs({
        args,
        options: {
            serial: { type: "string", multiple: true, default: [] },
            uplink: { type: "string" },
            state: { type: "string", default: join(".plomb", "state") },
            for: { type: "string" },
        },
    })
    const serials = values.serial!.map(text => readSerial(text, "--serial"))
    if (serials.length === 0 || !values.uplink) throw new UsageError("expected --serial and --uplink; see --help")
    const seconds = values.for === undefined ? Number.POSITIVE_INFINITY : Number(values.for)
    if (!(seconds > 0)) throw new UsageError(`--for: expected seconds, came "${values.for}"`)
    for (const serial of serials)
        if (!existsSync(join(values.state!, `meter-${serial}`)))
            throw new UsageError(
                `there is no meter ${serial} in ${values.state}: plomb calibrate --board vm --serial ${serial}`,
            )

    const onLog = (board: string, line: string) => console.log(`${board.padEnd(16)} ${line}`)
    const desk = await Desk.open({ serials, state: values.state, onLog })
    let stop = false
    const interrupt = () => {
        stop = true
    }
    process.once("SIGINT", interrupt)
    process.once("SIGTERM", interrupt)
    try {
        await desk.start()
        await desk.startMuc({ uplink: values.uplink })
        const untilMs = desk.world.elapsedMs() + 1000 * seconds
        await desk.world.runUntil(() => stop || desk.world.elapsedMs() >= untilMs, Number.POSITIVE_INFINITY)
        return 0
    } finally {
        process.off("SIGINT", interrupt)
        process.off("SIGTERM", interrupt)
        await desk.close()
    }
}
