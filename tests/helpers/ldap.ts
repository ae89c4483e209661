import { once } from "node:events"
import { connect, type Socket } from "node:net"
import { Framer, readBer } from "../../tools/directory/ber.ts"

/** BER by hand: a test's own octets, right or wrong. */
export function tlv(tag: number, ...content: (Buffer | string | number)[]): Buffer {
    const body = Buffer.concat(
        content.map(each => (typeof each === "number" ? Buffer.from([each]) : Buffer.from(each))),
    )
    const length =
        body.length < 128 ? [body.length] : [0x83, body.length >> 16, (body.length >> 8) & 255, body.length & 255]
    return Buffer.concat([Buffer.from([tag, ...length]), body])
}

/** One LDAPMessage. */
export function ldapMessage(id: number, operation: Buffer, ...more: Buffer[]): Buffer {
    return tlv(0x30, tlv(2, id), operation, ...more)
}

/** Anonymous simple bind. */
export const anonymousBind = tlv(0x60, tlv(2, 3), tlv(4), tlv(0x80))

/** Base-object search of one entry, all objects, for these attributes. */
export function baseSearch(dn: string, ...attributes: string[]): Buffer {
    const fixed = [tlv(10, 0), tlv(10, 0), tlv(2, 0), tlv(2, 0), tlv(1, 0), tlv(0x87, "objectClass")]
    return tlv(0x63, tlv(4, dn), ...fixed, tlv(0x30, ...attributes.map(each => tlv(4, each))))
}

/** Result of one message: id, application tag, result code where it has one, and the octets. */
export interface Answer {
    id: number
    tag: number
    code: number | undefined
    octets: Buffer
}

/** Says octets and hears answers. */
export class RawLdap {
    readonly answers: Answer[] = []
    private readonly framer = new Framer()
    private wake = () => {}

    constructor(readonly socket: Socket) {
        socket.on("data", chunk => {
            this.framer.push(chunk)
            for (let octets = this.framer.next(); octets; octets = this.framer.next()) {
                const [id, operation] = readBer(octets).children
                const result = operation.children[0]
                const code = result?.tag === 10 ? result.content[0] : undefined
                this.answers.push({ id: id.content.readUIntBE(0, id.content.length), tag: operation.tag, code, octets })
            }
            this.wake()
        })
        socket.on("error", () => {})
        socket.on("close", () => this.wake())
    }

    static async open(url: string): Promise<RawLdap> {
        const { hostname, port } = new URL(url)
        const socket = connect(Number(port), hostname)
        await once(socket, "connect")
        return new RawLdap(socket)
    }

    /** All answers to this message, its last included; rejects where the other end closes before. */
    async ask(octets: Buffer, id: number): Promise<Answer[]> {
        this.socket.write(octets)
        const own = () => this.answers.filter(each => each.id === id)
        while (!own().some(({ tag }) => tag !== 0x64)) {
            if (this.socket.closed) throw new Error("the session ended")
            await new Promise<void>(resolve => {
                this.wake = resolve
            })
        }
        return own()
    }

    /** Sends and waits until the other end closes. */
    async end(octets: Buffer): Promise<Answer[]> {
        this.socket.write(octets)
        if (!this.socket.closed) await once(this.socket, "close")
        return this.answers
    }
}
