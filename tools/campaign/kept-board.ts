import type { Component } from "../bench/cases/stage.ts"
import type { World } from "../vm/world.ts"

/** What a board keeps without power. */
export interface Kept {
    fram: Uint8Array
    element: Uint8Array
}

/** Address of the FRAM on the bus, and octets of a place in it. */
const framAddress = 0x28
const placeOctets = 2

/** From the line with which a meter begins until it answers on its line. */
const settleMs = 3000

/** A metering board in the stock VM that begins again and again from the same memories. */
export class KeptBoard {
    constructor(
        private readonly world: World,
        private readonly meter: Component,
    ) {}

    keep(): Kept {
        const { fram, secureElement } = this.meter.bench
        return { fram: fram.save(), element: secureElement.save() }
    }

    /** Takes the power away, puts back what was kept, and gives power. */
    async restore(kept: Kept): Promise<void> {
        const { board, bench } = this.meter
        await board.powerOff()
        bench.fram.load(kept.fram)
        bench.secureElement.load(kept.element)
        await this.powerOn()
    }

    async powerOn(): Promise<void> {
        const { board } = this.meter
        const began = board.log.length
        await board.powerOn()
        await this.started(began)
    }

    /** Waits for the line with which the meter begins, in what is printed from line `began` on, or for the end of its power. */
    async started(began: number): Promise<void> {
        const { board } = this.meter
        const begins = () => board.log.slice(began).some(line => / step \d+$/.test(line))
        await this.world.runUntil(() => !board.powered || begins(), 60_000).catch(() => {})
        if (board.powered) await this.world.runFor(settleMs)
    }

    /** Octets of each write to the FRAM while `work` is done. */
    async writesOf(work: () => Promise<unknown>): Promise<number[]> {
        const { fram } = this.meter.bench
        const write = fram.write
        const sizes: number[] = []
        fram.write = (address, data) => {
            if (address >> 1 === framAddress && data.length > placeOctets) sizes.push(data.length - placeOctets)
            return write.call(fram, address, data)
        }
        try {
            await work()
        } finally {
            fram.write = write
        }
        return sizes
    }
}
