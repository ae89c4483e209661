import { Code } from "../../firmware/core/errors"
import { Conversation, utcOf } from "../calibrate/conversation.ts"
import { type Call, RefusedError, type Target } from "../calibrate/link.ts"

/** services/installation.md */
export const mucTarget: Target = { serviceClass: 0x1a57a11b, board: "MUC", service: "installation" }

/** Steps a MUC counts. */
export const step = { bare: 0, produced: 1, keyMade: 2, certified: 3, delivered: 4, installed: 5 }

/** What `identify` says. */
export interface MucIdentification {
    /** Hex, 7 octets. */
    serverId: string
    step: number
    keyProtection: number
    configured: boolean
    keyPresent: boolean
    sealed: boolean
    hardware: string
}

/** A secret that a MUC holds, without its value: kind as in services/installation.md, address in hex. */
export interface HeldKey {
    kind: number
    address: string
}

const slow = ["close", "make_key", "certify", "deliver", "put_key", "held", "install", "order"]
/** In the place of a slot: a command for `order`. */
const orderSlot = 17

/** The installation service of one MUC, a method a command. Throws `RefusedError` or `LinkError`. */
export class MucUnderInstallation {
    private readonly muc: Conversation

    constructor(call: Call) {
        this.muc = new Conversation(call, "MUC", slow)
    }

    async identify(): Promise<MucIdentification> {
        const report = await this.muc.command("identify", 0x80)
        return {
            step: report[0],
            keyProtection: report[1],
            configured: (report[2] & 1) !== 0,
            keyPresent: (report[2] & 2) !== 0,
            sealed: (report[2] & 4) !== 0,
            serverId: report.subarray(3, 10).toString("hex"),
            hardware: report.subarray(10).toString("utf8"),
        }
    }

    /** Writes a whole certificate into a slot of the trust store. */
    async putCertificate(slot: number, der: Uint8Array): Promise<void> {
        await this.muc.putCertificate(0x81, 0x82, slot, der)
    }

    async produce(hardware: string): Promise<void> {
        await this.muc.command("produce", 0x83, Buffer.from(hardware))
    }

    /** Configures the key's holder, makes the key, and answers the PKCS#10 request. */
    async makeKey(): Promise<Buffer> {
        return this.muc.fetch(0x85, (await this.muc.command("make_key", 0x84)).readUInt32LE(0))
    }

    async certify(at: Date): Promise<void> {
        await this.muc.command("certify", 0x86, utcOf(at))
    }

    async deliver(): Promise<void> {
        await this.muc.command("deliver", 0x87)
    }

    /** Keeps or replaces a secret; an empty `value` removes it. */
    async putKey({ kind, address }: HeldKey, value: Uint8Array): Promise<void> {
        const where = Buffer.from(address, "hex")
        const payload = Buffer.concat([Buffer.from([kind, where.length]), where, value])
        try {
            await this.muc.command("put_key", 0x88, payload)
        } finally {
            payload.fill(0)
        }
    }

    async held(): Promise<HeldKey[]> {
        const octets = await this.muc.fetch(0x85, (await this.muc.command("held", 0x89)).readUInt32LE(0))
        const keys: HeldKey[] = []
        for (let at = 0; at < octets.length; at += 1 + octets[at])
            keys.push({ kind: octets[at + 1], address: octets.toString("hex", at + 3, at + 1 + octets[at]) })
        return keys
    }

    /**
     * Hands it a file of requests as over an uplink (SML with its transport frame) and answers its response file; signed commands are done
     * that are done at the device only. Sent once: whether a command without an answer was done, nobody knows.
     */
    async order(file: Uint8Array): Promise<Buffer> {
        await this.muc.putParts(0x81, orderSlot, file)
        const length = Buffer.of(file.length & 0xff, file.length >> 8)
        const report = await this.muc.command("order", 0x8b, length, { once: true })
        return this.muc.fetch(0x85, report.readUInt32LE(0))
    }

    async install(at: Date): Promise<void> {
        try {
            await this.muc.command("install", 0x8a, utcOf(at))
        } catch (error) {
            // Closed by a command whose answer was lost.
            if (!(error instanceof RefusedError) || error.code !== Code.AlreadyInstalled) throw error
        }
    }
}
