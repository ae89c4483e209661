import { createHash } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { getListReq } from "../../firmware/core/sml-messages.ts"
import { identificationPath } from "../../firmware/core/sml-parameter.ts"
import { parameterRequest } from "../../firmware/core/sml-request.ts"
import { writeFile } from "../../firmware/core/sml-transport.ts"
import { Signer } from "../../tools/authority/signer.ts"
import { instituteCrls } from "../../tools/calibrate/certifier.ts"
import { serverIdOf } from "../../tools/calibrate/station.ts"
import { attentionsOf, itemsOf } from "../../tools/campaign/ledger.ts"
import { constantLoad } from "../../tools/chips/load-source.ts"
import { layOutDesk } from "../../tools/desk/calibrated.ts"
import { Desk } from "../../tools/desk/desk.ts"
import { LineProbe } from "../../tools/desk/line-probe.ts"
import { partyTls } from "../../tools/desk/parties.ts"
import { UplinkPeer } from "../../tools/desk/uplink-peer.ts"
import { HeadEnd } from "../../tools/headend/headend.ts"
import { listMessage, listRequest, metersRequest } from "../../tools/headend/requests.ts"
import { readResponse, treeValues } from "../../tools/headend/responses.ts"

/** World time for what may take a MUC its longest pause, a search and three tries of six seconds. */
const patienceMs = 300_000
const serials = [4714, 4715]
const ids = serials.map(serial => Buffer.from(serverIdOf(serial), "hex"))

/** The next answer to a request, or undefined where none comes within `timeoutMs` of world time. */
async function ask(request: Buffer, timeoutMs = patienceMs): Promise<Buffer | undefined> {
    await desk.world.runUntil(() => peer.connected(), patienceMs)
    peer.ask(request)
    const until = desk.world.elapsedMs() + timeoutMs
    await desk.world.runUntil(() => peer.files.length > 0 || desk.world.elapsedMs() >= until, timeoutMs + 1000)
    return peer.files.shift()
}

const worldSeconds = () => desk.world.nowMs() / 1000
let folder: string
let desk: Desk
let peer: UplinkPeer
let signer: Signer
let asked = 0
/** A command for a list, of the operator whom the MUC is connected to. */
const list = (id: Buffer) => signer.command(id, [listMessage(requestId(), id)], { requestId: requestId() })
const requestId = () => Buffer.from([0xac, ++asked >> 8, asked & 0xff])

beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "plomb-muc-"))
    await layOutDesk(folder, serials)
    peer = new UplinkPeer(join(folder, "pki"))
    const state = join(folder, "state")
    desk = await Desk.open({ serials, state, load: constantLoad(1500), clock: "virtual", startMs: Date.now() })
    const { key, chain } = partyTls(join(folder, "pki"), "operator")
    signer = new Signer({ key, chain, nowSeconds: worldSeconds })
    await desk.start()
    await desk.world.runFor(3000)
}, 600_000)

afterAll(async () => {
    await desk.close()
    rmSync(folder, { recursive: true, force: true })
})

/** The meters that the MUC says it has. */
async function meters(): Promise<string[]> {
    const raw = await ask(metersRequest(requestId()))
    if (!raw) throw new Error("the MUC does not answer")
    return treeValues(readResponse(raw), 32).map(value => value.toString("hex"))
}

function slotOf(id: Buffer, request: Buffer): number {
    return createHash("sha256").update(id).update(request).digest()[0] % 16
}

test("meters that answer a search in the same slot lose nothing but that round", async () => {
    const probe = new LineProbe(desk.world, desk.wire)
    const heard = new Set<string>()
    let together = 0
    for (let i = 0; together < 3 || heard.size < 2; ++i) {
        expect(i).toBeLessThan(1000)
        const id = Buffer.from([i >> 8, i & 0xff, 7, 7])
        const same = slotOf(ids[0], id) === slotOf(ids[1], id)
        if (same) ++together
        else if (together < 3) continue
        probe.files.length = 0
        probe.send(parameterRequest(id, undefined, identificationPath))
        await desk.world.runFor(3500)
        const senders = probe.files.map(raw => readResponse(raw).serverId.toString("hex"))
        if (!same) expect(new Set(senders)).toEqual(new Set(ids.map(each => each.toString("hex"))))
        for (const sender of senders) heard.add(sender)
    }
    expect([...heard].sort()).toEqual(ids.map(each => each.toString("hex")).sort())
}, 300_000)

test("the MUC finds both meters of its line by itself", async () => {
    await peer.listen()
    await desk.startMuc({ uplink: `127.0.0.1:${peer.port}` })
    let found: string[] = []
    for (let i = 0; i < 60 && found.length < 2; ++i) {
        await desk.world.runFor(1000)
        found = await meters()
    }
    expect(found.sort()).toEqual(ids.map(each => each.toString("hex")).sort())
}, 300_000)

test("octets of a meter's answer come through as they left the meter", async () => {
    const probe = new LineProbe(desk.world, desk.wire)
    // The line may be taken by a discovery: an Attention says "not now", and a head-end asks again.
    let came = await ask(list(ids[0]))
    // And a meter that has no CERT_SM yet knows nobody.
    for (let i = 0; i < 10 && came && itemsOf(came).length === 0; ++i) {
        console.log(`asked again: ${came.toString("hex")}`)
        await desk.world.runFor(5000)
        came = await ask(list(ids[0]))
    }
    expect(came && itemsOf(came)).toHaveLength(1)
    expect(probe.files.map(raw => raw.toString("hex"))).toContain(came?.toString("hex"))
})

test("a meter that is not on the line: Attention FE03", async () => {
    const stranger = Buffer.from(serverIdOf(999), "hex")
    const raw = await ask(list(stranger))
    // To the command's header and to its request.
    expect(raw && attentionsOf(raw)).toEqual(["fe03", "fe03"])
})

test("a list that nobody has signed for is asked of no meter: Attention FE02", async () => {
    const raw = await ask(listRequest(requestId(), ids[0]))
    expect(raw && attentionsOf(raw)).toEqual(["fe02"])
})

test("a damaged request, and one larger than the MUC's buffer: no answer, and the next one is served", async () => {
    const damaged = list(ids[0])
    damaged[40] ^= 0x10
    expect(await ask(damaged, 10_000)).toBeUndefined()
    const id = requestId()
    const large = writeFile(Array.from({ length: 60 }, () => getListReq(id, id, ids[0], Buffer.alloc(40))))
    expect(large.length).toBeGreaterThan(2048)
    expect(await ask(large, 10_000)).toBeUndefined()
    expect((await meters()).length).toBe(2)
}, 120_000)

test("a meter that has gone silent: Attention FE03 after three tries, the other goes on", async () => {
    await desk.meters[1].board.powerOff()
    const raw = await ask(list(ids[1]))
    // To the command's header and to its request.
    expect(raw && attentionsOf(raw)).toEqual(["fe03", "fe03"])
    const other = await ask(list(ids[0]))
    expect(other && itemsOf(other)).toHaveLength(1)
}, 120_000)

test("the MUC's list of meters survives a power cut, though a meter is silent", async () => {
    const board = desk.muc!.board
    await board.powerOff()
    await desk.world.runFor(5000)
    await board.powerOn()
    await desk.world.runUntil(() => !peer.connected() || board.log.length > 0, patienceMs)
    await desk.world.runFor(500)
    expect((await meters()).sort()).toEqual(ids.map(each => each.toString("hex")).sort())
    await desk.meters[1].board.powerOn()
}, 120_000)

test("the head-end goes and another comes in its place: readings of both meters are proof", async () => {
    const { port } = peer
    await peer.close()
    await desk.world.runFor(20_000)
    const pki = join(folder, "pki")
    const headEnd = new HeadEnd({
        store: join(folder, "evidence"),
        tls: partyTls(pki, "operator"),
        anchors: [readFileSync(join(pki, "institute-root", "cert.pem"), "utf8")],
        crls: () => instituteCrls(pki),
        nowSeconds: worldSeconds,
        refreshMs: 20,
        pauseMs: 20,
        timeoutMs: 120_000,
    })
    try {
        await headEnd.listen(port)
        const world = desk.world
        for (const id of ids) {
            const serverId = id.toString("hex")
            await world.runWhile(headEnd.waitForMeter(serverId, 120_000), Number.MAX_SAFE_INTEGER)
            const { verdicts } = await world.runWhile(onceItKnowsUs(headEnd, serverId), Number.MAX_SAFE_INTEGER)
            expect(verdicts.map(({ name }) => name)).toEqual(["proof"])
        }
    } finally {
        await headEnd.close()
    }
}, 300_000)

/** A pull, again until the MUC has brought the meter the CERT_SM by which it knows our operator. */
async function onceItKnowsUs(headEnd: HeadEnd, serverId: string): ReturnType<HeadEnd["pull"]> {
    for (let tries = 0; ; ++tries) {
        try {
            return await headEnd.pull(serverId)
        } catch (error) {
            if (tries === 12 || !/E3204/.test(String(error))) throw error
        }
        await desk.world.sleep(5000)
    }
}
