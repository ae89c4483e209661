import type { PlcUart } from "../../hal/plc-uart"
import type { PicturePanel } from "../../hal/ports"
import { Code, PlombError } from "../core/errors"
import { questionOf, readValues, type Values } from "../core/indicator"
import { platform } from "../core/platform"
import type { PlcLink } from "../core/plc-link"
import { presentSeconds, type Screen } from "./screen"

/** A new picture so often; where nothing has changed, nothing is sent to the panel. */
const drawMs = 1000
/** The panel is set up anew so often: nobody tells when a disturbance has reset it. */
const panelMs = 60000
/** Asks so often while there is no present value or a key change is not through. */
const askMs = 30000
/** What was wrong with the last frame counts for so long. */
const troubleMs = 120000

/** Takes in what the MUC sends, asks where nothing comes, and shows it with its age. */
export class Display {
    private values: Values
    private cameAt: number
    private trouble: number
    private troubleAt: number
    private panelAt: number
    private drawnAt: number
    private askedAt: number
    private asked: number

    /** `link` is absent where there is no memory; `fault` says why, or that there is no key. */
    constructor(
        private readonly line: PlcUart,
        private readonly panel: PicturePanel,
        private readonly screen: Screen,
        private readonly link: PlcLink | undefined,
        private readonly fault: number,
    ) {
        this.cameAt = 0
        this.trouble = 0
        this.troubleAt = 0
        this.panelAt = -panelMs
        this.drawnAt = -drawMs
        this.askedAt = -askMs
        this.asked = 0
    }

    /** One round of the loop; waits a little where there is nothing to do. */
    round(): void {
        const frames = this.line.receive()
        const link = this.link
        const now = platform().millis()
        if (link) {
            for (let i = 0; i < frames.length; ++i) this.take(link, frames[i], now)
            if (now - this.troubleAt > troubleMs) this.trouble = 0
        } else this.trouble = this.fault
        const values = this.values
        const age = values ? values.age + Math.floor((now - this.cameAt) / 1000) : 0
        try {
            if (now - this.drawnAt >= drawMs) {
                this.drawnAt = now
                // Only a panel that has taken its picture counts as set up.
                const again = now - this.panelAt >= panelMs
                if (again) this.panel.start()
                this.panel.show(this.screen.show(values, age, this.trouble))
                if (again) this.panelAt = now
            }
            if (link && (!values || age > presentSeconds || link.keys() > 1) && now - this.askedAt >= askMs) {
                this.askedAt = now
                // Under both keys in turn: the MUC may not have the new one yet.
                const underNew = (this.asked++ & 1) > 0
                this.line.send(link.seal(questionOf(link.floor(), link.floor(true)), underNew))
            }
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            console.log(e.message)
        }
    }

    private take(link: PlcLink, frame: Buffer, now: number): void {
        try {
            this.values = readValues(link.open(frame))
            this.cameAt = now
            this.trouble = 0
        } catch (e: any) {
            if (!(e instanceof PlombError)) throw e
            // Neighbours on the same line are no trouble.
            if (e.code === Code.PlcUnknownPeer) return
            this.trouble = e.code
            this.troubleAt = now
        }
    }
}
