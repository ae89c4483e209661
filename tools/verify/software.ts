import type { ParameterTree } from "./answer-file.ts"
import { SmlDamage } from "./sml-tlv.ts"

/** Names of the states of a slot, by number. */
const states = ["empty", "receiving", "verified", "on trial", "active", "former", "failed"] as const
const softwareName = "8181c7f061ff"
const slotOctets = 41
const slotsHead = 4
const runningOctets = 37
/** In place of a slot's number: the module that ships with the device's program, and none. */
const builtIn = 255

/** What a slot holds. */
export interface SlotContent {
    state: (typeof states)[number]
    version: number
    /** Octets of the package. */
    length: number
    /** Code with which it failed, 0 = none. */
    reason: number
    /** SHA-256 of the package, hex. */
    digest: string
}

/** What a device says of its software in slots. */
export interface SoftwareState {
    slots: SlotContent[]
    /** Seconds of running that a trial has left, and starts that it has had. */
    trialSeconds: number
    trialStarts: number
    /** Number of the slot that runs; "built in": the module that ships; "none": nothing measures. */
    running: number | "built in" | "none"
    version: number
    /** SHA-256 of the running module's image, hex. */
    checksum: string
    /** "metrology 1.0.0". */
    identification: string
    floor: number
    /** Blocks of the package being received: is it there? Empty where none is. */
    blocks: boolean[]
}

/** "1.2.3" of the number in manifests and slots. */
export function versionName(version: number): string {
    return `${version >>> 16}.${(version >>> 8) & 255}.${version & 255}`
}

/**
 * Reads the state of the slots out of the tree of a signed answer: the one on its own, or the branch inside an attestation; undefined
 * where there is none. Throws `SmlDamage` for one of another form.
 */
export function readSoftware(tree: ParameterTree): SoftwareState | undefined {
    const found = [tree, ...tree.children].find(each => each.name === softwareName)
    if (!found) return undefined
    const [slots, running, identification, floor, blocks] = found.children.map(each => each.value)
    const whole = slots?.length > slotsHead && (slots.length - slotsHead) % slotOctets === 0
    if (!whole || running?.length !== runningOctets || floor?.length !== 4 || !blocks)
        throw new SmlDamage(0, "slots, what runs, its name, the floor, blocks", found.children.length + " values")
    const contents: SlotContent[] = []
    for (let at = slotsHead; at < slots.length; at += slotOctets)
        contents.push({
            state: states[slots[at]] ?? "failed",
            version: slots.readUInt32BE(at + 1),
            length: slots.readUInt16BE(at + 5),
            reason: slots.readUInt16BE(at + 7),
            digest: slots.toString("hex", at + 9, at + slotOctets),
        })
    const [slot] = running
    return {
        slots: contents,
        trialSeconds: slots.readUInt16BE(0),
        trialStarts: slots[2],
        running: slot === builtIn ? "built in" : slot < contents.length ? slot : "none",
        version: running.readUInt32BE(1),
        checksum: running.toString("hex", 5),
        identification: identification.toString("utf8").replace(/[^\p{L}\p{N} .,:_+-]/gu, "?"),
        floor: floor.readUInt32BE(0),
        blocks: [...blocks].map(each => each === 1),
    }
}
