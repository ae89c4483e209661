import { mkdtempSync, rmSync, statSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect, type TLSSocket } from "node:tls"
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest"
import { SmlReceiver } from "../../firmware/core/sml-receive"
import { partyTls } from "../../tools/desk/parties.ts"
import { serveControl } from "../../tools/headend/control.ts"
import { HeadEnd } from "../../tools/headend/headend.ts"
import { run } from "../../tools/operator/command.ts"
import { initPki } from "../../tools/pki/init.ts"
import { issueWithKey } from "../../tools/pki/issue.ts"
import { tlsProfile } from "../../tools/tls/server.ts"
import { readSmlFile } from "../../tools/verify/sml-file.ts"
import { octetsOf } from "../../tools/verify/sml-tlv.ts"
import { FakeDevice } from "../helpers/fake-device.ts"
import { absent, file, list, message, octets, unsigned } from "../helpers/tlv.ts"

/** The ways from a person to a device, over real TLS: a head-end of one's own, and one that runs already. */

const folder = mkdtempSync(join(tmpdir(), "plomb-ways-"))
const pki = join(folder, "pki")
const mucId = "05aabbccddeeff"
let device: FakeDevice
let lines: string[] = []
let muc: TLSSocket | undefined

beforeAll(async () => {
    await initPki(pki)
    await issueWithKey(pki, "muc", mucId)
    await issueWithKey(pki, "operator", "alice", { hosts: ["localhost", "127.0.0.1"] })
    device = await FakeDevice.make(pki, 9)
    vi.spyOn(console, "log").mockImplementation(line => void lines.push(`${line}`))
})
afterEach(() => muc?.destroy())
afterAll(() => {
    vi.restoreAllMocks()
    rmSync(folder, { recursive: true, force: true })
})

/** A MUC with the meter behind it calls there, again until somebody answers. */
function callFrom(port: number): void {
    const { key, chain: cert, ca } = partyTls(pki, `mucs/${mucId}`)
    const socket = connect({ ...tlsProfile, port, host: "127.0.0.1", key, cert, ca })
    muc = socket
    socket.on("error", () => setTimeout(() => callFrom(port), 50))
    const receiver = new SmlReceiver(
        65_536,
        false,
        raw => socket.write(answerOf(Buffer.from(raw))),
        () => {},
    )
    socket.on("data", piece => receiver.feed(piece))
}

function answerOf(raw: Buffer): Buffer {
    const { payload, messages } = readSmlFile(raw)
    const [open, question] = messages
    if (octetsOf(payload, open.body.items[3], "serverId").length > 0) return device.answer(raw)!
    const path = "81811106ffff"
    const child = list(octets("81811106ff01"), list(unsigned(1, 1), octets(device.id)), absent)
    const id = octetsOf(payload, open.body.items[2], "reqFileId")
    const body = list(octets(mucId), list(octets(path)), list(octets(path), absent, list(child)))
    return file(
        message("01", 0x0101, list(absent, absent, octets(id), octets(mucId), absent, absent)),
        message(question.transactionId.toString("hex"), 0x0501, body),
        message("03", 0x0201, list(absent)),
    )
}

/** A port that nobody has. */
function freePort(): Promise<number> {
    return new Promise(resolve => {
        const server = createServer().listen(0, "127.0.0.1", () => {
            const { port } = server.address() as { port: number }
            server.close(() => resolve(port))
        })
    })
}

describe("plomb operator reaches a device", () => {
    it("as a head-end of its own, when the MUC calls", async () => {
        lines = []
        const port = await freePort()
        callFrom(port)
        const args = ["parameter", "set", "label", "hall", "--as", join(pki, "operators/alice"), "--listen", `${port}`]
        expect(await run(args)).toBe(0)
        expect(lines[0]).toBe(`Listening on 127.0.0.1:${port} until a MUC calls.`)
        expect(device.label.toString()).toBe("hall")
    })

    it("as somebody whom no MUC would call, behind a party that it would", async () => {
        lines = []
        const port = await freePort()
        callFrom(port)
        const who = ["--as", join(pki, "calibration-authority"), "--tls", "operators/alice", "--listen", `${port}`]
        expect(await run(["set-time", ...who])).toBe(0)
        expect(lines.join("\n")).toMatch(
            /calibrationAuthority Plomb Calibration Authority, certified by Plomb Institute Root/,
        )
    })

    it("through a running head-end, which pulls readings meanwhile and carries what others sign", async () => {
        const socket = join(folder, "control.sock")
        const headEnd = new HeadEnd({ store: join(folder, "store"), tls: partyTls(pki, "operator"), refreshMs: 100 })
        const { port } = await headEnd.listen(0)
        const control = await serveControl(socket, headEnd)
        try {
            expect((statSync(socket).mode & 0o777).toString(8)).toBe("600")
            callFrom(port)
            await headEnd.waitForMeter(device.id.toString("hex"), 10_000)
            const pulled = headEnd.pull(device.id.toString("hex"))
            const order = run([
                "parameter",
                "set",
                "label",
                "stairs",
                "--as",
                join(pki, "operators/alice"),
                "--through",
                socket,
            ])
            expect(await order).toBe(0)
            expect((await pulled).verdicts[0].findings.find(each => each.check === "signature")?.result).toBe("proved")
            expect(device.label.toString()).toBe("stairs")
            await expect(serveControl(socket, headEnd)).rejects.toThrow("EADDRINUSE")
        } finally {
            await control.close()
            await headEnd.close()
        }
    })
})
