import { randomBytes } from "node:crypto"
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { HeldItem } from "../../firmware/core/inventory.ts"
import { ensureBuilt } from "../build/build.ts"
import { instituteCrls } from "../calibrate/certifier.ts"
import { serverIdOf } from "../calibrate/station.ts"
import { constantLoad } from "../chips/load-source.ts"
import { openMuc } from "../commission/boards.ts"
import { kind, passwordVerifier, type Secret } from "../commission/secrets.ts"
import { commissionMuc, mucCertifierOf } from "../commission/station.ts"
import { Concentrator } from "../concentrator/concentrator.ts"
import { layOutCalibrated } from "../desk/calibrated.ts"
import { Desk, mucServerId } from "../desk/desk.ts"
import { Directory } from "../directory/directory.ts"
import { HeadEnd } from "../headend/headend.ts"
import { ExchangeError } from "../headend/responses.ts"
import { issueWithKey } from "../pki/issue.ts"
import { readPem } from "../pki/pem.ts"
import { publishAll } from "../pki/publish.ts"
import type { TlsSettings } from "../tls/settings.ts"
import type { World } from "../vm/world.ts"
import { readConcentrator } from "./concentrator-files.ts"
import { concentratorHoldings, listHoldings, meterHoldings, mucHoldings } from "./expected.ts"
import { compareHoldings, type Holding, type InventoryRow, inventoryMatrix } from "./holdings.ts"
import { filesBelow, type Kept, memoriesOf, memoryMatrix, outsideMatrix, type Searched } from "./memories.ts"
import { expected, type Matrix, type Report, unexpected } from "./report.ts"
import { subjectOf } from "./scan.ts"

const serials = [20260101, 20260102]
const mucId = mucServerId(1)
const concentratorId = "05504c434e0001"
/** A radio meter of the household, as on the air: its key is in the MUC. */
const radioMeter = "9315112233440507"
/** Place of the MUC's symmetric keys in its FRAM (firmware/muc/layout.ts). */
const keysFrom = 0x08000
const keysTo = 0x09000
/** Whose revocation lists are kept where. */
const meterLists = ["ca-root", "security-management"]
const mucLists = [...meterLists, "manufacturer", "institute-root", "calibration-authority"]
const concentratorLists = [...meterLists, "manufacturer"]
/** How often head-end and concentrator ask who is there, in real time: the world's is faster. */
const brisk = { refreshMs: 500, pingMs: 1000 }
/** Of the world's time. */
const patienceMs = 900_000

/** Of the world's clock before the day's; the verifier allows 300 s. */
const mostAheadMs = 120_000

/** Called with each step, and with what the boards print. */
export type Listener = (line: string) => void

/**
 * The paper's 4.3 from two calibrated meters, a bare MUC and an empty directory to a system that reads: who holds what
 * is then asked of each device over the way that everybody asks, compared with design.md section 6, and looked for in
 * the memories.
 */
export async function run(listen: Listener = () => {}): Promise<Report> {
    const folder = mkdtempSync(join(tmpdir(), "plomb-initialization-"))
    try {
        return await initialize(folder, listen)
    } finally {
        rmSync(folder, { recursive: true, force: true })
    }
}

async function initialize(folder: string, listen: Listener): Promise<Report> {
    const pki = join(folder, "pki")
    const began = Date.now()
    const printed: string[] = []
    // All of it before anything stands on the network: the compiler lets nothing else run.
    for (const image of ["meter", "muc_install", "muc"]) await ensureBuilt(image, "vm")
    listen("two trust trees; meters calibrated, CERT_EM issued")
    await layOutCalibrated(folder, serials)
    await issueWithKey(pki, "concentrator", concentratorId, { hosts: ["localhost", "127.0.0.1"] })

    const writerPassword = randomBytes(16).toString("hex")
    const directory = new Directory({
        tls: { port: 0, ...partyOf(pki, "directory"), ca: textOf(pki, "ca-root", "cert.pem") },
        writerPassword,
    })
    const provider = new HeadEnd({
        store: join(folder, "evidence"),
        tls: partyOf(pki, "operator"),
        anchors: [textOf(pki, "institute-root", "cert.pem")],
        crls: () => instituteCrls(pki),
        ...brisk,
        attempts: 8,
        pauseMs: 100,
    })
    const desk = await Desk.open({
        serials,
        state: join(folder, "state"),
        load: constantLoad(800),
        // Time of the world's own, so that a machine with much to do costs patience and no octets on the line.
        clock: "virtual",
        startMs: Date.now(),
        patienceMs: 100,
        onLog: (board, line) => {
            printed.push(line)
            listen(`[${board}] ${line}`)
        },
    })
    const unpace = pace(desk.world)
    const heard: Uint8Array[] = []
    desk.wire.tap({ onOctets: octets => heard.push(Uint8Array.from(octets)) })
    let concentrator: Concentrator | undefined
    try {
        listen("the directory starts; the PKI is published there over LDAP and TLS")
        await directory.listen()
        await publishAll(pki, { url: directory.tlsUrl, password: writerPassword })
        const { port } = await provider.listen(0)
        concentrator = new Concentrator({
            tls: concentratorTls(pki, join(folder, "concentrator")),
            store: join(folder, "concentrator", "store"),
            providers: [{ host: "127.0.0.1", port }],
            ...brisk,
        })
        for (const [name, each] of Object.entries({ provider, concentrator }))
            each.on("log", (line: string) => listen(`[${name}] ${line}`))
        const uplink = await concentrator.listen(0)

        listen("the MUC is produced, and installed with its symmetric keys")
        const brought = symmetricSecrets()
        await commission(pki, join(folder, "state"), brought.secrets, listen)

        listen("meters and MUC on one line")
        await desk.start()
        await desk.startMuc({
            uplink: `127.0.0.1:${uplink.port}`,
            settings: { directory: new URL(directory.tlsUrl).host, provider: "security-management" },
        })

        listen("the MUC fetches, brings to its meters what they need, and calls the concentrator")
        const devices = await settled(desk, provider, pki, listen)
        const files = readConcentrator(join(folder, "concentrator"))
        const keys = await keysInUse(desk, provider, concentrator, files.key)
        await desk.close()
        await concentrator.close()

        const devicesSearched = searched(desk, pki, files.rest)
        const inventory = [...devices, ...concentratorRows(pki, files.items)]
        return {
            matrices: [
                inventoryMatrix("What the devices say they hold, after initialisation", inventory),
                keys,
                memoryMatrix(devicesSearched, pki, brought.kept),
                outsideMatrix(devicesSearched, pki, brought.kept, {
                    "RS-485 line": Buffer.concat(heard),
                    "what the boards print": Buffer.from(printed.join("\n")),
                    "the provider's store": Buffer.concat(
                        filesBelow(join(folder, "evidence")).map(path => readFileSync(path)),
                    ),
                }),
            ],
            notes: [
                `From an empty directory to this table in ${Math.round((Date.now() - began) / 1000)} s.`,
                "Revocation lists are public and those of the day; they are compared with the PKI's own.",
                "Adapters of display and PLC, the other holders of KEY1PLC and KEY2PLC, are not on this desk.",
            ],
        }
    } finally {
        unpace()
        await concentrator?.close().catch(() => {})
        await desk.close().catch(() => {})
        await provider.close()
        await directory.close()
    }
}

/** Holds the world's clock when it is far ahead of the day's: readings of the future are no proof. The answer ends that. */
function pace(world: World): () => void {
    let release: (() => void) | undefined
    const timer = setInterval(() => {
        if (world.nowMs() - Date.now() > mostAheadMs) release ??= world.hold()
        else {
            release?.()
            release = undefined
        }
    }, 10)
    return () => {
        clearInterval(timer)
        release?.()
    }
}

/** Production and installation at the station, with the image for that. */
async function commission(pki: string, state: string, secrets: Secret[], listen: Listener): Promise<void> {
    const { muc, close } = await openMuc("vm", state)
    try {
        await commissionMuc({
            muc,
            hardware: "plomb-muc-1",
            certifier: mucCertifierOf(pki),
            installation: () => ({ secrets }),
            now: () => new Date(),
            onStep: name => listen(name),
            remember: () => {},
        })
    } finally {
        await close()
    }
}

/** What the installer brings, and what of it may be found where. */
interface Brought {
    secrets: Secret[]
    kept: Kept[]
}

/** The symmetric keys and the user's password, made for this run. */
function symmetricSecrets(): Brought {
    const password = `a long password ${randomBytes(6).toString("hex")}`
    const verifier = passwordVerifier(password)
    const secret = (name: string, of: number, value: Buffer, address = ""): Secret => ({
        key: { kind: of, address },
        name,
        value: () => Buffer.from(value),
    })
    const secrets = [
        secret("KEY1PLC", kind.key1Plc, randomBytes(32)),
        secret("KEY2PLC", kind.key2Plc, randomBytes(32)),
        secret(`K_MBus of ${radioMeter}`, kind.mBus, randomBytes(16), radioMeter),
        secret("the password's verifier", kind.password, verifier),
    ]
    const inMuc = { holder: "MUC", from: keysFrom, to: keysTo }
    return {
        secrets,
        kept: [
            ...secrets.map(each => ({ name: each.name, octets: each.value(), ...inMuc })),
            { name: "the password", octets: Buffer.from(password) },
        ],
    }
}

/** Rows of all meters and the MUC, asked over the concentrator once every device has what it must, or as they are when patience ends. */
async function settled(desk: Desk, provider: HeadEnd, pki: string, listen: Listener): Promise<InventoryRow[]> {
    const until = desk.world.elapsedMs() + patienceMs
    const ids = serials.map(serverIdOf)
    const reached = () => ids.every(id => provider.meters().some(({ serverId }) => serverId === id))
    await desk.world.runUntil(reached, patienceMs).catch((error: Error) => listen(`not all meters: ${error.message}`))
    let said = ""
    for (;;) {
        const rows: InventoryRow[] = []
        for (const [holder, id, holdings] of wanted(pki)) {
            const items = await desk.world.runWhile(itemsOf(provider, id), patienceMs)
            rows.push(...compareHoldings(holder, holdings, items))
        }
        const open = rows.filter(({ fits }) => !fits)
        if (open.length === 0 || desk.world.elapsedMs() > until) return rows
        const missing = open.map(({ holder, what }) => `${holder}: ${what}`).join("; ")
        if (missing !== said) listen(`not yet: ${missing}`)
        said = missing
        await desk.world.runFor(5000)
    }
}

/** What a device says; nothing while it can not be reached. */
async function itemsOf(provider: HeadEnd, id: string): Promise<HeldItem[]> {
    try {
        return await provider.inventory(id)
    } catch (error) {
        if (!(error instanceof ExchangeError)) throw error
        return []
    }
}

/** Holder, server id and holdings of each device that is asked over the line. */
function wanted(pki: string): [holder: string, id: string, holdings: Holding[]][] {
    return [
        ...serials.map((serial, i): [string, string, Holding[]] => {
            const id = serverIdOf(serial)
            return [`meter ${i + 1}`, id, [...meterHoldings(pki, id), ...listHoldings(pki, meterLists)]]
        }),
        ["MUC", mucId, [...mucHoldings(pki, mucId, [radioMeter]), ...listHoldings(pki, mucLists)]],
    ]
}

function concentratorRows(pki: string, items: HeldItem[]): InventoryRow[] {
    const holdings = [...concentratorHoldings(pki, concentratorId), ...listHoldings(pki, concentratorLists)]
    return compareHoldings("concentrator", holdings, items)
}

/** Private keys are never told; each is shown by what only its holder can do. */
async function keysInUse(desk: Desk, provider: HeadEnd, concentrator: Concentrator, keyFault: string): Promise<Matrix> {
    const row = (holder: string, key: string, use: string, found: string, fits: boolean) => ({
        names: [holder, key, use],
        cells: [fits ? expected(found) : unexpected(found, `${holder} must show that it has ${key}`)],
    })
    const rows = []
    for (const [i, serial] of serials.entries()) {
        const pulled = provider.pull(serverIdOf(serial)).then(
            ({ verdicts: [{ name }] }) => name,
            (error: Error) => error.message,
        )
        const found: string = await desk.world.runWhile(pulled, patienceMs)
        rows.push(
            row(`meter ${i + 1}`, "SK_EM", "signs a reading that is proof under CERT_EM", found, found === "proof"),
        )
    }
    const opened = (is: boolean) => (is ? "open" : "not open")
    const muc = concentrator.mucs().includes(mucId)
    rows.push(row("MUC", "SK_MUC", "opens TLS to the concentrator as CERT_MUC", opened(muc), muc))
    const up = provider.mucs().includes(concentratorId)
    rows.push(row("concentrator", "SK_CN", "opens TLS to the provider as CERT_CN", opened(up), up))
    const own = keyFault === ""
    rows.push(row("concentrator", "SK_CN", "one key file, of CERT_CN, for its owner only", own ? "so" : keyFault, own))
    return { title: "Private keys, shown by their use", head: ["holder", "key", "use", "found"], rows }
}

/** The devices with their memories, after the power went. */
function searched(desk: Desk, pki: string, concentratorRest: Buffer): Searched[] {
    const lists = (issuers: readonly string[]) => issuers.map(each => subjectOf(derOf(pki, each, "cert.pem")))
    const [one, two, [, , mucs]] = wanted(pki)
    return [
        ...[one, two].map(([holder, id, holdings], i) => ({
            holder,
            holdings,
            own: derOf(pki, "meters", id, "cert.pem"),
            listsOf: lists(meterLists),
            ...memoriesOf(desk.meters[i].bench),
        })),
        {
            holder: "MUC",
            holdings: mucs,
            own: derOf(pki, "mucs", mucId, "cert.pem"),
            listsOf: lists(mucLists),
            ...memoriesOf(desk.muc!.bench),
        },
        {
            holder: "concentrator",
            holdings: [],
            listsOf: [],
            memories: [{ name: "store of readings", octets: concentratorRest }],
            keySlots: [],
        },
    ]
}

/** The concentrator's folder: its own key and chain, the CA root, and the lists of the day. */
function concentratorTls(pki: string, folder: string): TlsSettings {
    mkdirSync(join(folder, "lists"), { recursive: true, mode: 0o700 })
    for (const name of ["key.pem", "chain.pem"])
        copyFileSync(join(pki, "concentrators", concentratorId, name), join(folder, name))
    copyFileSync(join(pki, "ca-root", "cert.pem"), join(folder, "ca.pem"))
    for (const each of concentratorLists) copyFileSync(join(pki, each, "crl.pem"), join(folder, "lists", `${each}.pem`))
    return {
        key: textOf(folder, "key.pem"),
        chain: textOf(folder, "chain.pem"),
        ca: textOf(folder, "ca.pem"),
        crls: () => concentratorLists.map(each => textOf(folder, "lists", `${each}.pem`)),
    }
}

function partyOf(pki: string, party: string): TlsSettings {
    return {
        key: textOf(pki, party, "key.pem"),
        chain: textOf(pki, party, "chain.pem"),
        ca: textOf(pki, "ca-root", "cert.pem"),
        crls: () => concentratorLists.map(each => textOf(pki, each, "crl.pem")),
    }
}

function textOf(...path: string[]): string {
    return readFileSync(join(...path), "utf8")
}

function derOf(...path: string[]): Buffer {
    return readPem(textOf(...path))[0].der
}
