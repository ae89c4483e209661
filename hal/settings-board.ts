import * as ds from "@devicescript/core"
import { cut, sameOctets } from "../firmware/core/octets"
import type { Settings } from "./ports"

/** The runtime's settings service starts about a second after the program. */
const longestMs = 5000

/** Command and report "get" of the Jacdac settings service; the report is the key, an octet 0 and the value. */
const getCode = 0x80

/**
 * Settings in the board's flash, as DeviceScript's tools write them (JSON, so numbers come back as text). Asked of the runtime's
 * settings service itself: what the library puts between (`@devicescript/settings`, packets of roles) is 0.9 KB of code.
 * "" where there is no such setting, where it is not JSON, and where the service does not answer in 5 s.
 */
export class BoardSettings implements Settings {
    private readonly role: ds.Settings
    private asked: Buffer
    private value: Buffer

    constructor() {
        this.role = new ds.Settings()
        const self = this
        const role: any = this.role
        // The runtime calls it in a fiber of its own: without a packet when the role is bound, and for commands as well.
        role._onPacket = (packet: ds.Packet) => {
            if (packet && packet.isReport && packet.serviceCommand === getCode) self.hear(packet.payload)
        }
    }

    get(key: string): string {
        const sleep: any = ds.sleep
        // Fibers take turns.
        while (this.asked) sleep(2)
        const asked = Buffer.from(key)
        this.asked = asked
        this.value = undefined
        let sent = false
        const until = ds.millis() + longestMs
        while (!this.value && ds.millis() < until) {
            // Where nobody is bound, sending would wait for ever.
            if (!sent && this.role.isBound) {
                sent = true
                const role: any = this.role
                role.sendCommand(getCode, asked)
            }
            sleep(5)
        }
        this.asked = undefined
        return this.value ? textOf(this.value.toString("utf8")) : ""
    }

    /** Takes the answer to the question that waits; one that came too late for its own is about another key. */
    private hear(payload: Buffer): void {
        const asked = this.asked
        if (!asked) return
        const length = asked.length
        if (payload.length > length && payload[length] === 0 && sameOctets(cut(payload, 0, length), asked))
            this.value = cut(payload, length + 1, payload.length - length - 1)
    }
}

/** The value that a JSON text states, as text. */
function textOf(json: string): string {
    let value: any
    try {
        value = JSON.parse(json)
    } catch {
        return ""
    }
    if (value === undefined || value === null) return ""
    if (typeof value !== "string") return "" + value
    // The runtime's parser takes octets for characters (é becomes two): only escapes are left to it.
    let text = ""
    let at = 1
    while (true) {
        const found = json.indexOf("\\", at)
        if (found < 0) return text + json.slice(at, json.length - 1)
        const end = found + (json[found + 1] === "u" ? 6 : 2)
        text += json.slice(at, found) + JSON.parse('"' + json.slice(found, end) + '"')
        at = end
    }
}
