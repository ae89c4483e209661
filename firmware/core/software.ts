import { Code, fail } from "./errors"
import { cut, join, numberBE, sameOctets } from "./octets"
import type { Manifest } from "./package"
import { SlotState, type Slots } from "./slots"
import { childName, octetsLeaf } from "./sml-parameter"

/** DeviceScript 2.16.4, as versions stand in a manifest. */
const runtime = 0x021004

/** In place of a slot: the module that ships with the image, and none. */
export const builtInSlot = 255
export const noSlot = 254

/** Orders to the programs that keep the software of a device (firmware/overlays/software-start.ts, software-orders.ts). */
export enum Order {
    /** At the start of the device: judge the package that has come whole; start what is to run. */
    Judge = 0,
    Start = 1,
    /** What stands in the slots. */
    Tell = 2,
    /** A package is to come (`Slots.announce`); a block of it (`Slots.block`). */
    Announce = 3,
    Block = 4,
    /** By the SHA-256 of a package: on trial, to stay, back to what ran before. */
    Activate = 5,
    Confirm = 6,
    PutBack = 7,
    /** Seconds of a trial have passed; what runs did what it must not. */
    Passed = 8,
    Withdraw = 9,
}

/** Where that program keeps what, in an area of the store: the slots' record, the floor, judgements of what came, the delivery, packages. */
export enum SoftwareArea {
    Slots = 0,
    Floor = 0x1c0,
    Judged = 0x280,
    Receiving = 0x2c0,
    Packages = 0xac0,
    /** Octets of a slot, and of the area. */
    SlotSize = 0x2000,
    Size = 0x6ac0,
}

/** A module that may run: its image, which was checked, and what its manifest says. */
export interface Program {
    image: Buffer
    /** What `checkImage` answered. */
    called: Buffer
    name: string
    version: number
    /** Its confirmation raises the floor to this version. */
    floor: number
}

/** Name and version of a module, as they stand in what a device signs: "metrology 1.0.0". */
export function nameOf(program: Program): Buffer {
    const version = program.version
    return Buffer.from(program.name + " " + (version >> 16) + "." + ((version >> 8) & 0xff) + "." + (version & 0xff))
}

/**
 * May the package of this manifest run on such a device? It must be newer than `above`, and not below the floor. Throws `SoftwareHardware`,
 * `SoftwareRuntime`, `SoftwareVersion`, `SoftwareFloor`.
 */
export function mustSuit(manifest: Manifest, hardware: string, above: number, floor: number): void {
    if (manifest.hardware !== hardware) fail(Code.SoftwareHardware, -1, hardware, manifest.hardware)
    if (manifest.runtime > runtime) fail(Code.SoftwareRuntime, -1, "runtime " + runtime, "" + manifest.runtime)
    if (manifest.version <= above) fail(Code.SoftwareVersion, -1, "a version above " + above, "" + manifest.version)
    if (manifest.version < floor) fail(Code.SoftwareFloor, -1, "a version above the floor", "" + manifest.version)
}

/**
 * The package with this digest goes, on trial or active; what ran before it runs next, unless that is below the floor; `builtIn`: version of what ships with
 * the image. `enter` tells the logbook before. Throws `SlotState`, `SoftwareFloor`.
 */
export function putBack(
    slots: Slots,
    digest: Buffer,
    builtIn: number,
    floor: number,
    enter: (detail: Buffer) => void,
): void {
    const trial = slots.find(SlotState.Trial) >= 0
    const slot = slots.named(digest, trial ? SlotState.Trial : SlotState.Active)
    const before = slots.find(trial ? SlotState.Active : SlotState.Former)
    const version = before >= 0 ? slots.version(before) : builtIn
    if (version < floor) fail(Code.SoftwareFloor, -1, "a version above the floor", "" + version)
    enter(digest)
    slots.fail(slot, Code.SoftwarePutBack)
}

/**
 * What a device tells of its software, below the parameter `name`: the slots (`Slots.octets`); what `runs` (`runningOctets`); its
 * identification; the floor U32; which blocks of a delivery have come.
 */
export function softwareChildren(
    name: Buffer,
    slots: Buffer,
    runs: Buffer,
    identification: Buffer,
    floor: Buffer,
    blocks: Buffer,
): any[] {
    const values = [slots, runs, identification, floor, blocks]
    const children: any[] = []
    for (let i = 0; i < values.length; ++i) children.push(octetsLeaf(childName(name, i + 1), values[i]))
    return children
}

/** What runs: its slot U8, version U32, SHA-256 of the image, zeros where nothing does. */
export function runningOctets(slot: number, version: number, checksum: Buffer | undefined): Buffer {
    return join([Buffer.from([slot]), numberBE(4, version), checksum || Buffer.alloc(32)])
}

/** Is the announcement `value` (`Slots.announce`) of a package that is not being received yet? Its digest then, for the logbook. */
export function newlyAnnounced(slots: Slots, value: Buffer): Buffer | undefined {
    const digest = cut(value, 4, 32)
    const receiving = slots.find(SlotState.Receiving)
    return receiving >= 0 && sameOctets(slots.digest(receiving), digest) ? undefined : digest
}

/** A fault of a part on the bus or of the store, or a clock that was lost, says nothing about the software. */
export function isElsewhere(code: number): boolean {
    return (code >= 4600 && code < 4800) || code === Code.TimeNotTrusted
}
