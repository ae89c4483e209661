import { existsSync } from "node:fs"
import { join } from "node:path"
import { readSerial } from "../calibrate/batch.ts"
import { readArgs, UsageError } from "../cli/usage.ts"
import { withNames } from "../vm/codes.ts"
import { Desk } from "./desk.ts"

export const help = `plomb desk: meters and a MUC on one RS-485 line, in the VM, in the foreground

  plomb desk --serial N... --uplink HOST:PORT [--directory HOST:PORT] [--muc N] [--state DIR] [--for SECONDS]

The meters are those that \`plomb calibrate --board vm\` has calibrated, the MUC one that \`plomb commission muc\` has
installed. It finds them and calls the head-end or concentrator at HOST:PORT over TLS 1.3; the host is the name that
one must be certified for. Ctrl-C takes the power away; what the parts keep stays in DIR.

  --serial N     a meter; may be repeated
  --uplink H:P   where the head-end (\`plomb headend\`) or concentrator listens
  --directory H:P  where the MUC fetches certificates and revocation lists (\`plomb directory --listen-tls\`)
  --muc N        serial number of the MUC (default 1)
  --state DIR    folder of the boards' folders (default .plomb/state)
  --for SECONDS  ends after this time`

/** Runs the desk until Ctrl-C or `--for`; 1 after a panic. */
export async function run(args: string[]): Promise<number> {
    const { values } = readArgs({
        args,
        options: {
            serial: { type: "string", multiple: true, default: [] },
            uplink: { type: "string" },
            directory: { type: "string" },
            muc: { type: "string", default: "1" },
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
    const mucSerial = readSerial(values.muc!, "--muc")
    if (!existsSync(join(values.state!, `muc-${mucSerial}`)))
        throw new UsageError(
            `there is no MUC ${mucSerial} in ${values.state}: plomb commission muc --board vm:${mucSerial} …`,
        )

    const onLog = (board: string, line: string) => console.log(`${board.padEnd(16)} ${withNames(line)}`)
    const desk = await Desk.open({ serials, state: values.state, onLog })
    let stop = false
    const interrupt = () => {
        stop = true
    }
    process.once("SIGINT", interrupt)
    process.once("SIGTERM", interrupt)
    try {
        await desk.start()
        const settings: Record<string, string> = values.directory ? { directory: values.directory } : {}
        await desk.startMuc({ uplink: values.uplink, serial: mucSerial, settings })
        const untilMs = desk.world.elapsedMs() + 1000 * seconds
        await desk.world.runUntil(() => stop || desk.world.elapsedMs() >= untilMs, Number.POSITIVE_INFINITY)
        return 0
    } finally {
        process.off("SIGINT", interrupt)
        process.off("SIGTERM", interrupt)
        await desk.close()
    }
}
