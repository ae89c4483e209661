import { spawn, spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, describe, expect, it } from "vitest"
import { IecEmulator } from "../../tools/emulate/iec62056.ts"
import { MeterLine } from "../../tools/emulate/line.ts"
import { meterOf } from "../../tools/emulate/meter.ts"
import { type Line, openPort, openPty } from "../../tools/emulate/port.ts"
import { smlFile } from "../../tools/emulate/sml.ts"
import { hasLibsml, hasProgram, requireExtra } from "../extras.ts"

const folder = mkdtempSync(join(tmpdir(), "plomb-emulate-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A reader of mode C in another language, on a real terminal device: prints the data sets whose block check holds. */
const reader = `
import os, sys, termios, tty, time
fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
tty.setraw(fd)
def until(end, more=0):
    got = b''
    while not (end in got and len(got) > got.index(end) + more): got += os.read(fd, 256)
    return got
os.write(fd, b'/?!\\r\\n')
print(until(b'\\n').decode().strip())
os.write(fd, b'\\x06050\\r\\n')
data = until(b'\\x03', 1)
check = 0
for octet in data[data.index(2) + 1:-1]: check ^= octet
print('check', check == data[-1])
print(data[1:-2].decode())
`

describe("where an emulated meter can not be", () => {
    const line: Line = { baud: 9600, parity: "none", dataBits: 8 }

    it.each([
        ["a device that is not there", "/dev/plomb-no-such-port", "there is no /dev/plomb-no-such-port"],
        ["a folder", folder, "no serial port"],
    ])("%s", async (_, name, says) => {
        await expect(openPort(name, line)).rejects.toThrow(says)
    })
})

const python = requireExtra("python3", hasProgram("python3", "--version"), "Debian package python3")
const pseudoTerminals = await openPty()
    .then(port => port.close())
    .then(
        () => true,
        () => false,
    )
const terminals = requireExtra(
    "a program that makes pseudo-terminals",
    pseudoTerminals,
    "script of util-linux, or python3",
)

describe.skipIf(!python || !terminals)("an emulated meter on a pseudo-terminal", () => {
    it("is read by a program that knows nothing of us, under the name it was given", async () => {
        const name = join(folder, "meter")
        const port = await openPort(name, { baud: 300, parity: "even", dataBits: 7 })
        const line = new MeterLine(port, 0, 1, () => {})
        const emulated = new IecEmulator(meterOf(), line, {
            mode: "c",
            baudCharacter: "5",
            parity: false,
            password: "",
            everyMs: 1000,
            reactionMs: 20,
            patienceMs: 60_000,
        })
        port.onData(octets => emulated.take(octets))
        const child = spawn("python3", ["-c", reader, name], { stdio: ["ignore", "pipe", "inherit"] })
        let out = ""
        child.stdout.on("data", text => {
            out += text
        })
        const status = await new Promise(resolve => child.once("exit", resolve))
        emulated.stop()
        await port.close()
        expect(status).toBe(0)
        const lines = out.split(/\r?\n/)
        expect(lines.slice(0, 2)).toEqual(["/PLB5EMULATED", "check True"])
        expect(lines).toContain("C.1(10000001)")
        expect(lines.some(each => /^1\.8\.0\(012345\.67\d\*kWh\)$/.test(each))).toBe(true)
    }, 30_000)

    it("carries all octets both ways unchanged", async () => {
        const port = await openPty()
        const all = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
        const heard: Buffer[] = []
        port.onData(octets => heard.push(octets))
        const device = port.name
        const child = spawn("python3", [
            "-c",
            "import os, sys, tty\nf = os.open(sys.argv[1], os.O_RDWR)\ntty.setraw(f)\nos.write(f, bytes(range(256)))\ng = b''\nwhile len(g) < 256: g += os.read(f, 999)\nsys.exit(g != bytes(range(256)))",
            device,
        ])
        while (Buffer.concat(heard).length < 256) await new Promise(resolve => setTimeout(resolve, 20))
        port.write(all)
        const status = await new Promise(resolve => child.once("exit", resolve))
        await port.close()
        expect([status, Buffer.concat(heard).equals(all)]).toEqual([0, true])
    }, 30_000)
})

describe.skipIf(!hasLibsml())("what an emulated meter pushes", () => {
    it("is read by libsml with equal values", () => {
        const source = fileURLToPath(new URL("libsml-list.c", import.meta.url))
        const [program, file] = [join(folder, "libsml-list"), join(folder, "push.sml")]
        writeFileSync(file, smlFile(meterOf(), 0, 1))
        expect(spawnSync("cc", ["-o", program, source, "-lsml", "-lm"]).stderr.toString()).toBe("")
        const { stdout, status } = spawnSync(program, [file])
        expect(status).toBe(0)
        const lines = stdout.toString().trim().split("\n")
        for (const line of ["0100010800ff 30 0 12345678", "0100200700ff 35 -1 2301", "01000e0700ff 44 -2 5001"])
            expect(lines).toContain(line)
    })
})
