import * as ds from "@devicescript/core"

/** A pin of `@dsboard/…` as the runtime itself serves it; `@devicescript/gpio` would add polling to the image. */
export interface BoardPin {
    setMode(mode: ds.GPIOMode): void
    /** 0 or 1 */
    readonly value: number
}

/** Makes `pin` the input of the seal switch: closed to ground while the cover is on, so a cut wire reads as open. */
export function startSeal(pin: BoardPin): void {
    pin.setMode(ds.GPIOMode.InputPullUp)
}

/** The seal or terminal cover is open. */
export function sealOpenAt(pin: BoardPin): boolean {
    return pin.value !== 0
}
