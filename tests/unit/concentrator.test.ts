import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { UsageError } from "../../tools/cli/usage.ts"
import type { KeptReading } from "../../tools/concentrator/collector.ts"
import { run } from "../../tools/concentrator/command.ts"
import { Concentrator, type ConcentratorOptions } from "../../tools/concentrator/concentrator.ts"
import { readEvidence } from "../../tools/evidence/format.ts"
import { HeadEnd, type HeadEndOptions } from "../../tools/headend/headend.ts"
import { judgeEvidence } from "../../tools/verify/evidence.ts"
import { judgeSeries } from "../../tools/verify/linkage.ts"
import { party, revocationList } from "../helpers/authority.ts"
import { FakeMuc } from "../helpers/fake-muc.ts"
import { makeWorld, noon, serverId, type World } from "../helpers/readings.ts"
import { TlsWorld } from "../helpers/tls-world.ts"

const ids = ["05000000000001", "05000000000002"]
const second = "0a01504c420100000002"
const own = "05c000000000c1"
let tls: TlsWorld
let world: World
let crls: string[]
let folder: string
let headEnd: HeadEnd
let provider: number
let concentrator: Concentrator
let port: number
let mucs: FakeMuc[]
let kept: KeptReading[]
let log: string[]

beforeAll(async () => {
    tls = await TlsWorld.make()
    for (const id of ids) await tls.issue("muc", id)
    await tls.issue("concentrator", own, ["127.0.0.1"])
    world = makeWorld()
    crls = [world.root, world.authority].map(each => revocationList(each, "2026-11-01T00:00:00", "2039-01-01T00:00:00"))
})

afterAll(() => tls.remove())

beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "plomb-concentrator-"))
    mucs = []
    kept = []
    log = []
})

afterEach(async () => {
    for (const muc of mucs) muc.leave()
    await concentrator?.close()
    await headEnd?.close()
    rmSync(folder, { recursive: true })
})

async function startHeadEnd(at = 0, options: Partial<HeadEndOptions> = {}): Promise<void> {
    headEnd = new HeadEnd({
        store: join(folder, "evidence"),
        tls: tls.party("operator"),
        anchors: [world.root.pem],
        crls: () => crls,
        timeoutMs: 10_000,
        pauseMs: 5,
        refreshMs: 20,
        pingMs: 100,
        drainMs: 20,
        ...options,
    })
    headEnd.on("log", line => log.push(`P ${line}`))
    provider = (await headEnd.listen(at)).port
}

async function startConcentrator(options: Partial<ConcentratorOptions> = {}): Promise<void> {
    concentrator = new Concentrator({
        tls: tls.party(`concentrators/${own}`),
        store: join(folder, "journal"),
        sign: tls.party("data-collection"),
        providers: [{ host: "127.0.0.1", port: provider }],
        timeoutMs: 5000,
        pauseMs: 5,
        refreshMs: 20,
        ...options,
    })
    concentrator.on("log", line => log.push(`C ${line}`))
    concentrator.on("kept", each => kept.push(each))
    ;({ port } = await concentrator.listen(0))
}

async function join1(id: string, meters: [string, World][]): Promise<FakeMuc> {
    const muc = new FakeMuc(new Map(meters), tls.party(`mucs/${id}`), id)
    mucs.push(muc)
    await muc.connect(port)
    return muc
}

function stored(id = serverId): string[] {
    return readdirSync(join(folder, "evidence", id)).filter(name => name.endsWith(".evidence.json"))
}

/** Paginations that were stored, and what the judge says of all of them together. */
function series(id = serverId) {
    const paths = stored(id).map(name => join(folder, "evidence", id, name))
    const verdicts = paths.flatMap(path => judgeEvidence(path, readEvidence(path), { anchors: [world.root.pem] }))
    return { names: verdicts.map(({ name }) => name), complete: judgeSeries(verdicts)[0]?.complete }
}

describe("the concentrator as a relay", () => {
    it("makes the meters of its MUCs reachable for a provider, and what comes through is proof", async () => {
        const other = { ...world, meter: party({ commonName: second, issuer: world.authority }) }
        await startHeadEnd()
        await startConcentrator()
        await join1(ids[0], [[serverId, world]])
        await join1(ids[1], [[second, other]])
        await headEnd.waitForMeter(serverId, 60_000)
        await headEnd.waitForMeter(second, 60_000)
        expect(headEnd.meters()).toContainEqual({ serverId, muc: ids[0], concentrator: own })
        const both = await Promise.all([headEnd.pull(serverId), headEnd.pull(second)])
        expect(both.map(({ verdicts }) => verdicts[0].name)).toEqual(["proof", "proof"])
        expect(readEvidence(both[0].path).source.muc).toBe(ids[0])
        expect((await headEnd.profile(serverId, noon, noon + 900)).length).toBe(1)
    })

    it("a MUC that is slow does not hold up another; who asked it hears FE03 when it goes", async () => {
        const other = { ...world, meter: party({ commonName: second, issuer: world.authority }) }
        await startHeadEnd(0, { attempts: 1, timeoutMs: 200_000 })
        await startConcentrator({ timeoutMs: 100_000 })
        const slow = await join1(ids[0], [[serverId, world]])
        await join1(ids[1], [[second, other]])
        await headEnd.waitForMeter(serverId, 60_000)
        await headEnd.waitForMeter(second, 60_000)
        await headEnd.pull(serverId)
        slow.moods.push("silent")
        const stuck = headEnd.pull(serverId)
        const outcome = expect(stuck).rejects.toThrow("fe03")
        let ended = false
        void outcome.then(() => {
            ended = true
        })
        for (let i = 0; i < 3; ++i) await headEnd.pull(second)
        expect(ended).toBe(false)
        slow.leave()
        await outcome
    })

    it("a meter nobody has, and a MUC that has gone, are unreachable at once", async () => {
        await startHeadEnd(0, { attempts: 1 })
        await startConcentrator()
        const muc = await join1(ids[0], [[serverId, world]])
        await headEnd.waitForMeter(serverId, 60_000)
        muc.leave()
        await expect(headEnd.pull(serverId)).rejects.toMatchObject({ name: "ExchangeError" })
        await expect.poll(() => headEnd.meters(), { timeout: 60_000 }).toEqual([])
    })

    it("a head-end that is no operator is not served", async () => {
        await startHeadEnd(0, { tls: tls.party("directory") })
        await startConcentrator()
        await expect.poll(() => log.some(line => line.includes("expected operator")), { timeout: 60_000 }).toBe(true)
        expect(headEnd.mucs()).toEqual([])
    })
})

describe("the concentrator's standing order", () => {
    it("collects, delivers in order, and deletes what the provider holds", async () => {
        await startHeadEnd()
        await startConcentrator({ everyMs: 50 })
        await join1(ids[0], [[serverId, world]])
        await expect.poll(() => kept.length, { timeout: 60_000 }).toBeGreaterThan(5)
        await expect.poll(() => stored().length, { timeout: 60_000 }).toBeGreaterThan(5)
        mucs[0].leave()
        await expect.poll(() => concentrator.journal.pending(`127.0.0.1:${provider}`), { timeout: 60_000 }).toBe(0)
        expect(stored().length).toBe(kept.length)
        expect(new Set(series().names)).toEqual(new Set(["proof"]))
        expect(series().complete).toBe(true)
        expect(headEnd.collecting()).toEqual([own])
    })

    it("collects while the provider is away, and all arrives once when it is back", async () => {
        await startHeadEnd()
        await startConcentrator({ everyMs: 40 })
        await join1(ids[0], [[serverId, world]])
        await expect.poll(() => kept.length, { timeout: 60_000 }).toBeGreaterThan(2)
        await headEnd.close()
        const then = kept.length
        await expect.poll(() => kept.length, { timeout: 60_000 }).toBeGreaterThan(then + 5)
        await startHeadEnd(provider)
        mucs[0].leave()
        await expect.poll(() => kept.length - stored().length, { timeout: 60_000 }).toBe(0)
        expect(series().complete).toBe(true)
    })

    it("an answer lost between MUC and concentrator is fetched again by its number", async () => {
        await startHeadEnd()
        await startConcentrator({ everyMs: 40, timeoutMs: 1000 })
        const muc = await join1(ids[0], [[serverId, world]])
        await expect.poll(() => kept.length, { timeout: 60_000 }).toBeGreaterThan(1)
        muc.moods.push("lost answer", "lost answer", "half")
        await expect.poll(() => kept.length, { timeout: 60_000 }).toBeGreaterThan(8)
        muc.leave()
        await expect.poll(() => kept.length - stored().length, { timeout: 60_000 }).toBe(0)
        expect(kept.map(({ pagination }) => pagination).sort((a, b) => a! - b!)).toEqual(kept.map((_, i) => i + 1))
    })

    it("with a full store it stops collecting and says so, keeps what it has, and goes on after delivery", async () => {
        await startHeadEnd()
        await headEnd.close()
        await startConcentrator({ everyMs: 20, limit: 12_000 })
        await join1(ids[0], [[serverId, world]])
        await expect.poll(() => log.some(line => line.includes("store is full")), { timeout: 60_000 }).toBe(true)
        const then = kept.length
        await new Promise(resolve => setTimeout(resolve, 200))
        expect(kept.length).toBe(then)
        await startHeadEnd(provider)
        await expect.poll(() => kept.length, { timeout: 60_000 }).toBeGreaterThan(then)
        mucs[0].leave()
        await expect.poll(() => kept.length - stored().length, { timeout: 60_000 }).toBe(0)
        expect(series().complete).toBe(true)
    })

    it("what was kept before it ended is delivered by the next one, with the same numbers", async () => {
        await startHeadEnd()
        await headEnd.close()
        await startConcentrator({ everyMs: 20 })
        await join1(ids[0], [[serverId, world]])
        await expect.poll(() => kept.length, { timeout: 60_000 }).toBeGreaterThan(5)
        mucs[0].leave()
        await concentrator.close()
        await startConcentrator({ everyMs: 20 })
        await startHeadEnd(provider)
        await expect.poll(() => readdirSync(join(folder, "evidence")), { timeout: 60_000 }).toContain(serverId)
        await expect.poll(() => kept.length - stored().length, { timeout: 60_000 }).toBe(0)
    })

    it("two providers each get everything", async () => {
        await startHeadEnd()
        const first = headEnd
        const there = provider
        const both: string[] = []
        first.on("reading", ({ pagination }) => both.push(`1 ${pagination}`))
        await startHeadEnd(0, { store: join(folder, "evidence2") })
        headEnd.on("reading", ({ pagination }) => both.push(`2 ${pagination}`))
        const providers = [there, provider].map(port => ({ host: "127.0.0.1", port }))
        await startConcentrator({ everyMs: 40, providers })
        await join1(ids[0], [[serverId, world]])
        await expect.poll(() => kept.length, { timeout: 60_000 }).toBeGreaterThan(3)
        mucs[0].leave()
        // One that was under way when the MUC left may still come.
        const missing = () => {
            const wanted = kept.flatMap(({ pagination }) => [`1 ${pagination}`, `2 ${pagination}`])
            return wanted.filter(each => !both.includes(each))
        }
        await expect.poll(missing, { timeout: 60_000 }).toEqual([])
        await first.close()
    })
})

describe("plomb concentrator", () => {
    const collector = (party: string) => {
        const at = (file: string) => join(tls.folder, party, file)
        return ["--sign-key", at("key.pem"), "--sign-chain", at("chain.pem")]
    }

    it("refuses wrong words before it does anything", async () => {
        const good = ["--listen", "0", "--provider", "127.0.0.1:1", "--store", join(folder, "x")]
        const known = tls.words(`concentrators/${own}`)
        const wrong = [
            known,
            good,
            [...good.slice(2), ...known],
            [...good.slice(0, 2), ...good.slice(4), ...known],
            [...good, ...known, "--every", "0"],
            [...good, ...known, "--every", "5"],
            [...good, ...known, "--every", "5", ...collector("operator")],
            [...good, ...known, "--every", "5", ...collector(`concentrators/${own}`)],
            [...good, ...known, "--limit", "none"],
            [...good, ...known.slice(2), "--key", join(tls.folder, "ca-root", "key.pem")],
        ]
        for (const words of wrong) await expect(run(words)).rejects.toThrow(UsageError)
        expect(readdirSync(folder)).toEqual([])
        expect(readFileSync(join(tls.folder, "ca-root", "key.pem"), "utf8")).toContain("PRIVATE KEY")
    })
})
