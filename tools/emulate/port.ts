import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { existsSync, rmSync, statSync, symlinkSync } from "node:fs"
import { createServer, type Socket } from "node:net"
import { resolve } from "node:path"

/** Where an emulated meter talks: octets without parity, 8 bits. */
export interface Port {
    /** How a reader reaches it. */
    readonly name: string
    onData(listener: (octets: Buffer) => void): void
    write(octets: Buffer): void
    /** Changes the bauds where the port has any. */
    setBaud(baud: number): void
    close(): Promise<void>
}

/** What there is to say of the serial line at the start. */
export interface Line {
    baud: number
    parity: "none" | "even"
    dataBits: 7 | 8
}

export class PortError extends Error {}

/**
 * Programs that make a pseudo-terminal and pass its octets on over their standard input and output. The first that is here is taken: Node has none
 * of its own. Each prints the name of the terminal first, and ends with this process, however that ends.
 */
const makers: { program: string; args: string[] }[] = [
    {
        program: "script",
        args: [
            "-q",
            "-f",
            "-E",
            "never",
            "-c",
            `stty raw -echo; tty; while kill -0 ${process.pid} 2>/dev/null; do sleep 2; done`,
            "/dev/null",
        ],
    },
    {
        program: "python3",
        args: [
            "-u",
            "-c",
            `import os, select, sys, tty
m, s = os.openpty()
tty.setraw(s)
print(os.ttyname(s), flush=True)
while True:
    for f in select.select([0, m], [], [])[0]:
        d = os.read(f, 4096)
        if not d: sys.exit()
        os.write(m if f == 0 else 1, d)`,
        ],
    },
]

/** A pseudo-terminal; `link`: a name for it in the file system. Throws `PortError` where no program makes one. */
export async function openPty(link?: string): Promise<Port> {
    for (const { program, args } of makers) {
        if (spawnSync(program, ["--version"], { stdio: "ignore" }).error) continue
        const child = spawn(program, args, { stdio: ["pipe", "pipe", "ignore"] })
        const made = await ptyOf(child, link)
        if (made) return made
        child.kill()
    }
    throw new PortError("no pseudo-terminal here (neither script of util-linux nor python3): take --listen")
}

async function ptyOf(child: ChildProcess, link: string | undefined): Promise<Port | undefined> {
    const { stdin, stdout } = child
    if (!stdin || !stdout) return undefined
    let listener: (octets: Buffer) => void = () => {}
    let head = Buffer.alloc(0)
    const tty = await new Promise<string | undefined>(resolve => {
        let name = ""
        child.once("exit", () => resolve(undefined))
        child.once("error", () => resolve(undefined))
        stdin.on("error", () => {})
        stdout.on("data", (octets: Buffer) => {
            if (name) return listener(octets)
            head = Buffer.concat([head, octets])
            name = /^(\/dev\/\S+)\r?\n/.exec(head.toString("latin1"))?.[1] ?? ""
            if (name) resolve(name)
        })
    })
    if (!tty) return undefined
    try {
        if (link) symlinkSync(tty, link)
    } catch (error) {
        child.kill()
        throw new PortError(`no pseudo-terminal can have the name ${link}: ${(error as Error).message}`)
    }
    return {
        name: link ? `${link} (${tty})` : tty,
        onData: heard => {
            listener = heard
        },
        write: octets => void stdin.write(octets),
        setBaud: () => {},
        async close() {
            if (link) rmSync(link, { force: true })
            const ended = new Promise(resolve => child.once("exit", resolve))
            child.kill()
            await ended
        },
    }
}

/** A serial port of the machine. */
export async function openSerial(path: string, line: Line): Promise<Port> {
    const { SerialPort } = await import("serialport")
    const { baud, parity, dataBits } = line
    const port = await new Promise<InstanceType<typeof SerialPort>>((resolve, reject) => {
        const opened = new SerialPort({ path, baudRate: baud, parity, dataBits }, error =>
            error ? reject(new PortError(`${path}: ${error.message}`)) : resolve(opened),
        )
    })
    return {
        name: path,
        onData: listener => void port.on("data", listener),
        write: octets => void port.write(octets),
        setBaud: baudRate => {
            // What is said still goes at the old speed.
            port.drain(() => port.update({ baudRate }))
        },
        close: () => new Promise(resolve => port.close(() => resolve())),
    }
}

/** A TCP server; whoever connects is on the line. */
export async function listenTcp(host: string, portNumber: number): Promise<Port> {
    const sockets = new Set<Socket>()
    let listener: (octets: Buffer) => void = () => {}
    const server = createServer(socket => {
        sockets.add(socket)
        socket.on("data", octets => listener(octets))
        socket.on("error", () => {})
        socket.on("close", () => sockets.delete(socket))
    })
    await new Promise<void>((resolve, reject) => {
        server.once("error", error => reject(new PortError(error.message)))
        server.listen(portNumber, host, resolve)
    })
    const address = server.address()
    const bound = typeof address === "object" && address ? address.port : portNumber
    return {
        name: `${host}:${bound}`,
        onData: heard => {
            listener = heard
        },
        write: octets => {
            for (const socket of sockets) socket.write(octets)
        },
        setBaud: () => {},
        close: () =>
            new Promise(resolve => {
                for (const socket of sockets) socket.destroy()
                server.close(() => resolve())
            }),
    }
}

/** The port these words mean: "pty", a device that is there, or a name that a pseudo-terminal is to get. */
export async function openPort(words: string, line: Line): Promise<Port> {
    if (words === "pty") return openPty()
    if (!existsSync(words)) {
        // Who names a device means one: a new one there would only hide that it is away.
        if (resolve(words).startsWith("/dev/"))
            throw new PortError(`there is no ${words}; a name outside /dev makes a pseudo-terminal`)
        return openPty(words)
    }
    if (!statSync(words).isCharacterDevice()) throw new PortError(`${words} is there, and no serial port`)
    return openSerial(words, line)
}
