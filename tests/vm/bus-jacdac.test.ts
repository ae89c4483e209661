import { addServer, JDServiceServer, Packet } from "jacdac-ts"
import { expect, test } from "vitest"
import { I2cBusModel } from "../../tools/chips/bus"
import { ManualClock } from "../../tools/chips/clock"
import { Mb85rc1mt } from "../../tools/chips/mb85rc1mt"
import { Board } from "../../tools/vm/board"
import { compile } from "../../tools/vm/compile"
import { openBoardBus } from "../../tools/vm/jacdac"
import { World } from "../../tools/vm/world"

const i2cService = 0x1c18ca43
const transaction = 0x80
/** Address that the desk's end of the bridge never answers for. */
const silent = 0x33

/** The desk's end of the bridge: the standard I2C service over a bus of chip models. */
class Bridge extends JDServiceServer {
    constructor(bus: I2cBusModel) {
        super(i2cService)
        this.addCommand(transaction, async (packet: Packet) => {
            const [address, count, write] = packet.jdunpack<[number, number, Uint8Array]>("u8 u8 b")
            if (address === silent) return
            const { status, data } = bus.transfer(address, write, count)
            await this.sendPacketAsync(Packet.jdpacked(transaction, "u8 b", [-status, data]))
        })
    }
}

const program = `import { JacdacBus } from "../hal/bus-jacdac"
import { PlombError } from "../firmware/core/errors"
const bus = new JacdacBus()
function codeOf(address: number, write: Buffer, count: number): number {
    try {
        bus.transfer(address, write, count)
    } catch (e: any) {
        if (e instanceof PlombError) return e.code
        throw e
    }
    return 0
}
const write = Buffer.alloc(202)
for (let i = 2; i < 202; ++i) write[i] = i
bus.transfer(0x50, write, 0)
bus.transfer(0x50, hex\`00c8 a1a2\`, 0)
const back = bus.transfer(0x50, hex\`0000\`, 256)
let wrong = 0
for (let i = 0; i < 200; ++i) if (back[i] !== i + 2) wrong++
console.log(back.length, wrong, back[200], back[201])
console.log(codeOf(0x20, hex\`00\`, 1))
console.log(codeOf(0x50, Buffer.alloc(250), 0))
console.log(codeOf(${silent}, hex\`00\`, 1))
console.log(bus.transfer(0x50, hex\`0000\`, 2).toString("hex"))
console.log("end")
`

test("a program reads and writes chip models over the Jacdac bridge, and hears each refusal by its own code", async () => {
    const clock = new ManualClock(0)
    const models = new I2cBusModel(clock)
    const fram = new Mb85rc1mt({ clock })
    fram.powerOn()
    clock.advance(1000)
    models.attach(fram)
    const world = new World()
    const main = "probe/main.ts"
    const board = new Board({ image: await compile(main, { files: { [main]: program } }), world, onEnd: () => {} })
    const bus = await openBoardBus(world, [board])
    try {
        addServer(bus, "chips", new Bridge(models))
        await board.powerOn()
        await world.runUntil(() => board.log.includes("end") || !board.powered, 30_000)
        expect(board.log.filter(line => !line.startsWith("* "))).toEqual([
            "256 0 161 162",
            "4600",
            "1001",
            "4901",
            "0203",
            "end",
        ])
    } finally {
        await board.powerOff()
        bus.dispose()
        world.close()
    }
})
