import { spawnSync } from "node:child_process"
import { copyFileSync, existsSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { basename, dirname, join, relative } from "node:path"
import { SerialPort } from "serialport"
import { checkout, ensureBuilt, findVariant } from "../build/build.ts"
import { readArgs, UsageError } from "../cli/usage.ts"
import { bundle } from "./bundle.ts"
import { baseFirmware, targetOf } from "./firmware.ts"

export const help = `plomb flash IMAGE --board B [--port PORT] [--file-only] [--refresh]

Builds IMAGE for board B of devicescript.json, joins it with the stock DeviceScript runtime and the board's definition
into one file, and puts that on the board.

  --port PORT   ESP32: the serial port. RP2040: the drive that appears while BOOTSEL is held.
  --file-only   stop when the file is there, and say what to do with it
  --refresh     fetch the runtime anew

From the network it needs the runtime for the chip, once (kept in .devicescript/cache; put it there by hand where
there is no network). ESP32 also needs esptool (pip install esptool). Everything on the board's flash is replaced;
what a meter keeps is in its FRAM and secure element, which this does not touch. A new or erased meter gets
meter_calibration; \`plomb calibrate\` then puts the image meter on it. The same goes for muc_install and muc, by hand.

Not tried on hardware in this repository: the file is checked, the last step is the DeviceScript CLI's.`

/** USB vendors of the boards' serial ports: SiLabs, Espressif, WCH, FTDI. */
const vendors = ["10c4", "303a", "1a86", "0403"]

/** `plomb flash`. */
export async function run(args: string[]): Promise<number> {
    const { values, positionals } = readArgs({
        args,
        allowPositionals: true,
        options: {
            board: { type: "string" },
            port: { type: "string" },
            "file-only": { type: "boolean" },
            refresh: { type: "boolean" },
        },
    })
    if (positionals.length !== 1) throw new UsageError("which image? plomb flash IMAGE --board B")
    if (!values.board) throw new UsageError("which board? plomb flash IMAGE --board B")
    const variant = findVariant(positionals[0], values.board)
    if (variant.hardware === "vm") throw new UsageError(`${values.board} is the VM: plomb run ${variant.image}`)

    const target = targetOf(checkout, variant.hardware)
    const firmware = await baseFirmware(checkout, target, values.refresh ?? false)
    console.log(`runtime  ${relative(checkout, firmware)}`)
    const built = await ensureBuilt(variant.image, variant.board)
    console.log(`image    ${built.report.identification} for ${target.board.devName}, SHA-256 ${built.report.sha256}`)
    const file = await bundle(built, target, firmware)
    console.log(`file     ${relative(checkout, file)}`)
    const rp2040 = target.board.archId.startsWith("rp2040")
    if (values["file-only"]) {
        console.log(rp2040 ? byDrive(file) : byEsptool(file))
        return 0
    }
    return rp2040 ? copyToDrive(file, values.port) : writeSerial(file, variant.hardware, values.port)
}

function byDrive(file: string): string {
    return `Hold BOOTSEL while you plug in USB; a drive RPI-RP2 appears. Copy ${file} to it; the board then starts by itself.`
}

function byEsptool(file: string): string {
    const at = /-(0x[0-9a-f]+)\.bin$/.exec(file)?.[1] ?? "0x0"
    return `Connect USB (hold BOOT while you plug it in if the board is not found), then: esptool.py write_flash ${at} ${file}`
}

/** Copies to the drive of an RP2040 in its boot loader, after a look at what the drive says it is. */
function copyToDrive(file: string, drive: string | undefined): number {
    const found = drive ?? [`/media/${process.env.USER}/RPI-RP2`, "/Volumes/RPI-RP2"].find(existsSync)
    if (!found) {
        console.error(`plomb flash: no drive RPI-RP2. ${byDrive(file)} Or name the drive with --port.`)
        return 1
    }
    const info = join(found, "INFO_UF2.TXT")
    if (!existsSync(info) || !/RPI-RP2/.test(readFileSync(info, "utf8"))) {
        console.error(`plomb flash: ${found} is not the boot drive of an RP2040 (it has no INFO_UF2.TXT that says so)`)
        return 1
    }
    copyFileSync(file, join(found, basename(file)))
    console.log("done: the board restarts with the new image")
    return 0
}

/** Hands the file to the DeviceScript CLI, which drives esptool. */
async function writeSerial(file: string, board: string, port: string | undefined): Promise<number> {
    const ports = (await SerialPort.list()).filter(each => vendors.includes((each.vendorId ?? "").toLowerCase()))
    const chosen = port ? ports.find(each => each.path === port) : ports[0]
    if (!chosen || (!port && ports.length > 1)) {
        const seen = ports.map(each => `${each.path} (${each.manufacturer ?? "?"} ${each.serialNumber ?? ""})`)
        const what = seen.length > 0 ? `name one with --port: ${seen.join(", ")}` : "no board on any serial port"
        console.error(`plomb flash: ${port ? `${port} is not a board's port` : what}. ${byEsptool(file)}`)
        return 1
    }
    console.log(`port     ${chosen.path} ${chosen.manufacturer ?? ""} ${chosen.serialNumber ?? ""}`)
    const cli = join(dirname(createRequire(import.meta.url).resolve("@devicescript/cli/package.json")), "devicescript")
    const words = [cli, "flash", "esp32", "--board", board, "--file", file, "--port", chosen.path]
    const { status } = spawnSync(process.execPath, words, {
        cwd: checkout,
        stdio: "inherit",
        env: { ...process.env, NO_UPDATE_NOTIFIER: "1" },
    })
    return status === 0 ? 0 : 1
}
