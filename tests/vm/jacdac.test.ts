import { type JDBus, type JDService, Packet } from "jacdac-ts"
import { expect, test } from "vitest"
import { Board } from "../../tools/vm/board.ts"
import { compile } from "../../tools/vm/compile.ts"
import { openBoardBus } from "../../tools/vm/jacdac.ts"
import { World } from "../../tools/vm/world.ts"

const buzzer = 0x1b57b1d7
const getVolume = 0x1001
const setVolume = 0x2001

function found(bus: JDBus): JDService[] {
    return bus.services({ serviceClass: buzzer })
}

test("a jacdac-ts bus in this process finds the services of two boards and talks to them", async () => {
    const world = new World()
    const image = await compile("tests/vm/device/jacdac.ts")
    const boards = [new Board({ image, world }), new Board({ image, world })]
    const bus = await openBoardBus(world, boards)
    try {
        for (const board of boards) await board.powerOn()
        await world.runUntil(() => found(bus).length === 2, 10_000)
        const [one, other] = found(bus)
        expect(one.device.deviceId).not.toBe(other.device.deviceId)

        const volume = async (service: JDService) => {
            const report = await service.sendCmdAwaitResponseAsync(Packet.from(getVolume, new Uint8Array(0)), 2000)
            return [...report.data]
        }
        expect(await volume(one)).toEqual([0x80])
        await one.sendPacketAsync(Packet.from(setVolume, Uint8Array.of(0x20)))
        await world.runUntil(() => boards.some(board => board.log.includes("intensity is set")), 5000)
        expect(await volume(one)).toEqual([0x20])
        expect(await volume(other)).toEqual([0x80])
    } finally {
        for (const board of boards) await board.powerOff()
        bus.dispose()
        world.close()
    }
})
