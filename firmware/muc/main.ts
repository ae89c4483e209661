import type { Machine } from "../../hal/machine"
import type { Addresses } from "./addresses"
import type { Router } from "./answer"
import { Functions } from "./functions"
import { Initialization } from "./initialization"
import { LineSide, startDelivery, startLine } from "./line"
import { MucTrust } from "./peer-trust"
import { SecureUplink } from "./secure-uplink"
import { serveUplink } from "./uplink"

/** The MUC image: finds the meters of its RS-485 line and carries requests and answers between them and its uplink. */
export function start(machine: Machine): void {
    const side = new LineSide(machine)
    if (!side.serves()) return
    const holdings = side.holdings
    const clock = side.clock
    const addresses = side.addresses
    const functions = new Functions(side.fram, machine, side.identity, holdings, side.keys, clock, addresses)
    const router = startLine(side, functions)
    startDelivery(side)
    const uplink = machine.uplink
    const agreement = machine.agreement
    if (!uplink || !agreement) {
        console.log("this board has no uplink")
        return
    }
    const custody = machine.custody
    const toDirectory = new SecureUplink(uplink, holdings, custody, agreement, new MucTrust(holdings, clock, true))
    const toHeadEnd = new SecureUplink(uplink, holdings, custody, agreement, new MucTrust(holdings, clock, false))
    const initialization = new Initialization(holdings, clock, toDirectory, addresses)
    functions.onProvider = () => initialization.soon()
    callHome.start(toHeadEnd, router, addresses, initialization)
}

function callHome(uplink: SecureUplink, router: Router, addresses: Addresses, initialization: Initialization): void {
    serveUplink(uplink, router, addresses, initialization)
}
