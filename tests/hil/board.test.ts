import { describe, expect, it } from "vitest"
import { openBoard } from "../../tools/calibrate/boards.ts"

/**
 * A real board on USB: `PLOMB_BOARD=serial:/dev/ttyACM0 npx vitest run tests/hil`. Reads only, so it may be
 * any meter; nothing on it is changed.
 */
const board = process.env.PLOMB_BOARD ?? ""
if (!board) console.log("left out: no board (PLOMB_BOARD=serial:PORT)")

describe.skipIf(!board)("a meter on USB that runs meter_calibration", () => {
    const reference = { description: "none", apply: async (point: never) => point }

    it("says who it is and measures", async () => {
        const { meter, close } = await openBoard(board, { serial: 0, state: "", reference })
        try {
            if (!meter) throw new Error("it does not run meter_calibration")
            const found = await meter.identify()
            expect(found.step).toBeLessThanOrEqual(5)
            const measured = await meter.measure()
            expect(measured.volts).toBeLessThan(400)
        } finally {
            await close()
        }
    })
})
