import { installPlatform } from "../../firmware/core/platform"
import { nodePlatform } from "../../tools/node/platform"

/** A clock that only the code under test moves, by waiting; `everyMs` runs whenever a millisecond passes. */
export class ModelTime {
    ms = 0
    everyMs: () => void = () => {}

    /** Makes the facade wait on this clock. */
    install(): void {
        installPlatform({ ...nodePlatform, sleepMs: ms => this.advance(ms), millis: () => this.ms })
    }

    advance(ms: number): void {
        for (let i = 0; i < Math.ceil(ms); ++i) {
            ++this.ms
            this.everyMs()
        }
    }

    nowMs(): number {
        return this.ms
    }
}
