import * as ds from "@devicescript/core"
import { Server, startServer } from "@devicescript/server"

// A standard service that nothing else on a bare VM announces.
class Sounder extends Server implements ds.BuzzerServerSpec {
    private level = 0.5

    constructor() {
        super(ds.Buzzer.spec)
    }

    intensity(): number {
        return this.level
    }

    set_intensity(value: number): void {
        this.level = value
        console.log("intensity is set")
    }

    volume(): number {
        return this.level
    }

    set_volume(value: number): void {
        this.level = value
    }

    async playTone(): Promise<void> {}
    async playNote(): Promise<void> {}
}

startServer(new Sounder())
