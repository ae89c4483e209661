import type { Machine } from "../../hal/machine"
import { startPart } from "../../hal/parts"
import type { ListeningPort, SpiPort } from "../../hal/ports"
import { W5500 } from "../../hal/w5500"
import { PlombError } from "../core/errors"
import { join } from "../core/octets"
import { CustomerPage } from "./customer"
import { KeptReadings } from "./kept"
import { LanServer } from "./lan-server"
import { callHeadEnd, LineSide, startDelivery, startLine } from "./line"
import { ListFunctions } from "./list-functions"
import { loggedLockout } from "./lockout"
import { OwnReadings } from "./own-readings"
import { MucTrust } from "./peer-trust"
import { SecureUplink } from "./secure-uplink"
import { Room, Turn } from "./turns"
import type { Answers } from "./uplink"

/** Where the customer's page is. */
const httpsPort = 443

/**
 * The MUC with the customer's page on its Ethernet part, and without the directory: revocation lists come over the uplink. What the head-end
 * reads of the meters is kept for the customer.
 */
export function start(machine: Machine): void {
    const side = new LineSide(machine)
    if (!side.serves()) return
    const fram = side.fram
    const holdings = side.holdings
    const keys = side.keys
    const clock = side.clock
    const addresses = side.addresses
    const functions = new ListFunctions(fram, machine, side.identity, holdings, keys, clock, addresses)
    const kept = new KeptReadings(fram)
    // The customer has the heap when neither the line's own work nor the uplink does.
    const lineRoom = new Room()
    const router = startLine(side, functions, new Turn(lineRoom, true))
    startDelivery(side, new Turn(lineRoom, true))
    const custody = machine.custody
    const agreement = machine.agreement
    const uplink = machine.uplink
    if (!agreement || !uplink) return
    const room = new Room()
    const trust = new MucTrust(holdings, clock, false)
    const toHeadEnd = new SecureUplink(uplink, holdings, custody, agreement, trust, new Turn(room, true))
    const spi = machine.spi
    if (spi) {
        const locked = loggedLockout(fram, functions.logbook)
        const page = new CustomerPage(
            new OwnReadings(kept, functions.table, side.meters, machine.settings),
            keys,
            locked,
        )
        const port = ethernet(spi, machine)
        const turns = [new Turn(lineRoom, false), new Turn(room, false)]
        if (port) serveCustomer.start(new LanServer(port, holdings, custody, agreement, turns, page))
    }
    const keeping: Answers = {
        route: raw => {
            const answer = router.route(raw)
            if (answer) keep(kept, answer, functions.trust.utcSeconds())
            return answer
        },
    }
    callHeadEnd(toHeadEnd, keeping, addresses)
}

function serveCustomer(server: LanServer): void {
    server.run()
}

/** What can not be kept is handed on all the same. */
function keep(kept: KeptReadings, answer: Buffer, utcSeconds: number): void {
    try {
        kept.take(answer, utcSeconds)
    } catch (e: any) {
        if (!(e instanceof PlombError)) throw e
        console.log("not kept: " + e.message)
    }
}

/** The Ethernet part with the address of the settings, in a network of 254 hosts; undefined where none is set. */
function ethernet(spi: SpiPort, machine: Machine): ListeningPort | undefined {
    const settings = machine.settings
    const own = addressOf(settings.get("lan_address"))
    if (!own) {
        console.log("lan: no lan_address is set")
        return undefined
    }
    // Without a gateway, so that nobody outside the house's own network is answered. The hardware address: locally administered, and as the device identifier its own.
    const hardware = Buffer.alloc(6)
    hardware[0] = 0x02
    hardware.blitAt(1, machine.deviceId, 3, 5)
    const port = new W5500(spi, httpsPort, join([hex`00000000ffffff00`, hardware, own]))
    startPart(() => {
        port.start()
        console.log("lan " + settings.get("lan_address"))
    })
    return port
}

/** Four octets of a dotted address; undefined for anything else. */
function addressOf(words: string): Buffer | undefined {
    const address = Buffer.alloc(4)
    let at = 0
    for (let i = 0; i < 4; ++i) {
        const octet = parseInt(words.slice(at))
        at = words.indexOf(".", at) + 1
        if (!(octet >= 0 && octet < 256) || at > 0 !== i < 3) return undefined
        address[i] = octet
    }
    return address
}
