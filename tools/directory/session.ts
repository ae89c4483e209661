import { once } from "node:events"
import type { Socket } from "node:net"
import type { Identity } from "./access.ts"
import { BerDamage, Framer } from "./ber.ts"
import { bind, change, compare, search } from "./operations.ts"
import { type Message, type Operation, readMessage } from "./requests.ts"
import { disconnection, endMessage, entryMessage, type Result, resultOf } from "./responses.ts"
import { LdapError, ResultCode } from "./result.ts"
import { whoAmI } from "./special.ts"
import type { Tree } from "./tree.ts"

/** One operation that ended, for the log. */
export interface Access {
    peer: string
    tls: boolean
    /** Who asked: "anonymous", "writer" or the common name of a certificate. */
    who: string
    operation: Operation["kind"]
    /** Name of the entry, of the search's base or of the bind. */
    dn: string
    result: string
    /** Entries that a search gave. */
    entries?: number
}

/** What a session needs of its directory. */
export interface SessionOptions {
    tree: Tree
    tls: boolean
    password?: Buffer
    /** The client's identity by its certificate, judged at each bind and each change; undefined without one that may publish. */
    party(): Identity | undefined
    nameOf(identity: Identity): string
    onAccess(access: Access): void
    /** Something of ours failed, not of the client's. */
    onFault(error: unknown): void
}

/** One LDAP session (RFC 4511 3.1): requests are answered one after the other, so abandon finds nothing left to stop. */
export class Session {
    private identity: Identity = { kind: "anonymous" }
    private readonly peer: string

    constructor(
        private readonly socket: Socket,
        private readonly options: SessionOptions,
    ) {
        this.peer = `${socket.remoteAddress}:${socket.remotePort}`
    }

    /** Serves until either end closes. Never throws. */
    async serve(): Promise<void> {
        const framer = new Framer()
        try {
            for await (const chunk of this.socket.iterator({ destroyOnReturn: false })) {
                framer.push(chunk)
                for (let octets = framer.next(); octets; octets = framer.next())
                    if (!(await this.answer(readMessage(octets)))) return
            }
        } catch (error) {
            if (error instanceof BerDamage) await this.write(disconnection(ResultCode.protocolError, error.message))
            // What the socket reports is the end of the session and nothing else
            else if (!isSocketError(error)) {
                this.options.onFault(error)
                await this.write(disconnection(ResultCode.other, "internal error"))
            }
        } finally {
            this.socket.end()
            this.socket.destroySoon()
        }
    }

    /** False where the session ends. */
    private async answer(message: Message): Promise<boolean> {
        const { id, kind } = message
        if (kind === "unbind") return false
        if (kind === "abandon") return true
        let operation: Operation | undefined
        let result = resultOf()
        let value: string | undefined
        let entries: number | undefined
        try {
            // RFC 4511 4.1.11: none is known here
            if (message.criticalControls.length > 0)
                throw new LdapError(
                    ResultCode.unavailableCriticalExtension,
                    `control ${message.criticalControls[0]} is not known here`,
                )
            operation = message.operation()
            if (operation.kind === "search") {
                entries = 0
                for (const { dn, attributes } of search(this.options.tree, operation, this.options.tls)) {
                    await this.write(entryMessage(id, dn, attributes))
                    entries++
                    if (this.socket.destroyed) return false
                }
            } else {
                const done = this.perform(operation)
                if (typeof done === "string") value = done
                else if (done !== undefined) result = { ...result, code: done }
            }
        } catch (error) {
            if (!(error instanceof LdapError)) throw error
            result = resultOf(error)
            // RFC 4511 4.2.1: a bind that failed leaves nobody
            if (kind === "bind") this.identity = { kind: "anonymous" }
        }
        const end = endMessage(id, kind, result, value)
        if (end) await this.write(end)
        this.tell(kind, operation, result, entries)
        return true
    }

    /** Another code than success, or the value of an extended response. */
    private perform(operation: Operation): ResultCode | string | undefined {
        const { tree, password, party, nameOf } = this.options
        switch (operation.kind) {
            case "bind":
                this.identity = bind(operation, password, party)
                return undefined
            case "add":
            case "modify":
            case "delete":
                // Who was let in by a certificate may have been revoked since
                if (this.identity.kind === "party") this.identity = party() ?? { kind: "anonymous" }
                change(tree, this.identity, operation)
                return undefined
            case "compare":
                return compare(tree, operation) ? ResultCode.compareTrue : ResultCode.compareFalse
            case "modifyDN":
                throw new LdapError(ResultCode.unwillingToPerform, "entries keep their names")
            case "extended":
                // RFC 4511 4.12; StartTLS is not served either: TLS has its own port
                if (operation.name !== whoAmI)
                    throw new LdapError(ResultCode.protocolError, `${operation.name} is not known here`)
                return this.identity.kind === "anonymous" ? "" : `u:${nameOf(this.identity)}`
            default:
                return undefined
        }
    }

    private tell(kind: Message["kind"], operation: Operation | undefined, result: Result, entries?: number): void {
        let dn = ""
        if (operation && "dn" in operation) dn = operation.dn
        else if (operation?.kind === "search") dn = operation.base
        else if (operation?.kind === "bind") dn = operation.name
        const { options, peer } = this
        const who = options.nameOf(this.identity)
        options.onAccess({ peer, tls: options.tls, who, operation: kind, dn, result: ResultCode[result.code], entries })
    }

    /** Waits while the client does not take what it has. */
    private async write(octets: Buffer): Promise<void> {
        if (this.socket.destroyed || this.socket.write(octets)) return
        await Promise.race([once(this.socket, "drain"), once(this.socket, "close")]).catch(() => {})
    }
}

function isSocketError(error: unknown): boolean {
    return error instanceof Error && "code" in error && typeof error.code === "string"
}
