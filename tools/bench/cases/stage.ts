import { createHash, X509Certificate } from "node:crypto"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { certificatesPath, changeProviderPath } from "../../../firmware/core/sml-parameter.ts"
import { Brought, bringValues, partValues } from "../../authority/bring.ts"
import { Signer } from "../../authority/signer.ts"
import { serverIdOf } from "../../calibrate/station.ts"
import type { ChipBench } from "../../chips/bench.ts"
import { constantLoad } from "../../chips/load-source.ts"
import { layOutDesk } from "../../desk/calibrated.ts"
import { Desk, mucServerId } from "../../desk/desk.ts"
import { LineProbe } from "../../desk/line-probe.ts"
import { UplinkPeer } from "../../desk/uplink-peer.ts"
import type { PkiOptions } from "../../pki/init.ts"
import { issueWithKey } from "../../pki/issue.ts"
import { openKey } from "../../pki/keys.ts"
import { readPem } from "../../pki/pem.ts"
import { revoke } from "../../pki/revoke.ts"
import type { Board } from "../../vm/board.ts"
import { type Came, readCame } from "./answer.ts"
import { half, type Request, set, unsigned, word } from "./requests.ts"

/** A device on the stage: how it is addressed, what proves its answers, and its memories. */
export interface Component {
    name: "meter" | "MUC"
    id: Buffer
    /** DER. */
    certificate: Buffer
    board: Board
    bench: ChipBench
}

/** Somebody who signs commands. */
export interface Person {
    /** As the tables call it. */
    name: string
    /** Folder in the PKI. */
    path: string
    signer: Signer
}

/** How a command differs from an ordinary one. */
export interface Manner {
    /** The counter, instead of the next one. */
    counter?: number
    /** Seconds from the devices' time from which and to which it holds. */
    from?: number
    to?: number
    /** Name the certificate only. */
    brief?: boolean
    /** Certificates put in, DER, instead of the signer's; the header names the first. */
    certificates?: Buffer[]
    /** The certificate that the header names instead. */
    named?: Buffer
    /** Server id that the command is for, while it is sent to the component. */
    target?: Buffer
}

/** What a command file is made of, but for its signature. */
export interface Draft {
    target: Buffer
    header: Buffer
    messages: Buffer[]
    /** Transaction and file id. */
    id: Buffer
}

/** What stands on the stage. */
export interface StageOptions {
    /** A MUC between the meter and us; everything goes over its uplink. Otherwise we stand at the meter's line. */
    muc?: boolean
    serial?: number
    /** Boards begin again by themselves: a device that erases itself ends its program. */
    restart?: boolean
    onLog?(board: string, line: string): void
}

const answerMs = 25_000
/** Times that a question is asked until somebody answers. */
const mostTries = 5

/**
 * A calibrated meter with the stock VM's image, and a MUC that was installed, of one PKI: where the use cases play. Its world is
 * virtual and begins today. People and devices are those of `plomb pki`.
 */
export class Stage {
    private readonly counters = new Map<string, number>()

    private constructor(
        readonly folder: string,
        readonly desk: Desk,
        private readonly serial: number,
        private readonly line: LineProbe,
        /** The other end of the MUC's uplink. */
        public uplink: UplinkPeer | undefined,
    ) {}

    static async open({ muc = true, serial = 4711, restart, onLog }: StageOptions = {}): Promise<Stage> {
        const folder = mkdtempSync(join(tmpdir(), "plomb-case-"))
        await layOutDesk(folder, [serial])
        const desk = await Desk.open({
            serials: [serial],
            state: join(folder, "state"),
            load: constantLoad(800),
            clock: "virtual",
            startMs: Date.now(),
            restart,
            onLog,
        })
        const uplink = muc ? new UplinkPeer(join(folder, "pki")) : undefined
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

    get pki(): string {
        return join(this.folder, "pki")
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

    /** The moment at which PKI tools do what they do: neither the devices' future nor ours. */
    now(): Date {
        return new Date(Math.min(this.desk.world.nowMs(), Date.now()))
    }

    /** UTC seconds on the stage. */
    seconds(): number {
        return Math.floor(this.desk.world.nowMs() / 1000)
    }

    /** Somebody of the PKI by the folder, "security-management" or "operators/alice". */
    person(path: string, name = path.split("/").pop()!.replace(/-/g, " "), pki = this.pki): Person {
        const signer = new Signer({
            key: openKey(join(pki, path, "key.pem")),
            chain: readFileSync(join(pki, path, "chain.pem"), "utf8"),
        })
        return { name, path, signer }
    }

    /** Certifies one more person ("energy-provider", …), and answers that person. */
    async certify(role: string, name: string, options: PkiOptions = {}, pki = this.pki): Promise<Person> {
        const { folder } = await issueWithKey(pki, role, name, { now: this.now(), ...options })
        return this.person(folder.slice(pki.length + 1), name, pki)
    }

    /** DER of the certificate of a party. */
    der(...path: string[]): Buffer {
        return readPem(readFileSync(join(this.pki, ...path, "cert.pem"), "utf8"))[0].der
    }

    /** The counter that somebody's key had come to before this stage: the calibration authority has asked the meter what it runs. */
    spent(by: Person): number {
        const path = join(this.pki, by.path, "command-counter.json")
        return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")).last : 0
    }

    /** A command that is not signed yet; its counter is taken. */
    draft(by: Person, to: Component, requests: Request[], manner: Manner = {}): Draft {
        const target = manner.target ?? to.id
        const last = this.counters.get(by.signer.id) ?? this.spent(by)
        const counter = manner.counter ?? last + 1
        this.counters.set(by.signer.id, Math.max(last, counter))
        const certificates = manner.certificates ?? [by.signer.certificate, ...this.between(by)]
        const header = Buffer.concat([
            Buffer.of(1),
            word(counter),
            word(this.seconds() + (manner.from ?? -300)),
            word(this.seconds() + (manner.to ?? 900)),
            sha256(manner.named ?? certificates[0]),
            ...(manner.brief ? [] : certificates),
        ])
        return { target, header, messages: requests.map(request => request(target)), id: Buffer.from("bench") }
    }

    /** A signed command file. */
    write(by: Person, to: Component, requests: Request[], manner: Manner = {}): Buffer {
        const { target, header, messages, id } = this.draft(by, to, requests, manner)
        return by.signer.seal(target, header, messages, id)
    }

    /** A signed command, and what came of it. */
    async tell(by: Person, to: Component, requests: Request[], manner: Manner = {}): Promise<Came> {
        return this.show(this.write(by, to, requests, manner), to)
    }

    /** A question that changes nothing, asked again where no answer came: requests get lost on a line, most of all when a meter has just started. */
    async read(by: Person, from: Component, requests: Request[]): Promise<Came> {
        for (let tries = 1; ; ++tries) {
            const came = await this.tell(by, from, requests)
            if (came.raw || tries === mostTries) return came
        }
    }

    /** The same of nobody. */
    ask(to: Component, requests: Request[]): Promise<Came> {
        return this.show(unsigned(to.id, requests), to)
    }

    /** Any file, as it is. */
    async show(file: Buffer, to: Component): Promise<Came> {
        return readCame(file, await this.send(file), to.certificate)
    }

    /** Puts a file on the way and answers what comes back. */
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
     * Brings a certificate, or a revocation list, in parts, with its issuer's certificate behind it unless that is held. Without an `order` the
     * parts lie there for the command that names them.
     */
    async bring(
        to: Component,
        object: Buffer,
        issuer: Buffer = Buffer.alloc(0),
        order?: "certificate" | "list",
    ): Promise<Came> {
        const kind = order === "certificate" ? Brought.provider : Brought.list
        const parts = order ? bringValues(kind, object, issuer) : partValues(Buffer.concat([object, issuer]))
        let came: Came | undefined
        for (const part of parts) {
            came = await this.ask(to, [set(certificatesPath, part)])
            if (came.code !== 0) return came
        }
        return came!
    }

    /** Revokes somebody, and brings the list of the issuer to the component. */
    async revoke(by: Person, to: Component): Promise<Came> {
        const { issuer } = await revoke(this.pki, join(this.pki, by.path, "cert.pem"), "keyCompromise", {
            now: this.now(),
        })
        return this.bringList(to, issuer)
    }

    /**
     * Brings the newest list of an issuer. A MUC takes lists from its directory, and there is none here, or that of a provider with the
     * provider's certificate, on the order of the one in force; here both are the same.
     */
    async bringList(to: Component, issuer: string): Promise<Came> {
        if (to.name === "MUC") {
            const provider = this.person(issuer)
            const list = this.list(issuer)
            const der = provider.signer.certificate
            const brought = await this.bring(to, der, list)
            if (brought.code !== 0) return brought
            const value = Buffer.concat([half(der.length), half(0), sha256(der), half(list.length)])
            return this.tell(provider, to, [set(changeProviderPath, value)])
        }
        return this.bring(to, this.list(issuer), issuer === "ca-root" ? this.der("ca-root") : undefined, "list")
    }

    /** DER of the newest list of an issuer. */
    list(issuer: string): Buffer {
        return readPem(readFileSync(join(this.pki, issuer, "crl.pem"), "utf8"))[0].der
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

    /** The certificate above the signer's that a MUC does not hold. */
    private between({ path, signer }: Person): Buffer[] {
        if (path === "calibration-authority") return []
        const above = this.der("calibration-authority")
        return new X509Certificate(signer.certificate).checkIssued(new X509Certificate(above)) ? [above] : []
    }
}

/** SHA-256. */
export function sha256(octets: Uint8Array): Buffer {
    return createHash("sha256").update(octets).digest()
}
