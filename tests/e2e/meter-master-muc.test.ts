import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { Signer } from "../../tools/authority/signer.ts"
import { serverIdOf } from "../../tools/calibrate/station.ts"
import { attentionsOf } from "../../tools/campaign/ledger.ts"
import { constantLoad } from "../../tools/chips/load-source.ts"
import { coldWater, gas, volumeContent, volumeIdentification } from "../../tools/chips/mbus-content.ts"
import { MbusLine } from "../../tools/chips/mbus-line.ts"
import { Rs485Wire } from "../../tools/chips/rs485-wire.ts"
import { layOutDesk } from "../../tools/desk/calibrated.ts"
import { Desk } from "../../tools/desk/desk.ts"
import { partyTls } from "../../tools/desk/parties.ts"
import { UplinkPeer } from "../../tools/desk/uplink-peer.ts"
import { listMessage } from "../../tools/headend/requests.ts"
import { derOfPem, readCertificate } from "../../tools/verify/certificate.ts"
import { judge } from "../../tools/verify/judge.ts"

const serial = 4716
const id = serverIdOf(serial)
const minute = 60_000

let folder: string
let desk: Desk
let peer: UplinkPeer

beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "plomb-master-"))
    await layOutDesk(folder, [serial])
    peer = new UplinkPeer(join(folder, "pki"))
    const state = join(folder, "state")
    desk = await Desk.open({
        serials: [serial],
        state,
        load: constantLoad(1500),
        clock: "virtual",
        startMs: Date.now(),
        program: "meter_master",
    })
    const wire = new Rs485Wire({ clock: desk.world })
    desk.meters[0].bench.uart.channels[1].connect(wire)
    const slaves = [gas, coldWater, gas, coldWater].map((type, i) => {
        const secondary = volumeIdentification(30_000_000 + i, type)
        return { primary: i + 1, secondary, telegrams: () => [volumeContent(secondary, 1000 * (i + 1), 215)] }
    })
    new MbusLine(wire, 2400, slaves)
    await desk.start()
}, 600_000)

afterAll(async () => {
    await desk.close()
    await peer.close()
    rmSync(folder, { recursive: true, force: true })
})

test("the longest list, four meters with telegrams of 250 octets, comes whole through a MUC to its provider", async () => {
    await peer.listen()
    await desk.startMuc({ uplink: `127.0.0.1:${peer.port}` })
    await desk.world.runFor(4 * minute)
    const { key, chain } = partyTls(join(folder, "pki"), "operator")
    const signer = new Signer({ key, chain, nowSeconds: () => desk.world.nowMs() / 1000 })
    let came: Buffer | undefined
    // A meter whose MUC is new to it first gets its provider's certificate; a line that is taken says so.
    for (let i = 0; i < 40 && (!came || attentionsOf(came).length > 0); ++i) {
        await desk.world.runUntil(() => peer.connected(), 5 * minute)
        const requestId = Buffer.from([0xad, i])
        peer.ask(
            signer.command(Buffer.from(id, "hex"), [listMessage(requestId, Buffer.from(id, "hex"))], { requestId }),
        )
        const until = desk.world.elapsedMs() + minute
        await desk.world.runUntil(() => peer.files.length > 0 || desk.world.elapsedMs() >= until, 2 * minute)
        came = peer.files.shift()
    }
    expect(came && attentionsOf(came)).toEqual([])
    const pem = readFileSync(join(folder, "pki", "meters", id, "cert.pem"), "utf8")
    const certified = readCertificate(derOfPem(pem, "CERTIFICATE")).key
    const [verdict] = judge("list", came!, { anchors: [], key: certified, atSeconds: desk.world.nowMs() / 1000 })
    const told = [1, 2, 3, 4].map(number => verdict.reading[`meter ${number}`])
    const codes = ["7-0:3.0.0", "8-0:1.0.0", "7-0:3.0.0", "8-0:1.0.0"]
    for (const [i, text] of told.entries()) expect(text).toContain(`: ${codes[i]} ${i + 1}.000 m3, telegram of 20`)
    const failed = verdict.findings.filter(each => each.result === "failed").map(each => each.check)
    // The verifier's own day of receipt is not the world's.
    expect(failed.filter(each => each !== "time of receipt")).toEqual([])
    expect(came!.length).toBeGreaterThan(1700)
}, 600_000)
