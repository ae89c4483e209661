import { Code, fail, PlombError } from "../../../firmware/core/errors"
import { cut } from "../../../firmware/core/octets"
import { platform } from "../../../firmware/core/platform"
import { readSignedList } from "../../../firmware/core/signed-list"
import { readRequest } from "../../../firmware/core/sml-messages"
import { entryQuirks } from "../../../firmware/core/sml-quirks"
import { readFile, type SmlFile, type SmlMessage } from "../../../firmware/core/sml-read"
import { SmlReceiver } from "../../../firmware/core/sml-receive"
import { GET_LIST_RES, smlBodyAt } from "../../../firmware/core/sml-tables"
import { childrenAt, integerAt, isAbsent, octetsAt } from "../../../firmware/core/sml-values"

/**
 * Request: function, profile (1 tolerant), then
 * 0 stream: piece length U16 LE, capacity U16 LE, octets. Reply: 9 octets an event: 0 file or 1 problem, place U32 LE, length or code U32 LE;
 *   at the end 2, files U32 LE, junk octets U32 LE.
 * 1 file: octets. Reply: flags, CRC kind, then each message: tag U16 LE, flags, and the elements of the message as below.
 * 2 file, and all that makes use of its messages. Reply: for each message, the codes U16 LE (0 = none) with which it is refused
 *   as a request and as a signed list, and the sum of its entries' quirks U16 LE.
 * Elements: FF absent; 70 + count U16 LE + children; 00 + length U16 LE + octets; 40 + octet;
 * 5w or 6w + value as F64 LE (1e300 if it does not fit) + the w octets sent.
 */
export function answer(request: Buffer): Buffer {
    const tolerant = request[1] === 1
    platform().yieldNow()
    if (request[0] === 0) return stream(request, tolerant)
    const file = readFile(cut(request, 2, request.length - 2), tolerant, 0)
    const dump = new Dump()
    if (request[0] === 2) {
        for (let i = 0; i < file.messages.length; ++i) uses(dump, file, file.messages[i])
        return cut(dump.octets, 0, dump.at)
    }
    dump.octet(file.flags)
    dump.octet(file.crc)
    for (let i = 0; i < file.messages.length; ++i) {
        platform().yieldNow()
        message(dump, file.messages[i])
    }
    return cut(dump.octets, 0, dump.at)
}

/** In place of an integer beyond 2^53, whose octets say it. */
const beyond = 1e300

/** The code with which `use` refuses; anything but the one typed error goes on up. */
function codeOf(use: () => void): number {
    try {
        use()
        return 0
    } catch (error: any) {
        if (error instanceof PlombError) return error.code
        throw error
    }
}

function uses(dump: Dump, file: SmlFile, each: SmlMessage): void {
    platform().yieldNow()
    let quirks = 0
    dump.short(codeOf(() => readRequest(each)))
    dump.short(codeOf(() => readSignedList(file, each)))
    const list = () => {
        const bits = entryQuirks(each)
        for (let i = 0; i < bits.length; ++i) quirks += bits[i]
    }
    if (each.tag === GET_LIST_RES) list()
    dump.short(quirks)
}

class Dump {
    octets = Buffer.alloc(256)
    at = 0

    room(count: number): void {
        if (this.at + count <= this.octets.length) return
        const larger = Buffer.alloc(2 * (this.at + count))
        larger.blitAt(0, this.octets, 0, this.at)
        this.octets = larger
    }

    octet(value: number): void {
        this.room(1)
        this.octets[this.at] = value
        ++this.at
    }

    short(value: number): void {
        this.room(2)
        this.octets.setAt(this.at, "u16", value)
        this.at += 2
    }

    word(value: number): void {
        this.room(4)
        this.octets.setAt(this.at, "u32", value)
        this.at += 4
    }

    double(value: number): void {
        this.room(8)
        this.octets.setAt(this.at, "f64", value)
        this.at += 8
    }

    raw(octets: Buffer): void {
        this.room(octets.length)
        this.octets.blitAt(this.at, octets, 0, octets.length)
        this.at += octets.length
    }
}

function message(dump: Dump, each: SmlMessage): void {
    dump.octet(each.tag & 0xff)
    dump.octet(each.tag >> 8)
    dump.octet(each.flags)
    const parts = childrenAt(each.octets, each.start)
    const body = childrenAt(each.octets, parts[3])
    for (let i = 0; i < 3; ++i) element(dump, each.octets, parts[i])
    // What the reader found must be what the accessors find.
    const fields = smlBodyAt(each.tag) < 0 ? [body[1]] : childrenAt(each.octets, body[1])
    if (fields.length !== each.fields.length) fail(Code.BadArgument, body[1], "the same fields", "others")
    for (let i = 0; i < fields.length; ++i)
        if (fields[i] !== each.fields[i]) fail(Code.BadArgument, body[1], "the same fields", "others")
    element(dump, each.octets, body[1])
}

function element(dump: Dump, octets: Buffer, at: number): void {
    const head = octets[at]
    const kind = head & 0x70
    if (isAbsent(octets, at)) dump.octet(0xff)
    else if (kind === 0x70) {
        const children = childrenAt(octets, at)
        dump.octet(kind)
        dump.octet(children.length & 0xff)
        dump.octet(children.length >> 8)
        for (let i = 0; i < children.length; ++i) element(dump, octets, children[i])
    } else {
        const value = octetsAt(octets, at)
        if (kind === 0) {
            dump.octet(0)
            dump.octet(value.length & 0xff)
            dump.octet(value.length >> 8)
        } else if (kind === 0x40) dump.octet(kind)
        else {
            dump.octet(kind + value.length)
            let number = 0
            try {
                number = integerAt(octets, at)
            } catch {
                number = beyond
            }
            dump.double(number)
        }
        dump.raw(value)
    }
}

function stream(request: Buffer, tolerant: boolean): Buffer {
    const dump = new Dump()
    const event = (kind: number, at: number, what: number) => {
        dump.octet(kind)
        dump.word(at)
        dump.word(what)
    }
    const receiver = new SmlReceiver(
        request.getAt(4, "u16"),
        tolerant,
        (raw, _crc, at) => event(0, at, raw.length),
        (code, at) => event(1, at, code),
    )
    const length = request.getAt(2, "u16")
    let from = 6
    while (from < request.length) {
        const piece = cut(request, from, Math.min(length, request.length - from))
        receiver.feed(piece)
        from += piece.length
        platform().yieldNow()
    }
    receiver.timeout()
    event(2, receiver.files, receiver.junk)
    return cut(dump.octets, 0, dump.at)
}
