import { execFile } from "node:child_process"
import { createHash, X509Certificate } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { connect } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { Code } from "../../firmware/core/errors"
import { Held, readItem } from "../../firmware/core/inventory"
import { certificatesPath } from "../../firmware/core/sml-parameter"
import { Brought, bringValues } from "../../tools/authority/bring.ts"
import { Signer } from "../../tools/authority/signer.ts"
import { readCame } from "../../tools/bench/cases/answer.ts"
import { set, unsigned } from "../../tools/bench/cases/requests.ts"
import { instituteCrls } from "../../tools/calibrate/certifier.ts"
import { serverIdOf } from "../../tools/calibrate/station.ts"
import { itemsOf } from "../../tools/campaign/ledger.ts"
import { LanBridge } from "../../tools/chips/lan-bridge.ts"
import { constantLoad } from "../../tools/chips/load-source.ts"
import { installMuc, layOutReadable } from "../../tools/desk/calibrated.ts"
import { Desk, mucServerId } from "../../tools/desk/desk.ts"
import { partyTls } from "../../tools/desk/parties.ts"
import { UplinkPeer } from "../../tools/desk/uplink-peer.ts"
import { writeEvidence } from "../../tools/evidence/format.ts"
import { inventoryRequest, listMessage } from "../../tools/headend/requests.ts"
import { readResponse, treeValues } from "../../tools/headend/responses.ts"
import { readPem } from "../../tools/pki/pem.ts"
import { revoke } from "../../tools/pki/revoke.ts"
import { splitPem } from "../../tools/verify/certificate.ts"

const serial = 4714
const id = Buffer.from(serverIdOf(serial), "hex")
const password = "correct horse"
/** The MUC's certificate names it by its server id; a name in a URL. */
const host = mucServerId(1)

let folder: string
let pki: string
let bridge: LanBridge
let desk: Desk
let peer: UplinkPeer
let signer: Signer
/** The reading as the head-end got it. */
let reading: Buffer
let port = 0

/** What a program prints, and its exit code. */
function told(program: string, words: string[], input = ""): Promise<{ out: string; octets: Buffer; code: number }> {
    return new Promise(resolve => {
        const child = execFile(program, words, { encoding: "buffer", timeout: 60_000 }, (error, stdout, stderr) => {
            const out = Buffer.concat([stdout, stderr]).toString("latin1")
            resolve({ out, octets: stdout, code: error ? Number(error.code ?? -1) : 0 })
        })
        child.stdin?.end(input)
    })
}

/** Stock curl, which believes the CA's root and nobody else. Who comes while all four sockets of the part are taken is refused, and comes again. */
async function curl(path: string, ...words: string[]) {
    for (let left = 20; ; --left) {
        const answer = await once(path, ...words)
        if (left === 0 || !/Connection reset by peer|Couldn't connect/.test(answer.out)) return answer
        await new Promise(resolve => setTimeout(resolve, 200))
    }
}

function once(path: string, ...words: string[]) {
    const tls = ["--tlsv1.3", "--tls13-ciphers", "TLS_CHACHA20_POLY1305_SHA256", "--cacert", caRoot()]
    return told("curl", [
        "-sS",
        "-i",
        ...tls,
        "--connect-to",
        `${host}:443:127.0.0.1:${port}`,
        ...words,
        `https://${host}${path}`,
    ])
}

const hex = (digits: string) => Buffer.from(digits, "hex")

/** Connects, sends `octets` and closes; over when the connection is. */
function sent(octets: Buffer): Promise<void> {
    return new Promise(resolve => {
        const socket = connect(port, "127.0.0.1", () => socket.end(octets))
        socket.on("error", () => {})
        socket.on("close", () => resolve())
        socket.resume()
    })
}

const caRoot = () => join(pki, "ca-root", "cert.pem")
const right = ["-u", `user:${password}`]

async function until(done: () => boolean | Promise<boolean>, timeoutMs = 60_000): Promise<void> {
    const end = Date.now() + timeoutMs
    while (!(await done())) {
        if (Date.now() > end)
            throw new Error(`not within ${timeoutMs} ms\n${desk.muc?.board.log.slice(-20).join("\n")}`)
        await new Promise(resolve => setTimeout(resolve, 50))
    }
}

beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "plomb-lan-"))
    pki = join(folder, "pki")
    const state = join(folder, "state")
    await layOutReadable(folder, [serial])
    await installMuc(state, pki, 1, undefined, [], password)
    peer = new UplinkPeer(pki)
    await peer.listen()
    bridge = new LanBridge()
    desk = await Desk.open({ serials: [serial], state, load: constantLoad(1500), startMs: Date.now() })
    const { key, chain } = partyTls(pki, "operator")
    signer = new Signer({ key, chain, nowSeconds: () => desk.world.nowMs() / 1000 })
    await desk.start()
    const settings = { lan_address: "192.168.1.20" }
    await desk.startMuc({ program: "muc_lan", uplink: `127.0.0.1:${peer.port}`, settings, lan: bridge })
    await until(() => peer.connected())
    let asked = 0
    await until(async () => {
        const requestId = Buffer.from([0xac, ++asked])
        peer.ask(signer.command(id, [listMessage(requestId, id)], { requestId }))
        await until(() => peer.files.length > 0)
        reading = peer.files[0]
        return itemsOf(reading).length === 1
    }, 120_000)
    port = await bridge.portOf(443)
}, 600_000)

afterAll(async () => {
    await desk?.close()
    await peer?.close()
    bridge?.close()
    rmSync(folder, { recursive: true, force: true })
})

test("openssl s_client proves the MUC by CERT_MUC up to the CA's root over TLS 1.3 with ChaCha20-Poly1305, and is asked for no certificate", async () => {
    const words = ["s_client", "-connect", `127.0.0.1:${port}`, "-CAfile", caRoot(), "-verify_return_error", "-ign_eof"]
    const { out } = await told("openssl", words, "GET / HTTP/1.1\r\nHost: muc\r\n\r\n")
    expect(out).toContain("Verify return code: 0 (ok)")
    expect(out).toContain("TLSv1.3, Cipher is TLS_CHACHA20_POLY1305_SHA256")
    expect(out).toContain("No client certificate CA names sent")
    expect(out).toContain("HTTP/1.1 401 Unauthorized")
}, 120_000)

test("who says no password, or asks for something else, gets the right status and sees nothing", async () => {
    const statuses = async (path: string, ...words: string[]) => (await curl(path, ...words)).out.split("\r\n")[0]
    expect(await statuses("/")).toBe("HTTP/1.1 401 Unauthorized")
    expect(await statuses("/", "-u", "admin:admin")).toBe("HTTP/1.1 401 Unauthorized")
    expect(await statuses("/", "-X", "POST", ...right)).toBe("HTTP/1.1 405 Method Not Allowed")
    expect(await statuses("/", "--get", "-H", "Content-Length: 5", ...right)).toBe("HTTP/1.1 413 Content Too Large")
    // More than a record may hold ends the connection, before anybody looks at it.
    expect(await statuses("/", "-H", `X: ${"y".repeat(2000)}`, ...right)).toContain("alert record overflow")
    expect(await statuses("/etc/passwd", ...right)).toBe("HTTP/1.1 404 Not Found")
    expect(await statuses("/evidence/99", ...right)).toBe("HTTP/1.1 404 Not Found")
}, 120_000)

test("curl reads page and readings with the right password, and downloads the list as it left the meter: proof", async () => {
    const page = await curl("/", ...right)
    expect(page.out).toContain("HTTP/1.1 200 OK")
    expect(page.out).toContain(`<td>${id.toString("hex")}`)
    const json = await curl("/readings.json", ...right)
    const [held] = JSON.parse(json.out.split("\r\n\r\n")[1])
    expect(held).toMatchObject({ meter: id.toString("hex"), power_W: expect.closeTo(1500, -2) })
    expect(Math.abs(held.time - Date.now() / 1000)).toBeLessThan(300)
    const { octets } = await curl(held.evidence, ...right)
    const file = octets.subarray(octets.indexOf("\r\n\r\n") + 4)
    expect(file.equals(reading)).toBe(true)
    const path = join(folder, "reading.sml")
    writeFileSync(path, file)
    // The file has no certificate in it: judged by the meter's key, and as evidence beside its chain.
    const chain = splitPem(readFileSync(join(pki, "meters", id.toString("hex"), "chain.pem"), "latin1"), "CERTIFICATE")
    const key = join(folder, "key.pem")
    writeFileSync(key, new X509Certificate(chain[0]).publicKey.export({ type: "spki", format: "pem" }))
    const byKey = await told("npx", ["plomb", "verify", path, "--key", key])
    expect(byKey.out).toContain("SIGNED BY THE KEY YOU NAMED")
    expect(byKey.code).toBe(0)
    const crls = instituteCrls(pki)
    const evidence = join(folder, "reading.evidence.json")
    const source = { muc: mucServerId(1), headend: "customer" }
    const receivedAt = new Date().toISOString()
    writeEvidence(evidence, { sml: file, request: Buffer.alloc(0), chain, crls, receivedAt, source })
    const anchor = join(pki, "institute-root", "cert.pem")
    const verdict = await told("npx", ["plomb", "verify", evidence, "--anchor", anchor])
    expect(verdict.out).toMatch(/^PROOF$/m)
    expect(verdict.code).toBe(0)
}, 120_000)

test("several customers at once while the uplink connects anew and is read: all are answered, and the board goes on", async () => {
    for (let round = 0; round < 2; ++round) {
        peer.socket?.destroy()
        const paths = ["/", "/readings.json", "/evidence/1", "/"]
        for (const { out } of await Promise.all(paths.map(path => curl(path, ...right))))
            expect(out).toContain("HTTP/1.1 200 OK")
        await until(() => peer.connected())
        const requestId = Buffer.from([0xad, round])
        peer.ask(signer.command(id, [listMessage(requestId, id)], { requestId }))
        expect((await curl("/evidence/1", ...right)).out).toContain("HTTP/1.1 200 OK")
        await until(() => peer.files.length > 0)
    }
    expect(desk.muc!.board.log.join("\n")).not.toContain("panic")
    expect(desk.muc!.board.log.filter(line => line.startsWith("muc "))).toHaveLength(1)
}, 180_000)

test("plain HTTP, garbage, a hello cut short and ports that are only tried end alone: the customer is answered after each, and the board goes on", async () => {
    const { out } = await told("curl", ["-sS", `http://127.0.0.1:${port}/`])
    expect(out).toMatch(/curl: \(\d+\)/)
    const overflow = Buffer.concat([hex("160301ffff"), Buffer.alloc(100)])
    for (const octets of [hex("00"), hex("160301000401000000"), Buffer.alloc(3000, 0x16), overflow, Buffer.alloc(0)]) {
        await sent(octets)
        expect((await curl("/", ...right)).out).toContain("HTTP/1.1 200 OK")
    }
    expect(desk.muc!.board.log.filter(line => line.startsWith("muc "))).toHaveLength(1)
}, 120_000)

test("revocation lists come over the uplink: a newer one takes the place of the one held, another order or a spoilt list does not", async () => {
    const muc = hex(mucServerId(1))
    /** What a customer's turn or a new connection swallowed is asked again. */
    const answered = async (request: Buffer) => {
        for (let left = 5; ; --left) {
            await until(() => peer.connected())
            peer.ask(request)
            const end = Date.now() + 10_000
            await until(() => peer.files.length > 0 || Date.now() > end)
            if (peer.files.length > 0 || left === 0) return peer.files[0]
        }
    }
    const held = async () => {
        const items = treeValues(readResponse(await answered(inventoryRequest(Buffer.from("held"), muc))), 32).map(
            readItem,
        )
        return items.filter(({ kind }) => kind === Held.RevocationList).map(item => item.fingerprint.toString("hex"))
    }
    const brought = async (values: Buffer[]) => {
        let text = ""
        for (const value of values) {
            const file = unsigned(muc, [set(certificatesPath, value)])
            text = readCame(file, await answered(file), Buffer.alloc(0)).text
        }
        return text
    }
    const list = () => readPem(readFileSync(join(pki, "security-management", "crl.pem"), "utf8"))[0].der
    const fingerprint = (der: Buffer) => createHash("sha256").update(der).digest("hex")
    const former = list()
    expect(await held()).toContain(fingerprint(former))
    // Dated back: the board's clock may be behind this process's by what the virtual world has not caught up with.
    const now = new Date(Date.now() - 60_000)
    await revoke(pki, join(pki, "data-collection", "cert.pem"), "keyCompromise", { now })
    const newer = list()
    const spoilt = Buffer.from(newer)
    spoilt[spoilt.length - 1] ^= 1
    expect(await brought(bringValues(Brought.list, spoilt))).toContain(`E${Code.CrlSignature}`)
    expect(await brought(bringValues(Brought.provider, newer))).toContain(`E${Code.BadArgument}`)
    expect(await held()).toContain(fingerprint(former))
    expect(await brought(bringValues(Brought.list, newer))).toBe("done")
    expect(await held()).toContain(fingerprint(newer))
    expect(await held()).not.toContain(fingerprint(former))
    // An older one does not come back.
    expect(await brought(bringValues(Brought.list, former))).toContain("E")
    expect(await held()).toContain(fingerprint(newer))
}, 120_000)

test("after three wrong passwords the right one is refused too, also after a power cut", async () => {
    for (let i = 0; i < 3; ++i) expect((await curl("/", "-u", `user:wrong ${i}`)).out).toContain("HTTP/1.1 401")
    const locked = await curl("/", ...right)
    expect(locked.out).toContain("HTTP/1.1 429 Too Many Requests")
    expect(Number(/Retry-After: (\d+)/.exec(locked.out)![1])).toBeGreaterThan(20)
    await desk.muc!.board.powerOff()
    await desk.muc!.board.powerOn()
    await until(async () => (await curl("/", ...right)).out.includes("HTTP/1.1 429"))
}, 180_000)
