import * as ds from "@devicescript/core"
import { Server, startServer } from "@devicescript/server"
import { attempt, codeOf, LongAnswer } from "../core/service-answer"
import { signedListRes } from "../core/signed-list"
import { closeRes, openRes } from "../core/sml-messages"
import { writeFile } from "../core/sml-transport"
import { CalibrationBench } from "./calibration"
import type { Meter } from "./meter"

/**
 * The Jacdac service a calibration station talks to (services/calibration.md). Only translation: every
 * rule is in `CalibrationBench`. A command with several fields reaches DeviceScript as one array.
 */
class CalibrationServer extends Server implements ds.CalibrationServerSpec {
    private readonly answer: LongAnswer

    constructor(
        private readonly bench: CalibrationBench,
        private readonly meter: Meter,
    ) {
        super(ds.Calibration.spec)
        this.answer = new LongAnswer()
    }

    step(): number {
        return this.meter.identity.step()
    }

    identify(): [number, number, number, number, number, Buffer] {
        let bits = 0
        let code = 0
        try {
            const state = this.meter.machine.custody.state()
            bits = (state.configured ? 1 : 0) | (state.keyPresent ? 2 : 0) | (state.sealed ? 4 : 0)
        } catch (e: any) {
            code = codeOf(e)
        }
        const hardware = Buffer.from(this.meter.identity.hardware())
        return [
            code,
            this.meter.identity.serial(),
            this.meter.identity.step(),
            this.meter.machine.custody.protection,
            bits,
            hardware,
        ]
    }

    produce(args: any): number {
        const bench = this.bench
        return attempt(() => bench.produce(args[0], args[1]))
    }

    put(args: any): number {
        const bench = this.bench
        return attempt(() => bench.put(args[1], args[0], args[2]))
    }

    close(args: any): number {
        const bench = this.bench
        return attempt(() => bench.close(args[1], args[0]))
    }

    adjust(args: any): number {
        const bench = this.bench
        return attempt(() => bench.adjust(args[0], args[1], args[2], args[3]))
    }

    certify(utcSeconds: number): number {
        const bench = this.bench
        return attempt(() => bench.certify(utcSeconds))
    }

    seal(): number {
        const bench = this.bench
        return attempt(() => bench.seal())
    }

    makeKey(): [number, number] {
        const bench = this.bench
        return this.answer.prepare(() => bench.makeKey())
    }

    testReading(): [number, number] {
        const meter = this.meter
        return this.answer.prepare(() => testFile(meter))
    }

    measure(): [number, number, number, number, number] {
        try {
            const now = this.meter.measure()
            return [0, now.millivolts, now.milliamperes, now.milliwatts, now.millihertz]
        } catch (e: any) {
            return [codeOf(e), 0, 0, 0, 0]
        }
    }

    fetch(offset: number): [number, Buffer] {
        return this.answer.fetch(offset)
    }
}

/** A signed reading as the response file to a GetList: what a calibration station fetches and proves. */
function testFile(meter: Meter): Buffer {
    const id = Buffer.from("test")
    const issued = meter.issueList()
    return writeFile([
        openRes(id, undefined, id, meter.identity.serverId(), undefined),
        signedListRes(id, undefined, issued.signed, issued.signature),
        closeRes(id),
    ])
}

/** Offers the calibration service on the board's Jacdac link. */
export function startCalibrationService(meter: Meter): void {
    startServer(new CalibrationServer(new CalibrationBench(meter), meter))
}
