import { readSetting } from "@devicescript/settings"
import type { Settings } from "./ports"
import { within } from "./within"

/** The runtime's settings service starts about a second after the program. */
const longestMs = 5000

/** Settings in the board's flash, as DeviceScript's tools write them (JSON, so numbers come back as text). */
export class BoardSettings implements Settings {
    get(key: string): string {
        const value = within<any>(longestMs, async done => {
            done(await readSetting(key, ""))
        })
        if (value === undefined || value === null) return ""
        return "" + value
    }
}
