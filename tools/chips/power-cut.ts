/**
 * The board loses its supply at this very instant: thrown out of a chip model through the bus to whoever
 * drives the board. What non-volatile memory holds then is exactly what was stored before; everything
 * else of the board is to be treated as gone (`powerOff` all parts).
 */
export class PowerCut extends Error {
    constructor(readonly writes: number) {
        super(`power cut after ${writes} stored octets`)
        this.name = "PowerCut"
    }
}
