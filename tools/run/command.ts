import { randomBytes } from "node:crypto"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { ensureBuilt } from "../build/build.ts"
import { meterBench, mucBench } from "../chips/bench.ts"
import { LanBridge } from "../chips/lan-bridge.ts"
import { coldWater, gas, volumeContent, volumeIdentification } from "../chips/mbus-content.ts"
import { MbusLine } from "../chips/mbus-line.ts"
import { PlcLine } from "../chips/plc-line.ts"
import { Rs485Wire } from "../chips/rs485-wire.ts"
import { Sc16is752 } from "../chips/sc16is752.ts"
import { Ssd1306 } from "../chips/ssd1306.ts"
import { W5500 } from "../chips/w5500.ts"
import { readArgs, UsageError } from "../cli/usage.ts"
import { mucDeviceId } from "../desk/desk.ts"
import { displayOn, roomDb } from "../desk/display.ts"
import { Board, type BoardEnd } from "../vm/board.ts"
import { withNames } from "../vm/codes.ts"
import { World } from "../vm/world.ts"
import { displayDesk, printPictures } from "./display.ts"
import { readLoad } from "./load.ts"
import { customerLine, displayKeyOf, mucLines, prepareMuc } from "./muc.ts"

export const help = `plomb run IMAGE [--board NAME] [--serial N] [--set KEY=VALUE]... [--state DIR]
          [--clock real|virtual] [--for SECONDS] [--load FILE] [--pki DIR] [--lan PORT] [--panel]

Runs one board of an image (meter, meter_master, meter_calibration, muc, muc_modules, muc_field, muc_lan, muc_plc, muc_install, display) in the stock VM with models of all its parts, in the
foreground, and prints what it logs, with source positions. Ctrl-C takes its power away.

  plomb run muc --set uplink=HOST:PORT

runs a MUC that has been produced and installed: at the first time it is, by the parties of a PKI folder that is made
where there is none. It connects over TLS 1.3 to any server with a certificate of that CA; what is needed for one is
printed.

  plomb run meter_master

runs a meter with a gas and a water meter on its second line, which count a litre a second; it says when it has found them.

  plomb run muc_modules --set uplink=HOST:PORT

runs one whose polling is a module in a software slot, which plomb operator software exchanges.

  plomb run muc_field

the same with field buses on its lines, to which nothing is connected here (plomb bench field-buses has meters).

  plomb run muc_lan --lan 8443
  curl -k -u user:PASSWORD https://127.0.0.1:8443/

runs one whose Ethernet part is a port of this computer: the customer's page over TLS 1.3. The password is printed; it is kept
beside the memories. Readings are those that a head-end has fetched through it.

  plomb run muc_plc

runs one with a PLC modem, and a consumption display at the other end of the power line, whose picture is shown in the terminal. It has values
once a head-end reads a meter through the MUC; here none is connected.

  plomb run display

shows the picture of the consumption display in the terminal (130 columns), at the other end of a power line the MUC's side of the
link with a household behind it. With --set key1plc=HEX of your own the two keys differ, and it says so.

  plomb run meter --panel --serial 20260001 --state .plomb/demo/state/meter-20260001

shows the panel of the demo's meter in the same way: registers, time, status, software, in turn.

  --board NAME         row of devicescript.json: vm (default); vm_software, a meter without secure element; of muc_field also
                       vm_iec62056, vm_wmbus, vm_dlms and vm_p1 with other buses
  --serial N           serial number of the board, 1 by default; fixes its tolerances too
  --set KEY=VALUE      a setting of the board, as "uplink=127.0.0.1:7259"; may be repeated
  --state DIR          keeps flash and memories of the parts there; without, a meter forgets them at the end, and a
                       MUC is kept in .plomb/run/muc-N
  --pki DIR            who installs the MUC (default .plomb/run/pki)
  --lan PORT           port of 127.0.0.1 for the customer's page of muc_lan; 0: any that is free
  --panel              a meter has its panel, whose picture stands in the terminal
  --clock virtual      time jumps from event to event, an hour passes in seconds
  --load FILE          what flows through a meter: lines "second, watts[, var[, volts[, hertz]]]"; a household by default
  --for SECONDS        ends after this time on the board's clock

Exit code 0 after Ctrl-C or --for, 1 after a panic.`

/** A number in words, or a usage error that names the option. */
function numberOf(option: string, text: string, least: number, most: number): number {
    const value = Number(text)
    if (!(value >= least && value <= most)) throw new UsageError(`--${option} takes ${least} to ${most}, not "${text}"`)
    return value
}

function settingsOf(words: string[]): Record<string, string> {
    const settings: Record<string, string> = {}
    for (const word of words) {
        const at = word.indexOf("=")
        if (at < 1 || at > 13) throw new UsageError(`--set takes KEY=VALUE with a key of at most 13 characters`)
        settings[word.slice(0, at)] = word.slice(at + 1)
    }
    return settings
}

/** A gas and a water meter on the second line of this UART. */
function subMeters(world: World, uart: Sc16is752): void {
    const wire = new Rs485Wire({ clock: world })
    uart.channels[1].connect(wire)
    const slaves = [gas, coldWater].map((type, i) => {
        const secondary = volumeIdentification(12_345_678 + i, type)
        const litres = () => 1_000_000 + Math.floor(world.elapsedMs() / 1000)
        return { primary: i + 1, secondary, telegrams: () => [volumeContent(secondary, litres())] }
    })
    new MbusLine(wire, 2400, slaves)
}

export async function run(args: string[]): Promise<number> {
    const { values, positionals } = readArgs({
        args,
        allowPositionals: true,
        options: {
            board: { type: "string", default: "vm" },
            serial: { type: "string", default: "1" },
            set: { type: "string", multiple: true, default: [] },
            state: { type: "string" },
            clock: { type: "string", default: "real" },
            for: { type: "string" },
            load: { type: "string" },
            pki: { type: "string" },
            lan: { type: "string", default: "0" },
            panel: { type: "boolean", default: false },
        },
    })
    const [name, ...more] = positionals
    if (!name || more.length > 0)
        throw new UsageError(
            "plomb run takes one image: meter, meter_master, meter_calibration, muc, muc_modules, muc_field, muc_lan, muc_plc, muc_install or display",
        )
    if (values.clock !== "real" && values.clock !== "virtual")
        throw new UsageError(`--clock is real or virtual, not "${values.clock}"`)
    const serial = numberOf("serial", values.serial, 0, 0xffffffff)
    const forMs = values.for === undefined ? Number.POSITIVE_INFINITY : 1000 * numberOf("for", values.for, 0, 1e9)
    const settings = settingsOf(values.set)
    if (values.panel && name !== "meter" && name !== "meter_master")
        throw new UsageError(`--panel belongs to a meter, not to ${name}`)
    const hostPort = numberOf("lan", values.lan, 0, 65535)

    const isMuc = ["muc", "muc_install", "muc_modules", "muc_field", "muc_lan", "muc_plc"].includes(name)
    const { image, report } = await ensureBuilt(name, values.board)
    const muc = isMuc && name !== "muc_install" ? await prepareMuc(serial, values.state, values.pki) : undefined
    for (const line of muc ? mucLines(serial, muc) : []) console.log(line)
    const world = new World({ clock: values.clock, startMs: Date.now() })
    const stateDir = muc?.stateDir ?? values.state
    if (stateDir) mkdirSync(stateDir, { recursive: true, mode: 0o700 })
    const load = values.load === undefined ? undefined : readLoad(values.load, world)
    const key = randomBytes(32)
    if (name === "display" && settings.key1plc === undefined) settings.key1plc = key.toString("hex")
    const desk = name === "display" ? displayDesk(world, serial, key, load) : undefined
    const plc = name === "muc_plc" ? new PlcLine({ clock: world, seed: serial }) : undefined
    const secondWire = plc?.join(roomDb).wire
    const bench = desk
        ? undefined
        : (isMuc ? mucBench : meterBench)({ clock: world, serial, stateDir, load, secondWire })
    if (bench && name === "meter_master") subMeters(world, bench.uart)
    const display = plc && muc && (await displayOn(world, plc, { key1plc: displayKeyOf(muc) }))
    const second = new Sc16is752({ clock: world, a1: "VDD", a0: "VDD" })
    if (name === "muc_field") bench?.bus.attach(second)
    const own = values.panel ? new Ssd1306() : undefined
    if (bench && own) bench.bus.attach(own)
    const panel = desk?.panel ?? display?.panel ?? own
    const bridge = name === "muc_lan" ? new LanBridge(() => hostPort) : undefined
    const ethernet = bridge && new W5500({ clock: world, network: bridge })
    if (ethernet && settings.lan_address === undefined) settings.lan_address = "192.168.1.2"
    if (panel) printPictures(world, panel)
    let end: BoardEnd | undefined
    let stop = false
    const board = new Board({
        image,
        world,
        deviceId: isMuc ? mucDeviceId(serial) : undefined,
        bus: (desk ?? bench)?.bus,
        parts: desk
            ? desk.parts
            : bench && [
                  bench,
                  ...(own ? [own] : []),
                  ...(name === "muc_field" ? [second] : []),
                  ...(ethernet ? [ethernet] : []),
              ],
        spi: ethernet,
        settings,
        flash: stateDir && join(stateDir, "flash.bin"),
        onLog: line => console.log(`${(world.elapsedMs() / 1000).toFixed(3).padStart(9)}  ${withNames(line)}`),
        onEnd: how => {
            end = how
        },
    })
    const interrupt = () => {
        stop = true
    }
    process.once("SIGINT", interrupt)
    process.once("SIGTERM", interrupt)
    console.log(`${report.identification}, serial ${serial}, ${values.clock} clock`)
    const untilMs = world.elapsedMs() + forMs
    try {
        await display?.board.powerOn()
        for (;;) {
            end = undefined
            await board.powerOn()
            if (bridge && muc) {
                await world.runUntil(() => stop || end !== undefined || bridge.listens(443), 10_000)
                if (bridge.listens(443)) console.log(customerLine(await bridge.portOf(443), muc))
            }
            const over = () => stop || end !== undefined || world.elapsedMs() >= untilMs
            await world.runUntil(over, Number.POSITIVE_INFINITY)
            const how = end as BoardEnd | undefined
            if (how === undefined) return 0
            if (how.reason !== "restart" && how.reason !== "reboot") {
                console.error(`plomb run: ${how.message}`)
                return 1
            }
            console.log(`${how.message}: starting it again`)
        }
    } finally {
        process.off("SIGINT", interrupt)
        process.off("SIGTERM", interrupt)
        await board.powerOff()
        await display?.board.powerOff()
        bench?.save()
        bridge?.close()
        world.close()
    }
}
