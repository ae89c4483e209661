import type { AddressInfo } from "node:net"
import type { TLSSocket } from "node:tls"
import { SmlReceiver } from "../../firmware/core/sml-receive.ts"
import { Role } from "../../firmware/core/x509-role.ts"
import { TlsListener } from "../tls/server.ts"
import { partyTls } from "./parties.ts"

/** The other end of a MUC's uplink, as an operator of a PKI folder: sends what it is told and keeps the files that come. */
export class UplinkPeer {
    /** All files heard since the last `ask`, the oldest first. */
    readonly files: Buffer[] = []
    /** The newest connection, while it lasts. */
    socket: TLSSocket | undefined
    port = 0
    private listener: TlsListener | undefined

    /** `party`: who it is on TLS, a folder of the PKI. `oldLists`: it goes by the revocation lists of its beginning, so that who is revoked later can still be reached. */
    constructor(
        private readonly pki: string,
        private readonly party = "operator",
        private readonly oldLists = false,
    ) {}

    async listen(port = 0): Promise<void> {
        const settings = partyTls(this.pki, this.party)
        const lists = settings.crls()
        const listener = new TlsListener({
            settings: this.oldLists ? { ...settings, crls: () => lists } : settings,
            roles: [Role.muc],
            onPeer: socket => this.take(socket),
            log: () => {},
        })
        this.listener = listener
        await new Promise<void>(resolve => listener.server.listen(port, "127.0.0.1", resolve))
        this.port = (listener.server.address() as AddressInfo).port
    }

    connected(): boolean {
        return this.socket !== undefined
    }

    /** Sends octets as they are; files that came before are dropped. */
    ask(octets: Uint8Array): void {
        this.files.length = 0
        this.socket?.write(octets)
    }

    async close(): Promise<void> {
        this.socket?.destroy()
        await new Promise<void>(resolve => (this.listener ? this.listener.close(resolve) : resolve()))
    }

    private take(socket: TLSSocket): void {
        const receiver = new SmlReceiver(
            65_536,
            false,
            raw => this.files.push(Buffer.from(raw)),
            () => {},
        )
        this.socket = socket
        socket.on("data", octets => receiver.feed(octets))
        socket.on("error", () => {})
        socket.on("close", () => {
            if (this.socket === socket) this.socket = undefined
        })
    }
}
