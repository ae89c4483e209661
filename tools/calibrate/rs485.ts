import { stat } from "node:fs/promises"
import type { SerialPort as SerialPortClass } from "serialport"
import { SmlReceiver } from "../../firmware/core/sml-receive"
import { LinkError } from "./link.ts"

const lineBaud = 9600

/** A meter's RS-485 line over an adapter on a serial port, 8N1; the station is its master. */
export interface Rs485 {
    /** Sends a request file; the next file that comes in time, or undefined. */
    ask(request: Buffer, timeoutMs: number): Promise<Buffer | undefined>
    close(): Promise<void>
}

/** Opens the adapter at `path`; throws `LinkError`. `port` stands in for the package `serialport`. */
export async function openRs485(path: string, port?: typeof SerialPortClass): Promise<Rs485> {
    await stat(path).catch(() => {
        throw new LinkError(`there is no serial port ${path}`)
    })
    const SerialPort = port ?? (await import("serialport")).SerialPort
    const adapter = await new Promise<SerialPortClass>((resolve, reject) => {
        const opened = new SerialPort({ path, baudRate: lineBaud }, error =>
            error ? reject(new LinkError(`${path}: ${error.message}`)) : resolve(opened),
        )
    })
    let take: (file: Buffer) => void = () => {}
    const receiver = new SmlReceiver(
        8192,
        false,
        raw => take(Buffer.from(raw)),
        () => {},
    )
    adapter.on("data", (octets: Buffer) => receiver.feed(octets))
    return {
        ask: (request, timeoutMs) =>
            new Promise(resolve => {
                const timer = setTimeout(() => resolve(undefined), timeoutMs)
                take = file => {
                    // An adapter may hear what it sends.
                    if (file.equals(request)) return
                    clearTimeout(timer)
                    resolve(file)
                }
                receiver.timeout()
                adapter.write(request)
            }),
        close: () => new Promise(resolve => adapter.close(() => resolve())),
    }
}
