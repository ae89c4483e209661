import { createHash, webcrypto } from "node:crypto"
import { expect } from "vitest"
import { CRC_BAD } from "../../firmware/core/crc16"
import type { Event } from "../../firmware/core/logbook"
import { uintBE } from "../../firmware/core/octets"
import { installPlatform } from "../../firmware/core/platform"
import { readFile } from "../../firmware/core/sml-read"
import { Role } from "../../firmware/core/x509-role"
import { produceIdentity } from "../../firmware/meter/calibration"
import { eraseOrdered } from "../../firmware/meter/erase"
import { Functions } from "../../firmware/meter/functions"
import { Identity, Step } from "../../firmware/meter/identity"
import { TrustSlot } from "../../firmware/meter/layout"
import { Meter } from "../../firmware/meter/meter"
import { plainRule } from "../../firmware/meter/rule"
import { Software } from "../../firmware/meter/software"
import { SoftwareCustody } from "../../hal/keys-software"
import type { BuiltIn, Machine } from "../../hal/machine"
import type { EnergyFrontEnd, RealTimeClock } from "../../hal/ports"
import { nodePlatform } from "../../tools/node/platform.ts"
import { nativeCurve } from "../../tools/within/curve.ts"
import { noon, type TestParty } from "./certificates.ts"
import { type CommandParties, heldByMeter, meterId, roleParty, setParameter, signerOf } from "./commands.ts"
import { Cut, MemoryStore } from "./memory-store.ts"

/** Checks signatures by Node's own curve from now on: what is proved with this meter is order, not arithmetic. */
export function installFastCurve(): void {
    installPlatform({ ...nodePlatform, ...nativeCurve() })
}

/** The FRAM of a calibrated meter that has counted and signed. */
export async function calibratedCells(parties: CommandParties): Promise<Buffer> {
    const store = new CutStore()
    const bare = new Device(store)
    bare.meter.tick()
    produceIdentity(bare.meter.identity, 1, Buffer.from("m"))
    bare.custody.configure()
    const leaf = await certified(parties, bare.custody.generateKey())
    const slots = [leaf, parties.calibration, parties.root, parties.manufacturer, parties.provider]
    expect(heldByMeter(parties)).toHaveLength(4)
    slots.forEach(({ der }, slot) => {
        bare.meter.trust.writePart(slot, 0, der)
        bare.meter.trust.close(slot, der.length)
    })
    bare.custody.seal()
    bare.meter.identity.reach(Step.Calibrated)
    bare.meter.time.set(noon)
    for (let i = 0; i < 3; ++i) bare.meter.tick()
    bare.meter.issueList()
    return Buffer.from(store.cells)
}

/** A store whose power goes in its write number `cutWrite` (from 0), after `cutOctets` octets of it. */
export class CutStore extends MemoryStore {
    /** Octets of each write since the last `begin`. */
    writes: number[] = []
    cutWrite = Number.POSITIVE_INFINITY
    cutOctets = 0

    constructor(cells?: Buffer) {
        super(0x20000)
        cells?.copy(this.cells)
    }

    begin(cutWrite = Number.POSITIVE_INFINITY, cutOctets = 0): void {
        this.writes = []
        this.cutWrite = cutWrite
        this.cutOctets = cutOctets
    }

    override write(address: number, data: Buffer): void {
        if (this.writes.length > this.cutWrite) throw new Cut()
        if (this.writes.length === this.cutWrite) {
            super.write(address, data.subarray(0, this.cutOctets))
            this.writes.push(data.length)
            throw new Cut()
        }
        super.write(address, data)
        this.writes.push(data.length)
    }
}

/** The meter's program, brought up on a store as `main.ts` does it, with its keys in the same store. */
export class Device {
    readonly custody: SoftwareCustody
    readonly spare: SoftwareCustody
    readonly meter: Meter
    readonly functions: Functions
    /** What the clock's chip says. */
    clock = { utcSeconds: noon, running: true }

    readonly software?: Software

    /** With `module`, which ships with the image, modules measure; without, the fixed part's own rule. */
    constructor(
        readonly store: CutStore,
        module?: BuiltIn,
    ) {
        this.custody = new SoftwareCustody(store)
        this.spare = new SoftwareCustody(store, 0x00900)
        const machine = {
            custody: this.custody,
            spare: this.spare,
            softwareIdentification: "test",
            softwareChecksum: Buffer.alloc(32, 7),
            sealOpen: () => false,
        } as unknown as Machine
        const frontEnd = {
            start: () => {},
            takeEnergy: () => 3.6 * 3.6e9,
            measure: () => ({ millivolts: 0, milliamperes: 0, milliwatts: 0, millihertz: 0, noLoad: true }),
        } as EnergyFrontEnd
        const rtc = {
            read: () => this.clock,
            set: (utcSeconds: number) => {
                this.clock = { utcSeconds, running: true }
            },
        } as unknown as RealTimeClock
        eraseOrdered(new Identity(store), store, machine)
        this.meter = new Meter(machine, store, frontEnd, rtc)
        if (module) this.software = new Software(store, this.meter, module)
        else this.meter.rule = plainRule(this.meter)
        this.functions = new Functions(store, this.meter, this.software)
        this.meter.time.refresh()
        this.software?.start()
    }

    /** The answer to a file. */
    send(raw: Buffer): Buffer {
        return this.functions.answer(readFile(raw, false, CRC_BAD), () => {})
    }

    /** Certificates and lists come in parts, before the command that names them. */
    bring(octets: Buffer): void {
        for (let at = 0; at < octets.length; at += 700)
            this.meter.certificates.order(
                Buffer.concat([Buffer.from([0, at >> 8, at & 255]), octets.subarray(at, at + 700)]),
            )
    }

    /** What a change may change, all of it. */
    state(): string {
        const { identity, certificates, places } = this.meter
        const digest = (octets?: Buffer) =>
            octets ? createHash("sha256").update(octets).digest("hex").slice(0, 8) : "-"
        return [
            `step ${identity.step()} serial ${identity.serial()}`,
            `provider ${digest(certificates.der(TrustSlot.SecurityManagement))}`,
            `certificate ${digest(certificates.der(TrustSlot.Meter))}`,
            `key ${identity.step() >= Step.KeyMade ? digest(this.meter.custody().publicKey()) : "-"} ${places.key()}`,
            `table ${digest(this.functions.table.octets())}`,
            `log from ${uintBE(this.functions.metrologicalLog.head(), 4, 4)}`,
            `drawn ${this.meter.registers.register(0)}`,
            `lists ${this.meter.issuer.pagination()}`,
        ].join(", ")
    }

    /** Events of both logbooks. */
    events(): Event[] {
        return [this.functions.metrologicalLog, this.functions.logbook].flatMap(log => {
            const all: Event[] = []
            for (let number = 1; number <= log.newest(); ++number) {
                const entry = log.read(number)
                if (entry) all.push(entry[13])
            }
            return all
        })
    }
}

/** A certificate of the calibration authority for a meter's key. */
export async function certified(parties: CommandParties, publicKey: Buffer): Promise<TestParty> {
    const point = Buffer.concat([Buffer.of(4), publicKey])
    const key = await webcrypto.subtle.importKey("raw", point, { name: "ECDSA", namedCurve: "P-256" }, true, ["verify"])
    const keys = { publicKey: key, privateKey: undefined } as unknown as CryptoKeyPair
    return roleParty(Role.meter, { issuer: parties.calibration, ca: false, keys, name: meterId.toString("hex") })
}

/** Numbers as U16 BE. */
export const u16 = (...numbers: number[]) => Buffer.from(numbers.flatMap(number => [number >> 8, number & 255]))
export const sha256 = (octets: Buffer) => createHash("sha256").update(octets).digest()

/** A command with one request to set a parameter, as of noon. */
export function commandOf(signer: TestParty, path: Buffer, value: Buffer, issuers: TestParty[] = []): Buffer {
    return signerOf(signer, issuers, { nowSeconds: () => noon }).command(meterId, [setParameter(path, value)])
}
