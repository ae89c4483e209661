import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { codeLimit, imageLimit, rooms } from "../build/budgets.ts"
import { type Built, buildVariant, checkout } from "../build/build.ts"
import { heapAfterBoot } from "../build/heap.ts"
import { readManifest } from "../build/manifest.ts"
import { serverIdOf } from "../calibrate/station.ts"
import { layOutDesk } from "../desk/calibrated.ts"
import { Desk } from "../desk/desk.ts"
import { partyTls } from "../desk/parties.ts"
import { HeadEnd } from "../headend/headend.ts"
import type { Board } from "../vm/board.ts"
import type { Grid, Row, Section } from "./row.ts"

const serial = 4711
const sampleMs = 4
const readings = 3
const kilo = 1024

/** Least heap that is free at any look while a meter of this variant is read through a MUC. */
async function lowest(variant: string): Promise<{ meter: number; muc: number }> {
    const folder = mkdtempSync(join(tmpdir(), "plomb-perf-"))
    const least = { meter: Number.POSITIVE_INFINITY, muc: Number.POSITIVE_INFINITY }
    try {
        await layOutDesk(folder, [serial], variant)
        const anchors = [readFileSync(join(folder, "pki", "institute-root", "cert.pem"), "utf8")]
        const tls = partyTls(join(folder, "pki"), "operator")
        const headEnd = new HeadEnd({ store: join(folder, "evidence"), tls, anchors, refreshMs: 300 })
        const desk = await Desk.open({ serials: [serial], state: join(folder, "state"), variant })
        try {
            await desk.start()
            const { port } = await headEnd.listen(0)
            await desk.startMuc({ uplink: `127.0.0.1:${port}` })
            await headEnd.waitForMeter(serverIdOf(serial), 60_000)
            const boards: [keyof typeof least, Board | undefined][] = [
                ["meter", desk.meters[0].board],
                ["muc", desk.muc?.board],
            ]
            const look = () => {
                for (const [name, board] of boards)
                    if (board?.powered)
                        least[name] = Math.min(least[name], board.heap()?.free ?? Number.POSITIVE_INFINITY)
                desk.world.after(sampleMs, look)
            }
            look()
            for (let i = 0; i < readings; ++i) await headEnd.pull(serverIdOf(serial))
        } finally {
            await headEnd.close()
            await desk.close()
        }
    } finally {
        rmSync(folder, { recursive: true, force: true })
    }
    return least
}

/** The group "image" of `plomb perf`. */
export async function imageSection(): Promise<Section> {
    const variants = readManifest(checkout).filter(each => each.hardware === "vm")
    const built: { name: string; made: Built; boot?: number; least: number }[] = []
    let muc = Number.POSITIVE_INFINITY
    for (const variant of variants) {
        const made = await buildVariant(variant)
        const least = { meter: Number.POSITIVE_INFINITY, muc: Number.POSITIVE_INFINITY }
        if (variant.image === "meter") Object.assign(least, await lowest(variant.board))
        muc = Math.min(muc, least.muc)
        const name = variant.board === "vm" ? variant.image : `${variant.image}, ${variant.board}`
        built.push({ name, made, boot: await heapAfterBoot(made), least: least.meter })
    }
    const rows = built.flatMap(({ name, made: { report, variant }, boot, least }): Row[] => [
        { what: `${name}: code`, unit: "octets", ours: report.sizes.code, mark: { value: codeLimit, from: limits } },
        { what: `${name}: image`, unit: "octets", ours: report.sizes.image, mark: { value: imageLimit, from: limits } },
        { what: `${name}: heap after boot`, unit: "octets free", ours: boot ?? Number.NaN },
        {
            what: `${name}: heap at its lowest, while read`,
            unit: "octets free",
            ours: variant.image === "muc" ? muc : least,
        },
    ])
    const grid: Grid = {
        title: "code by room, KB",
        head: ["", ...built.map(({ name }) => name), "budget"],
        lines: rooms
            .filter(({ name }) => built.some(({ made }) => made.report.sizes.rooms[name]))
            .map(({ name, budget }) => [
                name,
                ...built.map(({ made }) => {
                    const octets = made.report.sizes.rooms[name]
                    return octets ? (octets / kilo).toFixed(1) : "-"
                }),
                budget.toFixed(1),
            ]),
    }
    return {
        group: "image",
        title: "Images for the VM",
        rows,
        grid,
        notes: [
            `Heap: of 65,524 octets, after a full collection. At its lowest: a look every ${sampleMs} ms, between two slices of work, during ${readings} readings through a MUC; what a slice takes and gives back within itself is not seen.`,
        ],
    }
}

const limits = "tools/build/budgets.ts"
