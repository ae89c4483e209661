import { verify, X509Certificate } from "node:crypto"
import { afterAll, beforeAll, expect, test, vi } from "vitest"
import type { PlombError } from "../../firmware/core/errors"
import { Event } from "../../firmware/core/logbook"
import { installPlatform } from "../../firmware/core/platform"
import {
    accessPath,
    changeProviderPath,
    deleteProviderPath,
    erasePath,
    metrologicalResetPath,
    rolloverPath,
} from "../../firmware/core/sml-parameter"
import { Role } from "../../firmware/core/x509-role"
import { produceIdentity } from "../../firmware/meter/calibration"
import { Step } from "../../firmware/meter/identity"
import {
    custodyAt,
    custodyEnd,
    identityAt,
    metrologicalEntries,
    signersAt,
    signersEnd,
    TrustSlot,
} from "../../firmware/meter/layout"
import { nodePlatform } from "../../tools/node/platform.ts"
import { noon, type TestParty } from "../helpers/certificates"
import { type CommandParties, commandParties, meterId, roleParty, setParameter, signerOf } from "../helpers/commands"
import { Cut } from "../helpers/memory-store"
import {
    CutStore,
    calibratedCells,
    certified,
    commandOf,
    Device,
    installFastCurve,
    sha256,
    u16,
} from "../helpers/meter-device"

let parties: CommandParties
let other: TestParty
/** A calibrated meter that has counted and signed. */
let cells: Buffer
let points = 0

beforeAll(async () => {
    installFastCurve()
    vi.spyOn(console, "log").mockImplementation(() => {})
    parties = await commandParties()
    other = await roleParty(Role.securityManagement, { issuer: parties.caRoot, ca: true, pathLength: 0, name: "Next" })
    cells = await calibratedCells(parties)
}, 60_000)

afterAll(() => {
    vi.restoreAllMocks()
    installPlatform(nodePlatform)
    console.log(`${points} cuts of the meter's changes`)
})

interface Change {
    from?: Buffer
    /** Parts that come before the command; in RAM only. */
    parts?: Buffer
    command: Buffer
    /** Its entry, where the state is new. */
    event?: Event
    /** More about a meter in the old or new state, started again. */
    also?(device: Device, isNew: boolean): void
}

/** Cuts each write of a change at its first, a middle and its last octets; a start again must find the one state or the other. */
function everyCut(change: Change): { old: number; new: number; after: Buffer } {
    const begin = () => {
        const device = new Device(new CutStore(change.from ?? cells))
        if (change.parts) device.bring(change.parts)
        return device
    }
    /** The command, then the start behind it, which may have work of its own. */
    const run = (device: Device) => {
        device.send(change.command)
        return new Device(device.store)
    }
    const whole = begin()
    const before = whole.state()
    whole.store.begin()
    const changed = run(whole).state()
    expect(changed).not.toBe(before)
    const { writes } = whole.store
    const seen = { old: 0, new: 0, after: Buffer.from(whole.store.cells) }
    writes.forEach((length, write) => {
        for (const octets of new Set([0, 1, length >> 1, length - 1])) {
            const device = begin()
            device.store.begin(write, octets)
            let came: unknown
            try {
                run(device)
            } catch (error) {
                came = error
            }
            if (!(came instanceof Cut)) throw came ?? new Error(`no cut in write ${write}`)
            device.store.begin()
            const at = `write ${write} of ${writes.length}, ${octets} of ${length} octets`
            let after: Device
            try {
                after = new Device(device.store)
            } catch (error) {
                throw new Error(`${at}: does not start: ${(error as PlombError).message}`)
            }
            const state = after.state()
            expect([before, changed], at).toContain(state)
            const isNew = state === changed
            if (isNew && change.event !== undefined) expect(after.events(), at).toContain(change.event)
            change.also?.(after, isNew)
            ++seen[isNew ? "new" : "old"]
            ++points
        }
    })
    expect(seen.old).toBeGreaterThan(0)
    return seen
}

/** Does the certificate that the meter serves name the key it signs with? */
function signsAsCertified(device: Device): void {
    const { signed, signature } = device.meter.issueList()
    const leaf = new X509Certificate(device.meter.certificates.der(TrustSlot.Meter) ?? Buffer.alloc(0))
    expect(verify("sha256", signed, { key: leaf.publicKey, dsaEncoding: "ieee-p1363" }, signature)).toBe(true)
}

function ofNextProvider(): Pick<Change, "parts" | "command"> {
    const value = Buffer.concat([u16(other.der.length, parties.caRoot.der.length), sha256(other.der)])
    return {
        parts: Buffer.concat([other.der, parties.caRoot.der]),
        command: commandOf(parties.provider, changeProviderPath, value),
    }
}

test("change of provider: the former or the next, and whoever it is commands", () => {
    const table = (device: Device) => {
        const octets = Buffer.from(device.functions.table.octets())
        octets[3] += 1
        return octets
    }
    const { new: changed } = everyCut({
        ...ofNextProvider(),
        event: Event.providerChanged,
        also: (device, isNew) => {
            const [in_, out] = isNew ? [other, parties.provider] : [parties.provider, other]
            const later = { nowSeconds: () => noon + 1 }
            const order = (by: TestParty) =>
                signerOf(by, [], later).command(meterId, [setParameter(accessPath, table(device))])
            device.send(order(out))
            expect(device.functions.table.version()).toBe(1)
            device.send(order(in_))
            expect(device.functions.table.version()).toBe(2)
        },
    })
    expect(changed).toBeGreaterThan(0)
}, 300_000)

test("deletion of a provider: the table of delivery goes with it, never one without the other", () => {
    const device = new Device(new CutStore(cells))
    const table = Buffer.from(device.functions.table.octets())
    table[3] = 2
    table[4 + 2 + 1] &= ~0x20 & 0xff
    device.send(commandOf(parties.provider, accessPath, table))
    expect(device.functions.table.version()).toBe(2)
    const from = Buffer.from(device.store.cells)
    const command = commandOf(parties.manufacturer, deleteProviderPath, Buffer.of(0))
    expect(everyCut({ from, command, event: Event.providerDeleted }).new).toBeGreaterThan(0)
}, 300_000)

test("change of the access table: the former or the next", () => {
    const table = Buffer.from(new Device(new CutStore(cells)).functions.table.octets())
    table[3] = 2
    table[4 + 2 + 1] &= ~0x20 & 0xff
    const command = commandOf(parties.provider, accessPath, table)
    everyCut({
        command,
        event: Event.accessChanged,
        also: (device, isNew) => {
            expect(device.functions.table.allows(Role.dataCollection, 1)).toBe(!isNew)
            device.send(command)
            if (isNew) expect(device.functions.table.version()).toBe(2)
        },
    })
}, 300_000)

test("key rollover: key and certificate change together, and the former key is gone", async () => {
    const begin = commandOf(parties.calibration, rolloverPath, Buffer.of(1))
    const device = new Device(new CutStore(cells))
    device.send(begin)
    const from = Buffer.from(device.store.cells)
    const key = device.spare.publicKey()
    const { der } = await certified(parties, key)
    const value = Buffer.concat([Buffer.of(2), u16(der.length), sha256(der)])
    const finish = signerOf(parties.calibration, [], { nowSeconds: () => noon + 1 })
    const { new: changed, after } = everyCut({
        from,
        parts: der,
        command: finish.command(meterId, [setParameter(rolloverPath, value)]),
        event: Event.keyRollover,
        also: (each, isNew) => {
            expect(each.meter.custody().publicKey().equals(key)).toBe(isNew)
            if (isNew) expect(each.custody.state().keyPresent).toBe(false)
            signsAsCertified(each)
        },
    })
    expect(changed).toBeGreaterThan(0)
    signsAsCertified(new Device(new CutStore(after)))
}, 300_000)

test("reset of the metrological logbook: all its entries, or none and the reset", () => {
    const device = new Device(new CutStore(cells))
    for (let i = 0; i < metrologicalEntries / 2; ++i)
        device.functions.metrologicalLog.append(Event.sealOpened, 255, undefined, 0, Buffer.alloc(0))
    const from = Buffer.from(device.store.cells)
    const seen = Buffer.alloc(4)
    seen.writeUInt32BE(device.functions.metrologicalLog.newest())
    const command = commandOf(parties.institute, metrologicalResetPath, seen)
    everyCut({
        from,
        command,
        also: (each, isNew) =>
            expect(each.events().filter(event => event === Event.sealOpened)).toHaveLength(isNew ? 0 : 50),
    })
}, 300_000)

test("erase: the meter it was or a bare board without key or reading, on which a new calibration begins", () => {
    const order = commandOf(parties.calibration, erasePath, Buffer.of(0))
    const command = commandOf(parties.localOperator, erasePath, order)
    const before = new Device(new CutStore(cells))
    const publicKey = before.custody.publicKey()
    const counter = before.custody.incrementCounter()
    const { new: changed, after } = everyCut({
        from: before.store.cells,
        command,
        also: (device, isNew) => {
            if (!isNew) return
            const left = device.store.cells
            expect(left.indexOf(publicKey)).toBe(-1)
            const first = left.subarray(identityAt, signersAt)
            // Of the keys' holders the monotonic counters stay, and that they are configured.
            expect(first.subarray(0x400, custodyAt).every(octet => octet === 0)).toBe(true)
            expect(first.subarray(custodyEnd).every(octet => octet === 0)).toBe(true)
            expect(device.custody.state().keyPresent).toBe(false)
            expect(device.custody.counter()).toBe(counter)
            expect(left.subarray(signersEnd).every(octet => octet === 0)).toBe(true)
            expect(device.meter.identity.step()).toBe(Step.Bare)
        },
    })
    expect(changed).toBeGreaterThan(100)
    const device = new Device(new CutStore(after))
    produceIdentity(device.meter.identity, 2, Buffer.from("m"))
    device.custody.configure()
    expect(device.custody.generateKey()).toHaveLength(64)
}, 300_000)

test("hundreds of cuts were made", () => {
    expect(points).toBeGreaterThan(600)
})
