import { DlmsKeys } from "../../firmware/core/dlms-security"
import { readArgs, UsageError } from "../cli/usage.ts"
import { DlmsEmulator } from "./dlms.ts"
import { IecEmulator } from "./iec62056.ts"
import { type Emulated, MeterLine } from "./line.ts"
import { MbusEmulator } from "./mbus.ts"
import { type Meter, meterFrom } from "./meter.ts"
import { type Line, listenTcp, openPort, type Port, PortError } from "./port.ts"
import { SmlEmulator } from "./sml.ts"

export const help = `plomb emulate sml|mbus|iec62056|dlms --port PATH|pty | --listen [HOST:]PORT [--profile FILE] [--errors N%] ...

A meter on a line, for any reader, in the foreground until Ctrl-C.

  --port PATH      a serial port; a name outside /dev where nothing is yet: a pseudo-terminal gets it
  --port pty       a pseudo-terminal, whose name is printed
  --listen ADDR    a TCP server (socket://HOST:PORT of readers, ser2net): [HOST:]PORT, 127.0.0.1 by default
  --profile FILE   the meter as JSON: id, manufacturer, version, deviceType, registers with obis, value, unit, kilo, perHour
  --errors 5%      so many of the frames it sends are damaged: a bit turned, an octet lost, cut off, or not sent
  --seed S         which of them (default 1)
  --every MS       between two pushes (default 1000)
  --verbose        prints each frame, > sent and < heard
  --for SECONDS    ends after this time

sml        pushes a file of SML 1.04 each second (8N1, 9600)
mbus       slaves of a wired M-Bus (8E1, 2400): SND_NKE, REQ_UD2 with the frame count bit, secondary addresses with wildcards, baud switch
  --meters N --address A   so many, with addresses from A on (default 1, 1) and identification numbers that count up
iec62056   IEC 62056-21 (7E1, 300, then as agreed): sign-on, readout, programming mode
  --mode a|b|c|d           d pushes P1 telegrams (8N1, 115200); default c
  --baud-character Z       bauds that are offered (default 5 = 9600; mode b: A to F)
  --parity                 even parity in the top bit, for readers that open a pseudo-terminal as 8N1
  --reaction MS            between what it hears and what it says (default 300)
  --password TEXT          of the programming mode (default 00000000)
dlms       DLMS/COSEM over HDLC (8N1, 9600): GET, also with blocks
  --password TEXT          association low; without it and without keys: none
  --key HEX --auth-key HEX HLS with GMAC, security suite 0
  --push                   pushes a list of all registers too`

const speeds: Record<string, Line> = {
    sml: { baud: 9600, parity: "none", dataBits: 8 },
    mbus: { baud: 2400, parity: "even", dataBits: 8 },
    iec62056: { baud: 300, parity: "even", dataBits: 7 },
    dlms: { baud: 9600, parity: "none", dataBits: 8 },
}

const options = {
    port: { type: "string" },
    listen: { type: "string" },
    profile: { type: "string" },
    errors: { type: "string", default: "0%" },
    seed: { type: "string", default: "1" },
    every: { type: "string", default: "1000" },
    verbose: { type: "boolean", default: false },
    for: { type: "string" },
    meters: { type: "string", default: "1" },
    address: { type: "string", default: "1" },
    mode: { type: "string", default: "c" },
    "baud-character": { type: "string" },
    parity: { type: "boolean", default: false },
    password: { type: "string" },
    reaction: { type: "string", default: "300" },
    key: { type: "string" },
    "auth-key": { type: "string" },
    push: { type: "boolean", default: false },
} as const

type Values = ReturnType<typeof readArgs<{ options: typeof options }>>["values"]

function number(name: string, text: string, least: number, most: number): number {
    const value = Number(text)
    if (!(value >= least && value <= most)) throw new UsageError(`--${name} takes ${least} to ${most}, not "${text}"`)
    return value
}

function keysOf(values: Values): DlmsKeys | undefined {
    if (values.key === undefined && values["auth-key"] === undefined) return undefined
    const pair = [values.key ?? "", values["auth-key"] ?? ""]
    if (!pair.every(each => /^[0-9a-f]{32}$/i.test(each)))
        throw new UsageError("--key and --auth-key are 32 hex digits each")
    return new DlmsKeys(Buffer.from(pair[0], "hex"), Buffer.from(pair[1], "hex"))
}

/** Makes the emulated meter of this protocol; checks what was said of it first. */
function emulation(kind: string, values: Values): (meter: Meter, line: MeterLine) => Emulated {
    const everyMs = number("every", values.every, 10, 86_400_000)
    if (kind === "sml") return (meter, line) => new SmlEmulator(meter, line, everyMs)
    if (kind === "mbus") {
        const count = number("meters", values.meters, 1, 250)
        const first = number("address", values.address, 0, 251 - count)
        const named = (meter: Meter, i: number) => ({
            ...meter,
            id: String((Number(meter.id) + i) % 1e8).padStart(8, "0"),
        })
        return (meter, line) =>
            new MbusEmulator(
                Array.from({ length: count }, (_, i) => named(meter, i)),
                first,
                line,
            )
    }
    if (kind === "dlms") {
        const keys = keysOf(values)
        const pushMs = values.push ? everyMs : 0
        return (meter, line) => new DlmsEmulator(meter, line, { keys, password: values.password, pushMs })
    }
    const { mode } = values
    if (mode !== "a" && mode !== "b" && mode !== "c" && mode !== "d")
        throw new UsageError(`--mode ${mode}: a, b, c or d`)
    const baudCharacter = values["baud-character"] ?? (mode === "b" ? "E" : "5")
    if (!(mode === "b" ? /^[A-F]$/ : /^[0-6]$/).test(baudCharacter))
        throw new UsageError(`--baud-character ${baudCharacter} is none of mode ${mode}`)
    const { parity, password = "00000000" } = values
    const reactionMs = number("reaction", values.reaction, 0, 1500)
    return (meter, line) =>
        new IecEmulator(meter, line, { mode, baudCharacter, parity, password, everyMs, reactionMs, patienceMs: 2000 })
}

async function portOf(kind: string, values: Values): Promise<Port> {
    if (values.listen !== undefined) {
        const found = /^(?:(.+):)?(\d+)$/.exec(values.listen)
        if (!found) throw new UsageError(`--listen takes [HOST:]PORT, not "${values.listen}"`)
        return listenTcp(found[1] ?? "127.0.0.1", number("listen", found[2], 0, 65535))
    }
    if (values.port === undefined) throw new UsageError("where? --port PATH, --port pty or --listen [HOST:]PORT")
    const push = kind === "iec62056" && values.mode === "d"
    return openPort(values.port, push ? { baud: 115200, parity: "none", dataBits: 8 } : speeds[kind])
}

export async function run(args: string[]): Promise<number> {
    const { values, positionals } = readArgs({ args, options, allowPositionals: true })
    const [kind, ...more] = positionals
    if (!(kind in speeds) || more.length > 0)
        throw new UsageError(`say what to emulate: ${Object.keys(speeds).join("|")}`)
    const share = /^(\d+(?:\.\d+)?)%$/.exec(values.errors)
    if (!share || Number(share[1]) > 100) throw new UsageError(`--errors takes a share as 5%, not "${values.errors}"`)
    const seconds = values.for === undefined ? undefined : number("for", values.for, 0, 1e9)
    const seed = number("seed", values.seed, 0, 2 ** 31)
    const meter = meterFrom(values.profile)
    const make = emulation(kind, values)
    let port: Port
    try {
        port = await portOf(kind, values)
    } catch (error) {
        if (!(error instanceof PortError)) throw error
        console.error(`plomb emulate: ${error.message}`)
        return 1
    }
    const line = new MeterLine(port, Number(share[1]) / 100, seed, text => values.verbose && console.log(text))
    const emulated = make(meter, line)
    port.onData(octets => emulated.take(octets))
    console.log(`${kind} meter ${meter.manufacturer} ${meter.id} on ${port.name}`)
    await new Promise<void>(resolve => {
        process.once("SIGINT", resolve)
        process.once("SIGTERM", resolve)
        if (seconds !== undefined) setTimeout(resolve, seconds * 1000)
    })
    emulated.stop()
    await port.close()
    console.log(`${line.sent} frames sent, ${line.damaged} of them damaged`)
    return 0
}
