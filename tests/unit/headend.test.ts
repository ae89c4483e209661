import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { readEvidence } from "../../tools/evidence/format.ts"
import { run } from "../../tools/headend/command.ts"
import { HeadEnd, type HeadEndOptions } from "../../tools/headend/headend.ts"
import { judgeEvidence } from "../../tools/verify/evidence.ts"
import { judgeSeries } from "../../tools/verify/linkage.ts"
import { party, revocationList } from "../helpers/authority.ts"
import { FakeMuc, type Mood } from "../helpers/fake-muc.ts"
import { makeWorld, noon, serverId, type World } from "../helpers/readings.ts"
import { TlsWorld } from "../helpers/tls-world.ts"

const second = "0a01504c420100000002"
let world: World
let crls: string[]
let folder: string
let headEnd: HeadEnd
let port: number
let mucs: FakeMuc[]
let log: string[]
let tls: TlsWorld
const ids = ["05aabbccddeeff", "05000000000002"]

beforeAll(async () => {
    tls = await TlsWorld.make()
    for (const id of ids) await tls.issue("muc", id)
    world = makeWorld()
    crls = [world.root, world.authority].map(each => revocationList(each, "2026-11-01T00:00:00", "2039-01-01T00:00:00"))
})

afterAll(() => tls.remove())

async function start(options: Partial<HeadEndOptions> = {}): Promise<void> {
    headEnd = new HeadEnd({
        store: folder,
        tls: tls.party("operator"),
        anchors: [world.root.pem],
        crls: () => crls,
        timeoutMs: 300,
        pauseMs: 5,
        refreshMs: 20,
        ...options,
    })
    headEnd.on("log", line => log.push(line))
    ;({ port } = await headEnd.listen(0))
}

beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), "plomb-headend-"))
    mucs = []
    log = []
    await start()
})

afterEach(async () => {
    for (const muc of mucs) muc.leave()
    await headEnd.close()
    rmSync(folder, { recursive: true })
})

function newMuc(meters: [string, World][] = [[serverId, world]], id = ids[0]): FakeMuc {
    const muc = new FakeMuc(new Map(meters), tls.party(`mucs/${id}`), id)
    mucs.push(muc)
    return muc
}

async function join1(meters?: [string, World][], id?: string): Promise<FakeMuc> {
    const muc = newMuc(meters, id)
    await muc.connect(port)
    await headEnd.waitForMeter([...muc.meters.keys()][0], 5000)
    return muc
}

function stored(id = serverId): string[] {
    return readdirSync(join(folder, id)).filter(name => name.endsWith(".evidence.json"))
}

describe("the head-end", () => {
    it("learns the meters of a MUC, pulls a reading, and what it stored is proof", async () => {
        const muc = await join1()
        expect(headEnd.meters()).toEqual([{ serverId, muc: muc.id }])
        const { path, verdicts, pagination, duplicate } = await headEnd.pull(serverId)
        expect([pagination, duplicate, verdicts[0].name]).toEqual([1, false, "proof"])
        expect(path).toMatch(/0000000001-20261122T140001Z\.evidence\.json$/)
        expect(judgeEvidence(path, readEvidence(path), { anchors: [world.root.pem] })[0].name).toBe("proof")
    })

    it("fetches a meter's chain once, also after a restart", async () => {
        const muc = await join1()
        await headEnd.pull(serverId)
        await headEnd.pull(serverId)
        await headEnd.close()
        await start()
        await muc.connect(port)
        await headEnd.waitForMeter(serverId)
        await headEnd.pull(serverId)
        expect(muc.asked.filter(tag => tag === 0x0500).length).toBe(3)
        expect(stored().length).toBe(3)
    })

    it("asks for the chain again when the meter has a new key", async () => {
        const renewed = { ...world, meter: party({ commonName: serverId, issuer: world.authority }) }
        const muc = await join1()
        await headEnd.pull(serverId)
        muc.meters.set(serverId, renewed)
        expect((await headEnd.pull(serverId)).verdicts[0].name).toBe("proof")
        expect(stored().length).toBe(2)
    })

    it("serves several MUCs at once", async () => {
        const other = { ...world, meter: party({ commonName: second, issuer: world.authority }) }
        await join1()
        await join1([[second, other]], "05000000000002")
        const all = await Promise.all([serverId, second, serverId, second].map(id => headEnd.pull(id)))
        expect(all.map(({ verdicts }) => verdicts[0].name)).toEqual(["proof", "proof", "proof", "proof"])
        expect(headEnd.mucs().length).toBe(2)
    })

    for (const mood of ["silent", "half", "wrong crc", "junk", "busy", "other answer", "late"] as Mood[])
        it(`a MUC whose answer is "${mood}" is asked again, and the series has no gap`, async () => {
            const muc = await join1()
            await headEnd.pull(serverId)
            muc.moods.push(mood, mood)
            expect((await headEnd.pull(serverId)).verdicts[0].name).toBe("proof")
            const verdicts = stored().flatMap(name => {
                const path = join(folder, serverId, name)
                return judgeEvidence(path, readEvidence(path), { anchors: [world.root.pem] })
            })
            expect(judgeSeries(verdicts)[0]).toMatchObject({ complete: true })
        })

    it("a MUC that hangs up inside a file comes back and the pull goes on", async () => {
        const muc = await join1()
        await headEnd.pull(serverId)
        muc.moods.push("hang up")
        headEnd.once("gone", () => void muc.connect(port))
        expect((await headEnd.pull(serverId)).verdicts[0].name).toBe("proof")
    })

    it("gives up after the last attempt, says why, and stores nothing", async () => {
        const muc = await join1()
        await headEnd.pull(serverId)
        muc.moods.push("silent", "silent", "silent", "silent")
        await expect(headEnd.pull(serverId)).rejects.toMatchObject({ trouble: "timeout" })
        muc.moods.push("unknown")
        await expect(headEnd.pull(serverId)).rejects.toMatchObject({ trouble: "refused" })
        expect(stored().length).toBe(1)
        await expect(headEnd.pull(second)).rejects.toMatchObject({ trouble: "unreachable" })
    })

    it("keeps a forged reading apart, and the genuine one of the same number is stored", async () => {
        const muc = await join1()
        await headEnd.pull(serverId)
        const forger = makeWorld()
        muc.meters.set(serverId, { ...forger, meter: { ...forger.meter, pem: world.meter.pem } })
        expect((await headEnd.pull(serverId)).path).toContain("refused")
        expect(stored()).toHaveLength(1)
        expect(log.some(line => line.includes("NOT PROOF"))).toBe(true)
    })

    it("fetches the load profile of a range in as many answers as it takes", async () => {
        await join1()
        const files = await headEnd.profile(serverId, noon, noon + 3600)
        expect(files.flatMap(({ verdicts }) => verdicts.map(({ reading }) => reading.pagination))).toEqual([
            "101",
            "102",
            "103",
            "104",
        ])
        const again = await headEnd.profile(serverId, noon, noon + 3600)
        expect(again.every(({ duplicate }) => duplicate)).toBe(true)
        expect(stored().length).toBe(2)
    })

    it("a MUC that connects again takes the place of its dead connection", async () => {
        await join1()
        await join1()
        await expect.poll(() => headEnd.mucs()).toHaveLength(1)
        expect((await headEnd.pull(serverId)).verdicts[0].name).toBe("proof")
    })

    it("turns away who sends without end, answers nonsense or comes in too great a number", async () => {
        await headEnd.close()
        await start({ most: 1, timeoutMs: 50, attempts: 2 })
        const muc = newMuc()
        await muc.connect(port)
        muc.socket?.write(Buffer.alloc(600_000, 0x55))
        await expect.poll(() => log.some(line => line.includes("without end")), { timeout: 5000 }).toBe(true)
        muc.moods.push("silent", "silent")
        await muc.connect(port)
        await expect.poll(() => log.some(line => line.includes("does not answer")), { timeout: 5000 }).toBe(true)
        expect(headEnd.meters()).toEqual([])
        await join1()
        await newMuc(undefined, ids[1]).connect(port)
        await expect.poll(() => log.some(line => line.includes("turned away")), { timeout: 5000 }).toBe(true)
        expect((await headEnd.pull(serverId)).verdicts[0].name).toBe("proof")
    })

    it("a plain connection, and one that is opened and left, get nothing and hold nobody up", async () => {
        const plain = connect(port, "127.0.0.1").on("error", () => {})
        plain.write("1b1b1b1b01010101")
        const silent = connect(port, "127.0.0.1").on("error", () => {})
        await expect.poll(() => plain.closed, { timeout: 5000 }).toBe(true)
        await join1()
        expect(headEnd.mucs()).toEqual([ids[0]])
        silent.destroy()
    })

    it("a tree that is none is damage, not a crash", async () => {
        const muc = newMuc()
        muc.moods.push("wrong tree", "wrong tree")
        await muc.connect(port)
        await headEnd.waitForMeter(serverId, 5000)
        expect(log.some(line => line.includes("damaged"))).toBe(true)
    })

    it("closing ends waiting pulls", async () => {
        const muc = await join1()
        muc.moods.push("silent", "silent", "silent", "silent", "silent")
        const pull = headEnd.pull(serverId)
        const outcome = expect(pull).rejects.toMatchObject({ name: "ExchangeError" })
        await headEnd.close()
        await outcome
    })
})

describe("plomb headend", () => {
    it("refuses wrong words before it does anything", async () => {
        const wrong = [
            [],
            ["--listen", "x"],
            ["--listen", "70000", "--store", folder],
            ["--listen", "0"],
            ["--listen", "0", "--store", folder, "--every", "-1"],
            ["--listen", "0", "--store", folder, "--once", "--every", "5"],
            ["--listen", "0", "--store", folder, "--meter", "zz"],
            ["--listen", "0", "--store", folder, "--profile", "now"],
            ["--listen", "0", "--store", folder, "--anchor", join(folder, "absent.pem")],
        ]
        for (const words of wrong) await expect(run(words)).rejects.toThrow()
        expect(readdirSync(folder)).toEqual([])
    })
})
