import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { changeProviderPath } from "../../../firmware/core/sml-parameter.ts"
import { serverIdOf } from "../../calibrate/station.ts"
import type { ChipBench } from "../../chips/bench.ts"
import { constantLoad } from "../../chips/load-source.ts"
import { Ssd1306 } from "../../chips/ssd1306.ts"
import { layOutDesk } from "../../desk/calibrated.ts"
import { Desk, mucServerId } from "../../desk/desk.ts"
import { LineProbe } from "../../desk/line-probe.ts"
import { UplinkPeer } from "../../desk/uplink-peer.ts"
import type { Board } from "../../vm/board.ts"
import type { Came } from "./answer.ts"
import { type Addressee, Company, sha256 } from "./company.ts"
import { half, set } from "./requests.ts"

/** A device on the stage, with its memories. */
export interface Component extends Addressee {
    board: Board
    bench: ChipBench
}

/** What stands on the stage. */
export interface StageOptions {
    /** A MUC between the meter and us; everything goes over its uplink. Otherwise we stand at the meter's line. */
    muc?: boolean
    serial?: number
    /** Boards begin again by themselves: a device that erases itself ends its program. */
    restart?: boolean
    /** Parameter set of HSS keys; without them nobody signs software. Such a stage is calibrated anew each time. */
    hss?: string
    onLog?(board: string, line: string): void
}

const answerMs = 25_000

/**
 * A calibrated meter with the stock VM's image, and a MUC that was installed, of one PKI: where the use cases play. Its world is
 * virtual and begins today. People and devices are those of `plomb pki`.
 */
export class Stage extends Company {
    private constructor(
        readonly folder: string,
        readonly desk: Desk,
        private readonly serial: number,
        private readonly line: LineProbe,
        /** The other end of the MUC's uplink. */
        public uplink: UplinkPeer | undefined,
    ) {
        super(join(folder, "pki"))
    }

    static async open({ muc = true, serial = 4711, restart, hss, onLog }: StageOptions = {}): Promise<Stage> {
        const folder = mkdtempSync(join(tmpdir(), "plomb-case-"))
        await layOutDesk(folder, [serial], "vm", hss)
        const desk = await Desk.open({
            serials: [serial],
            state: join(folder, "state"),
            load: constantLoad(800),
            clock: "virtual",
            startMs: Date.now(),
            restart,
            onLog,
        })
        // With its panel, which takes bus and heap of the meter as on a wall.
        const panel = new Ssd1306()
        panel.powerOn()
        desk.meters[0].bench.bus.attach(panel)
        const uplink = muc ? new UplinkPeer(join(folder, "pki"), "operator", true) : undefined
        const stage = new Stage(folder, desk, serial, new LineProbe(desk.world, desk.wire), uplink)
        try {
            await desk.start()
            if (uplink) await stage.startMuc(uplink)
            else await stage.installMeter()
        } catch (error) {
            await stage.close()
            throw error
        }
        return stage
    }

    get meter(): Component {
        const id = serverIdOf(this.serial)
        const { board, bench } = this.desk.meters[0]
        return { name: "meter", id: Buffer.from(id, "hex"), certificate: this.der("meters", id), board, bench }
    }

    get muc(): Component {
        const id = mucServerId(1)
        const { board, bench } = this.desk.muc!
        return { name: "MUC", id: Buffer.from(id, "hex"), certificate: this.der("mucs", id), board, bench }
    }

    now(): Date {
        return new Date(Math.min(this.desk.world.nowMs(), Date.now()))
    }

    seconds(): number {
        return Math.floor(this.desk.world.nowMs() / 1000)
    }

    async send(file: Buffer): Promise<Buffer | undefined> {
        const { world } = this.desk
        const { uplink } = this
        if (!uplink) return this.line.ask(file, answerMs, () => !this.meter.board.powered)
        await world.runUntil(() => uplink.connected(), 130_000)
        uplink.ask(file)
        const until = world.elapsedMs() + answerMs
        await world.runUntil(
            () => uplink.files.length > 0 || !uplink.connected() || world.elapsedMs() > until,
            answerMs + 1000,
        )
        return uplink.files.shift()
    }

    /**
     * Brings the newest list of an issuer. A MUC takes lists from its directory, and there is none here, or that of a provider with the
     * provider's certificate, on the order of the one in force; here both are the same.
     */
    override async bringList(to: Addressee, issuer: string): Promise<Came> {
        if (to.name === "meter") return super.bringList(to, issuer)
        const provider = this.person(issuer)
        const list = this.list(issuer)
        const der = provider.signer.certificate
        const brought = await this.bring(to, der, list)
        if (brought.code !== 0) return brought
        const value = Buffer.concat([half(der.length), half(0), sha256(der), half(list.length)])
        return this.tell(provider, to, [set(changeProviderPath, value)])
    }

    /** Takes the power and gives it again. */
    async restart({ board }: Component): Promise<void> {
        await board.powerOff()
        await board.powerOn()
        await this.desk.world.runFor(3000)
    }

    /** From now on the MUC calls there; the former end of the uplink closes. */
    async moveTo(uplink: UplinkPeer): Promise<void> {
        await this.uplink?.close()
        this.uplink = uplink
        await this.desk.world.runUntil(() => uplink.connected(), 300_000)
    }

    async close(): Promise<void> {
        await this.uplink?.close()
        await this.desk.close()
        rmSync(this.folder, { recursive: true, force: true })
    }

    private async startMuc(uplink: UplinkPeer): Promise<void> {
        await uplink.listen()
        await this.desk.startMuc({ uplink: `127.0.0.1:${uplink.port}` })
        const { board } = this.desk.muc!
        const { world } = this.desk
        await world.runUntil(() => uplink.connected() && board.log.some(line => line.includes("found 1")), 60_000)
        // The CA's list, the provider's certificate and the provider's list: it brings its meter what that lacks.
        const brought = () => board.log.filter(line => line.includes("delivery to")).length >= 3
        await world.runUntil(brought, 60_000).catch(() => {})
        await world.runFor(3000)
    }

    /** What a MUC would bring. */
    private async installMeter(): Promise<void> {
        await this.desk.world.runFor(3000)
        const { meter } = this
        await this.bringList(meter, "ca-root")
        await this.bring(meter, this.der("security-management"), this.der("ca-root"), "certificate")
        await this.bringList(meter, "security-management")
    }
}
