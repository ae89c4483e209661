import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { serverIdOf } from "../../calibrate/station.ts"
import { initPki } from "../../pki/init.ts"
import { issueMeterCertificate } from "../../pki/issue.ts"
import { readPem } from "../../pki/pem.ts"
import { shipped } from "../../within/built-in.ts"
import { CutStore } from "../../within/cut-store.ts"
import { type Clock, fixedPart, installClock, MeterInNode } from "../../within/meter.ts"
import { type Addressee, Company } from "./company.ts"
import { type Ground, hss, keepCounts } from "./ground.ts"

const serial = 4711
const hardware = "plomb-1"

/** A meter in this process, calibrated, with the lists and the provider that a MUC would bring; everything in it is as on a board but the parts. */
export class NodeGround extends Company implements Ground {
    readonly company = this
    readonly where = "in Node"
    readonly hardware = hardware
    readonly fixedPart = fixedPart.checksum.toString("hex")
    private readonly restoreCounts: () => void

    private constructor(
        private readonly folder: string,
        readonly clock: Clock,
        private readonly builtIn: Awaited<ReturnType<typeof shipped>>,
        private device: MeterInNode,
    ) {
        super(join(folder, "pki"))
        this.restoreCounts = keepCounts(join(folder, "counts"))
    }

    /** `fast`: see `installClock`. */
    static async open(fast = false): Promise<NodeGround> {
        const folder = mkdtempSync(join(tmpdir(), "plomb-software-"))
        const pki = join(folder, "pki")
        const clock = { ms: Math.floor(Date.now() / 1000) * 1000 }
        installClock(clock, fast)
        const builtIn = await shipped()
        const ground = new NodeGround(folder, clock, builtIn, new MeterInNode(new CutStore(), builtIn, clock))
        try {
            await initPki(pki, { hss, now: ground.now() })
            await ground.calibrate()
        } catch (error) {
            await ground.close()
            throw error
        }
        return ground
    }

    get meter(): Addressee {
        const id = serverIdOf(serial)
        return { name: "meter", id: Buffer.from(id, "hex"), certificate: this.der("meters", id) }
    }

    /** What runs at present. */
    get running(): MeterInNode {
        return this.device
    }

    now(): Date {
        return new Date(Math.min(this.clock.ms, Date.now()))
    }

    seconds(): number {
        return Math.floor(this.clock.ms / 1000)
    }

    async send(file: Buffer): Promise<Buffer | undefined> {
        const answer = this.device.answer(file)
        // A command and its answer take a while, and the meter counts meanwhile.
        this.device.second()
        return answer
    }

    async pass(seconds: number): Promise<void> {
        for (let i = 0; i < seconds; ++i) this.device.second()
    }

    async powerCut(): Promise<void> {
        this.powerOn(this.device.store)
    }

    /** Power comes to these contents of its FRAM. */
    powerOn(store: CutStore): void {
        this.device = new MeterInNode(store, this.builtIn, this.clock)
    }

    damage(address: number): void {
        this.device.store.cells[address] ^= 1
    }

    async close(): Promise<void> {
        installClock(undefined)
        this.restoreCounts()
        rmSync(this.folder, { recursive: true, force: true })
    }

    private async calibrate(): Promise<void> {
        const { pki } = this
        const held = ["calibration-authority", "institute-root", "manufacturer", "security-management"].map(
            name => readPem(readFileSync(join(pki, name, "cert.pem"), "utf8"))[0].der,
        )
        await this.device.calibrate(serial, hardware, held, async (csr, serverId) => {
            return (await issueMeterCertificate(pki, csr, serverId, { now: this.now() })).certificate
        })
        await this.powerCut()
        for (const issuer of ["ca-root", "security-management"]) await this.bringList(this.meter, issuer)
        await this.pass(2)
    }
}
