import * as ds from "@devicescript/core"
import { type Code, PlombError } from "../core/errors"
import { Floor, type FloorKey, type MonotonicCounter } from "../core/floor"
import { Event } from "../core/logbook"
import { cut } from "../core/octets"
import { installPlatform, type Platform } from "../core/platform"
import { Slots } from "../core/slots"
import { type Order, SoftwareArea } from "../core/software"
import type { Store } from "../core/store"

/*
 * What the two programs that keep the software of a device have in common (`software-start.ts`, `software-orders.ts`): the fixed part's own sources, for which
 * a MUC's code has no room. They run in the sandbox an order at a time; nothing is kept here between two. What they are given and answer:
 * firmware/sandbox/software-calls.ts.
 */

/** A program that may run, as the fixed part takes it. */
export interface Runs {
    slot: number
    image?: Buffer
    called?: Buffer
    name?: string
    version?: number
    floor?: number
    trial?: boolean
}

/** What the fixed part offers: also its hashing, the area of the store, the counter and the key, as the core wants them. */
interface Host extends Platform, Store, MonotonicCounter, FloorKey {
    onOrder(f: (order: Order, value: Buffer) => void): void
    signers(keys: Buffer[], installed: number): number
    run(program: Runs): number
    tell(event: number, code: number, digest: Buffer): void
    enter(digest: Buffer): void
    told(values: Buffer[]): void
    about(what: number): number
    hardware(): string
    refuse(code: number, at: number): void
    restart(): void
}

/** Octets of a digest that an entry of the logbook has. */
const told = 16

export const host: Host = (ds as any).host
installPlatform(host)
export const floor = new Floor(host, SoftwareArea.Floor, host, () => host)
export const slots = new Slots(
    host,
    SoftwareArea.Slots,
    SoftwareArea.Receiving,
    SoftwareArea.Packages,
    SoftwareArea.SlotSize,
)

/** What to do with an order. */
export function serve(carryOut: (order: Order, value: Buffer) => void): void {
    host.onOrder((order, value) => {
        try {
            carryOut(order, value)
        } catch (e: any) {
            if (e instanceof PlombError) host.refuse(e.code, e.at)
            throw e
        }
    })
}

/** The software of a slot, which ran or was to, is withdrawn for this reason. */
export function withdraw(slot: number, code: Code): void {
    tell(Event.softwareWithdrawn, code, slot)
    slots.fail(slot, code)
}

export function tell(event: Event, code: number, slot: number): void {
    host.tell(event, code, cut(slots.digest(slot), 0, told))
}
