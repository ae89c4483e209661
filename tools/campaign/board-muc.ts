import { createHash } from "node:crypto"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { serverIdOf } from "../calibrate/station.ts"
import { constantLoad } from "../chips/load-source.ts"
import { Desk } from "../desk/desk.ts"
import { LineProbe } from "../desk/line-probe.ts"
import { publishAll } from "../pki/publish.ts"
import { numberOf, obis } from "../verify/signed-list.ts"
import { BadLine } from "./bad-line.ts"
import { itemsOf } from "./ledger.ts"
import { Service } from "./service.ts"

/** Serial number of the meter on the board's line. */
export const boardMeter = 4721

type Random = (below: number) => number

/**
 * A real MUC and a meter in the stock VM, and the directory that the MUC asks whenever it starts: what light MUCs do not
 * show. Made of a folder that `layOutDesk` has laid out. Their clock follows the day's and never runs ahead of it: a machine with
 * much to do makes them late, and costs no octets on their line.
 */
export class BoardMuc {
    readonly serverId = serverIdOf(boardMeter)
    /** SHA-256 of the signed octets by pagination, hex, as heard on the RS-485 line. */
    readonly signed = new Map<number, string>()
    /** The newest list heard there. */
    pagination = 0
    /** How often the MUC was without power, and how often it then said that the directory failed it. */
    starts = 0
    without = 0
    private stopped = false
    private following: Promise<void> = Promise.resolve()
    private readonly line: BadLine
    private readonly probe: LineProbe

    private constructor(
        private readonly desk: Desk,
        private readonly directory: Service,
        /** What the boards printed last. */
        readonly log: string[],
    ) {
        this.line = new BadLine(() => directory.port)
        this.probe = new LineProbe(desk.world, desk.wire)
    }

    /** The boards of `folder` with the directory of its PKI; the uplink goes to `port` of this machine. */
    static async open(folder: string, port: number): Promise<BoardMuc> {
        const pki = join(folder, "pki")
        const own = join(folder, "directory")
        if (!existsSync(own)) mkdirSync(own)
        const password = join(own, "password")
        writeFileSync(password, "campaign\n", { mode: 0o600 })
        const party = (name: string) => join(pki, "directory", name)
        const directory = new Service(
            [
                ...["directory", "--listen-tls", "127.0.0.1:0", "--store", join(own, "tree")],
                ...["--key", party("key.pem"), "--chain", party("chain.pem"), "--ca", join(pki, "ca-root", "cert.pem")],
                ...["--writer-password-file", password],
            ],
            () => {},
        )
        await directory.start()
        await publishAll(pki, { url: `ldaps://127.0.0.1:${directory.port}`, password: "campaign" })
        const log: string[] = []
        const onLog = (board: string, text: string) => {
            log.push(`[${board}] ${text}`)
            if (log.length > 400) log.shift()
        }
        const state = join(folder, "state")
        const desk = await Desk.open({
            serials: [boardMeter],
            state,
            load: constantLoad(1500),
            clock: "virtual",
            startMs: Date.now(),
            patienceMs: 0,
            onLog,
        })
        const muc = new BoardMuc(desk, directory, log)
        await muc.line.listen()
        await desk.start()
        await desk.startMuc({
            uplink: `127.0.0.1:${port}`,
            settings: { directory: `127.0.0.1:${muc.line.port}`, provider: "security-management" },
        })
        muc.following = muc.follow()
        muc.following.catch(() => {})
        return muc
    }

    /** Lets the boards' clock come up with the day's until they are stopped. */
    private async follow(): Promise<void> {
        const { world } = this.desk
        while (!this.stopped) {
            const behindMs = Date.now() - world.nowMs()
            if (behindMs < 1) await sleep(5)
            else await world.runFor(Math.min(behindMs, 100))
        }
    }

    /** Takes in what was said on the RS-485 line since the last look; what is wrong with the boards. */
    look(): string[] {
        const failures: string[] = []
        for (const raw of this.probe.files.splice(0))
            for (const { file, item } of itemsOf(raw)) {
                const pagination = Number(numberOf(file.payload, item, obis.pagination))
                const hash = createHash("sha256").update(item.signed).digest("hex")
                const known = this.signed.get(pagination)
                if (known && known !== hash) failures.push(`the meter has signed two lists ${pagination}`)
                this.signed.set(pagination, hash)
                this.pagination = Math.max(this.pagination, pagination)
            }
        if (this.stopped) return failures
        const [{ board: meter }] = this.desk.meters
        for (const [name, board] of Object.entries({ meter, MUC: this.desk.muc!.board }))
            if (!board.powered) failures.push(`the ${name} stands still: ${board.panic?.message ?? "it ended"}`)
        return failures
    }

    /** Power goes, at any moment of whatever it does, and comes back; it asks the directory and calls its uplink then. */
    async restart(random: Random): Promise<void> {
        const { board } = this.desk.muc!
        await board.powerOff()
        await sleep(random(1500))
        ++this.starts
        await board.powerOn()
    }

    /**
     * The directory goes, before the MUC asks it or in the midst of what it answers; the MUC starts anew. `within` must show
     * that all goes on without; then the directory is there again.
     */
    async directoryDown(random: Random, within: () => Promise<string[]>): Promise<string[]> {
        const how = random(3)
        this.log.length = 0
        if (how === 0) await this.directory.kill()
        if (how === 1) await this.line.breakAfter(1, 0, "dark")
        await this.restart(random)
        if (how === 2) {
            await this.line.breakAfter(1 + random(9000), 5000, "reset")
            await this.directory.kill()
        }
        const failures = await within()
        if (this.log.some(line => /directory: .*E\d{4}/.test(line))) ++this.without
        this.line.heal()
        if (how !== 1) await this.directory.start()
        return failures
    }

    async close(): Promise<void> {
        this.stopped = true
        await this.following
        await this.desk.close()
        this.line.close()
        await this.directory.kill()
    }
}
