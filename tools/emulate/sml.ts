import { closeRes, openRes } from "../../firmware/core/sml-messages"
import { GET_LIST_RES } from "../../firmware/core/sml-tables"
import { writeFile } from "../../firmware/core/sml-transport"
import { SML_OCTETS, SML_SIGNED, type SmlValue, writeMessage } from "../../firmware/core/sml-write"
import type { Emulated, MeterLine } from "./line.ts"
import { type Meter, rawAt } from "./meter.ts"

/** Server identifier in the form of DIN 43863-5: 0A 01, manufacturer, block and number. */
export function serverId(meter: Meter): Buffer {
    const number = Buffer.alloc(4)
    number.writeUInt32BE(Number(meter.id))
    return Buffer.concat([Buffer.of(0x0a, 1), Buffer.from(meter.manufacturer, "latin1"), Buffer.of(0), number])
}

/** One SML file as meters push it: Open, GetList, Close. */
export function smlFile(meter: Meter, elapsedMs: number, count: number): Buffer {
    const id = serverId(meter)
    const transaction = (n: number) => Buffer.from([0, (count >> 8) & 255, count & 255, n])
    const entry = (obis: Buffer, value: SmlValue, unit?: number, scaler?: number): SmlValue => [
        obis,
        undefined,
        undefined,
        unit,
        scaler,
        value,
        undefined,
    ]
    const entries: SmlValue[] = [
        entry(Buffer.from([129, 129, 199, 130, 3, 255]), [SML_OCTETS, Buffer.from(meter.manufacturer, "latin1")]),
        entry(Buffer.from([1, 0, 0, 0, 9, 255]), [SML_OCTETS, id]),
    ]
    for (const register of meter.registers) {
        const value = Buffer.alloc(8)
        value.writeBigInt64BE(BigInt(rawAt(register, elapsedMs)))
        entries.push(entry(register.obis, [SML_SIGNED + 8, value], register.unit, register.scaler))
    }
    const time: SmlValue = [1, Math.floor(elapsedMs / 1000)]
    return writeFile([
        openRes(transaction(1), undefined, transaction(0), id, undefined),
        writeMessage(transaction(2), 0, GET_LIST_RES, [undefined, id, undefined, time, entries, undefined, undefined]),
        closeRes(transaction(3)),
    ])
}

/** Pushes a file every `everyMs`. */
export class SmlEmulator implements Emulated {
    private readonly timer: NodeJS.Timeout
    private count = 0

    constructor(meter: Meter, line: MeterLine, everyMs: number) {
        this.timer = setInterval(() => line.send(smlFile(meter, line.elapsedMs(), ++this.count)), everyMs)
    }

    take(): void {}

    stop(): void {
        clearInterval(this.timer)
    }
}
