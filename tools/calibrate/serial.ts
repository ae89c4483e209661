import { stat } from "node:fs/promises"
import { createNodeWebSerialTransport, JDBus } from "jacdac-ts"
import type { SerialPort as SerialPortClass } from "serialport"
import { LinkError } from "./link.ts"

/**
 * A Jacdac bus over one USB serial port. jacdac-ts looks for boards by USB vendor; the station was told
 * the port, so it is shown that port alone. `port` stands in for the package `serialport`.
 */
export async function openSerialBus(path: string, port?: typeof SerialPortClass): Promise<JDBus> {
    await stat(path).catch(() => {
        throw new LinkError(`there is no serial port ${path}`)
    })
    const SerialPort = port ?? (await import("serialport")).SerialPort
    class ChosenPort extends SerialPort {
        static override async list() {
            const known = (await SerialPort.list()).find(port => port.path === path)
            const chosen = { manufacturer: undefined, pnpId: undefined, locationId: undefined, productId: undefined }
            return [{ ...chosen, vendorId: undefined, ...known, path, serialNumber: "JD" }]
        }
    }
    const bus = new JDBus([createNodeWebSerialTransport(ChosenPort)], { client: false, disableRoleManager: true })
    bus.passive = false
    bus.start()
    try {
        await bus.connect()
    } catch (error) {
        bus.dispose()
        throw new LinkError(`${path}: ${(error as Error).message}`)
    }
    return bus
}
