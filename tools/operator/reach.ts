import { randomBytes } from "node:crypto"
import { existsSync, readdirSync } from "node:fs"
import { join } from "node:path"
import { Held, readItem } from "../../firmware/core/inventory.ts"
import { inventoryPath } from "../../firmware/core/sml-parameter.ts"
import { Role } from "../../firmware/core/x509-role.ts"
import { UsageError } from "../cli/usage.ts"
import { Desk } from "../desk/desk.ts"
import { partyTls } from "../desk/parties.ts"
import { ControlClient } from "../headend/control.ts"
import { Hub } from "../headend/hub.ts"
import { ExchangeError, readResponse, treeValues } from "../headend/responses.ts"
import type { TlsSettings } from "../tls/settings.ts"
import { get, unsignedFile } from "./requests.ts"

/** A way to devices. */
export interface Reach {
    /** Server ids, hex: MUCs, and the meters behind them. */
    devices(): Promise<{ mucs: string[]; meters: string[] }>
    /** Carries a request file to a device and answers its response file. Rejects with `ExchangeError`. */
    send(target: string, file: Buffer): Promise<Buffer>
    close(): Promise<void>
}

/** How long one waits, in milliseconds. */
export interface Patience {
    waitMs: number
    answerMs: number
    log(line: string): void
}

const lookMs = 100

/** Through a running head-end's control socket. */
export async function through(path: string, patience: Patience): Promise<Reach> {
    const client = await ControlClient.open(path)
    const devices = async () => {
        const { meters, mucs } = await client.devices()
        return { mucs, meters: meters.map(each => each.serverId) }
    }
    return {
        devices,
        send: async (target, file) => {
            await waitFor(target, devices, patience)
            return client.relay(target, file)
        },
        close: async () => client.close(),
    }
}

/** As a head-end that listens itself, until the MUC calls. */
export async function listening(
    host: string,
    port: number,
    tls: TlsSettings,
    patience: Patience,
): Promise<Reach & { port: number }> {
    const hub = new Hub({
        tls,
        roles: [Role.muc, Role.concentrator],
        timeoutMs: patience.answerMs,
        attempts: 4,
        pauseMs: 300,
        refreshMs: 300,
        pingMs: 60_000,
        most: 100,
    })
    hub.on("log", line => patience.log(line))
    const at = await hub.listen(port, host)
    const devices = async () => ({ mucs: hub.mucs(), meters: hub.meters().map(each => each.serverId) })
    return {
        port: at.port,
        devices,
        send: async (target, file) => {
            await waitFor(target, devices, patience)
            return (await hub.relay(target, file)).raw
        },
        close: () => hub.close(),
    }
}

/**
 * The desk in a folder (`state`, `pki`; as `plomb demo` leaves it): through the head-end that serves FOLDER/control.sock, else
 * meters and MUC are powered in the VM for as long as this lasts, the MUC with this image, and it calls us.
 */
export async function onDesk(folder: string, tlsParty: string, patience: Patience, mucImage = "muc"): Promise<Reach> {
    const socket = join(folder, "control.sock")
    if (existsSync(socket)) {
        const running = await through(socket, patience).catch(() => undefined)
        if (running) return running
    }
    const state = join(folder, "state")
    const serials = existsSync(state) ? readdirSync(state).flatMap(name => /^meter-(\d+)$/.exec(name)?.[1] ?? []) : []
    if (serials.length === 0 || !existsSync(join(state, "muc-1")))
        throw new UsageError(
            `--desk ${folder}: no calibrated meter and installed MUC in its state folder (plomb demo --folder ${folder} makes them)`,
        )
    const onLog = (board: string, line: string) => patience.log(`${board}: ${line}`)
    // A MUC starts anew when its software changes.
    const desk = await Desk.open({ serials: serials.map(Number), state, onLog, restart: true })
    try {
        const reach = await listening("127.0.0.1", 0, partyTls(join(folder, "pki"), tlsParty), patience)
        try {
            await desk.start()
            await desk.startMuc({ uplink: `127.0.0.1:${reach.port}`, program: mucImage })
        } catch (error) {
            await reach.close()
            throw error
        }
        let settled = false
        return {
            ...reach,
            send: async (target, file) => {
                if (!settled) await untilSettled(reach, target, patience)
                settled = true
                return reach.send(target, file)
            },
            close: async () => {
                await reach.close()
                await desk.close()
            },
        }
    } catch (error) {
        await desk.close()
        throw error
    }
}

/** A meter that was just installed has its provider's certificate from the MUC within a minute; so long is waited for it. */
async function untilSettled(reach: Reach, target: string, { waitMs }: Patience): Promise<void> {
    const meter = Buffer.from(target, "hex")
    if (meter.length !== 10) return
    for (const until = Date.now() + waitMs; Date.now() < until; ) {
        const answer = await reach.send(target, unsignedFile(meter, randomBytes(8), [get(inventoryPath)]))
        if (treeValues(readResponse(answer), 64).some(each => readItem(each).kind === Held.SecurityManagement)) return
        await new Promise(resolve => setTimeout(resolve, 20 * lookMs))
    }
}

/** Until the device is among those that are reached; "unreachable" otherwise. */
async function waitFor(target: string, devices: Reach["devices"], { waitMs }: Patience): Promise<void> {
    const until = Date.now() + waitMs
    for (;;) {
        const { mucs, meters } = await devices()
        if ([...mucs, ...meters].includes(target)) return
        if (Date.now() >= until) {
            const there = [...mucs.map(id => `MUC ${id}`), ...meters.map(id => `meter ${id}`)].join(", ")
            throw new ExchangeError("unreachable", `nobody reaches ${target}; ${there || "no MUC has called"}`)
        }
        await new Promise(resolve => setTimeout(resolve, lookMs))
    }
}
