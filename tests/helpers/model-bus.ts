import type { I2cBus } from "../../hal/ports"
import { I2cBusModel, type I2cDevice } from "../../tools/chips/bus"
import { busError } from "./fake-bus"
import type { ModelTime } from "./model-time"

/** The bus of a board in Node: drivers on one side, chip models on the other, time that waiting moves. */
export class ModelBus implements I2cBus {
    readonly model: I2cBusModel

    constructor(time: ModelTime, parts: I2cDevice[], hz = 100_000) {
        this.model = new I2cBusModel(time, hz)
        for (const part of parts) {
            this.model.attach(part)
            part.powerOn()
        }
    }

    transfer(address: number, write: Buffer, readLength: number): Buffer {
        const { status, data } = this.model.transfer(address, write, readLength)
        if (status < 0) throw busError(status)
        return Buffer.from(data)
    }
}
