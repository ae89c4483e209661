import { createHash } from "node:crypto"
import type { Socket } from "node:net"
import { connect } from "node:tls"
import { tlsProfile } from "../../tools/tls/server.ts"
import type { TlsSettings } from "../../tools/tls/settings.ts"
import { readSmlFile, type SmlFile, type SmlMessage } from "../../tools/verify/sml-file.ts"
import { octetsOf } from "../../tools/verify/sml-tlv.ts"
import {
    hashOf,
    listBody,
    noon,
    profileBody,
    profileOctets,
    type ReadingFields,
    signatureOf,
    signedOctets,
    type World,
} from "./readings.ts"
import { absent, file, list, message, octets, signedFile, unsigned } from "./tlv.ts"

/** What a MUC does wrong with one request. */
export type Mood =
    | "good"
    | "silent"
    | "half"
    | "wrong crc"
    | "hang up"
    | "junk"
    | "busy"
    | "unknown"
    | "other answer"
    | "lost answer"
    | "late"
    | "wrong tree"

function derOf(pem: string): Buffer {
    return Buffer.from(pem.replace(/-----[^-]+-----/g, ""), "base64")
}

/** A MUC and its meters in one TLS client, written without the firmware; `moods` are used up request by request. */
export class FakeMuc {
    readonly moods: Mood[] = []
    /** Tags of the requests that came. */
    readonly asked: number[] = []
    socket: Socket | undefined
    private buffer = Buffer.alloc(0)
    private readonly issued = new Map<string, ReadingFields[]>()

    /** Was the connection resumed? */
    resumed = false
    private session: Buffer | undefined

    /** `tls`: its certificate says `id`, if all is well. */
    constructor(
        readonly meters: Map<string, World>,
        private readonly tls: TlsSettings,
        readonly id = "05aabbccddeeff",
    ) {}

    connect(port: number): Promise<void> {
        return new Promise((resolve, reject) => {
            const { key, chain: cert, ca } = this.tls
            const { session } = this
            const socket = connect({ ...tlsProfile, port, host: "127.0.0.1", key, cert, ca, session }, () => {
                this.resumed = socket.isSessionReused()
                resolve()
            })
            this.socket = socket
            this.buffer = Buffer.alloc(0)
            socket.on("session", each => {
                this.session = each
            })
            socket.on("error", reject)
            socket.on("data", piece => {
                this.buffer = Buffer.concat([this.buffer, piece])
                const end = this.buffer.indexOf("1b1b1b1b1a", 8, "hex")
                if (end < 0 || this.buffer.length < end + 8) return
                const request = readSmlFile(this.buffer.subarray(0, end + 8))
                this.buffer = this.buffer.subarray(end + 8)
                this.serve(request, this.moods.shift() ?? "good")
            })
        })
    }

    leave(): void {
        this.socket?.destroy()
    }

    private serve(request: SmlFile, mood: Mood): void {
        const [open, first] = request.messages
        // The first request of a command is its header.
        const command = first.tag === 0x0600
        const question = command ? request.messages[2] : first
        this.asked.push(question.tag)
        const reqFileId = octetsOf(request.payload, open.body.items[2], "reqFileId")
        const target = octetsOf(request.payload, open.body.items[3], "serverId").toString("hex")
        const body = this.answer(request, question, target || this.id, mood)
        const id = mood === "other answer" ? Buffer.from("ffff", "hex") : reqFileId
        const messages = [
            message("01", 0x0101, list(absent, absent, octets(id), octets(target || this.id), absent, absent)),
            ...body.map(([tag, content]) => message(question.transactionId.toString("hex"), tag, content)),
        ]
        const world = this.meters.get(target)
        if (command) messages.splice(1, 0, this.answerTo(request, target))
        const response =
            command && world
                ? signedFile(messages, 0x0201, covered => signatureOf(world, covered))
                : file(...messages, message("03", 0x0201, list(absent)))
        const socket = this.socket!
        if (mood === "wrong crc") response[response.length - 1] ^= 1
        if (mood === "junk") socket.write(Buffer.concat([Buffer.alloc(5000, 0x1b), Buffer.from("hello")]))
        if (mood === "half" || mood === "hang up") socket.write(response.subarray(0, response.length / 2))
        else if (mood === "late") setTimeout(() => socket.write(response), 400)
        else if (mood !== "silent" && mood !== "lost answer") socket.write(response)
        if (mood === "hang up") socket.destroy()
    }

    /** The message that names the command. */
    private answerTo({ payload, messages }: SmlFile, target: string): Buffer {
        const [signature] = messages[messages.length - 1].body.items
        const digest = createHash("sha256").update(payload.subarray(messages[0].start, signature.start)).digest()
        const header = octetsOf(payload, messages[1].body.items[4].items[1].items[1], "header")
        const head = Buffer.concat([Buffer.of(1), digest, header.subarray(1, 5), Buffer.alloc(8, 9)])
        const path = "8181c7f031ff"
        const tree = list(octets(path), list(unsigned(1, 1), octets(head)), absent)
        return message("02", 0x0501, list(octets(target), list(octets(path)), tree))
    }

    private answer(request: SmlFile, question: SmlMessage, target: string, mood: Mood): [number, Buffer][] {
        if (mood === "busy" || mood === "unknown") {
            const number = mood === "busy" ? "8181c7c7fe15" : "8181c7c7fe01"
            return [[0xff01, list(octets(target), octets(number), absent, absent)]]
        }
        const world = this.meters.get(target)
        if (question.tag === 0x0500) {
            const leaf = (name: string, value: Buffer) =>
                list(octets(name), list(unsigned(1, 1), octets(value)), absent)
            const values = world
                ? [world.meter, world.authority, world.root].map(({ pem }) => derOf(pem))
                : [...this.meters.keys()].map(key => Buffer.from(key, "hex"))
            const path = world ? "8181c7f010ff" : "81811106ffff"
            const children = values.map((value, i) => leaf(path.slice(0, 10) + `0${i + 1}`, value))
            const tree = list(octets(path), absent, mood === "wrong tree" ? unsigned(1, 5) : list(...children))
            return [[0x0501, list(octets(target), list(octets(path)), tree)]]
        }
        if (!world) return [[0xff01, list(octets(target), octets("8181c7c7fe03"), absent, absent)]]
        if (question.tag === 0x0400) {
            const from = Number.parseInt(
                request.payload.toString("hex", question.body.items[4].end - 4, question.body.items[4].end),
                16,
            )
            const rows = [0, 1, 2, 3]
                .map(i => ({ serverId: target, pagination: 101 + i, at: noon + 900 * i }))
                .filter(({ at }) => at >= from)
                .slice(0, 2)
            if (rows.length === 0) return [[0xff01, list(octets(target), octets("8181c7c7fe13"), absent, absent)]]
            return rows.map(row => {
                const covered = profileOctets(row)
                return [0x0401, profileBody(covered, signatureOf(world, covered))]
            })
        }
        const name = octetsOf(request.payload, question.body.items[4], "listName")
        const made = this.issued.get(target) ?? []
        this.issued.set(target, made)
        let fields: ReadingFields
        if (name.length === 10) fields = made.find(each => each.pagination === name.readUInt32BE(6))!
        else {
            const before = made[made.length - 1]
            const pagination = (before?.pagination ?? 0) + 1
            const previousHash = before ? hashOf(before) : undefined
            fields = {
                serverId: target,
                pagination,
                previousHash,
                at: noon + pagination,
                secondsIndex: 1000 + pagination,
            }
            made.push(fields)
        }
        const covered = signedOctets(fields)
        return [[0x0701, listBody(covered, signatureOf(world, covered))]]
    }
}
