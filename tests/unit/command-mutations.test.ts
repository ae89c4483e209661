import { beforeAll, expect, it } from "vitest"
import { crc16 } from "../../firmware/core/crc16"
import { PlombError } from "../../firmware/core/errors"
import { accessPath, labelPath } from "../../firmware/core/sml-parameter"
import { noon } from "../helpers/certificates.ts"
import { ask, commandDevice, judgeByNode, readReply } from "../helpers/command-desk.ts"
import { commandParties, heldByMeter, meterId, readCurrent, setParameter, signerOf } from "../helpers/commands.ts"
import { MemoryStore } from "../helpers/memory-store.ts"
import { numbers } from "../helpers/random-commands.ts"
import { logbookAt, storeSize } from "../vm/device/command-device.ts"

const mutations = 20_000
let parties: Awaited<ReturnType<typeof commandParties>>
beforeAll(async () => {
    judgeByNode(false)
    parties = await commandParties()
})

/** One to four octets changed, cut out, put in or doubled; every second time the file's CRC is made to fit, every fourth all that can be. */
function mutate(file: Buffer, below: (most: number) => number): Buffer {
    let octets = Buffer.from(file)
    for (let i = below(4); i >= 0; --i) {
        const at = 8 + below(octets.length - 16)
        const kind = below(8)
        if (kind < 5) octets[at] ^= 1 << below(8)
        else if (kind === 5) octets[at] = below(256)
        else if (kind === 6) octets = Buffer.concat([octets.subarray(0, at), octets.subarray(at + 1 + below(4))])
        else octets = Buffer.concat([octets.subarray(0, at), octets.subarray(at - below(8), at), octets.subarray(at)])
    }
    if (below(2) === 0 || octets.length < 16) return octets
    if (below(2) === 0) fixMessages(octets)
    octets.writeUInt16LE(crc16(octets, 0, octets.length - 2, 0xffff) ^ 0xffff, octets.length - 2)
    return octets
}

/** CRCs of all messages that still look like one. */
function fixMessages(octets: Buffer): void {
    let start = 8
    for (let at = 8; at + 4 < octets.length; ++at)
        if (octets[at] === 0x63 && octets[at + 3] === 0 && (octets[at + 4] === 0x76 || octets[at + 4] <= 0x1b)) {
            octets.writeUInt16LE(crc16(octets, start, at, 0xffff) ^ 0xffff, at + 1)
            start = at + 4
        }
}

it(`${mutations} damaged command files: each is refused with a typed error, and nothing has changed`, () => {
    const below = numbers(7)
    const nowSeconds = () => noon
    const signer = signerOf(parties.provider, [], { nowSeconds })
    const operator = signerOf(parties.operator, [], { nowSeconds })
    const store = new MemoryStore(storeSize)
    const device = commandDevice(store)
    device.answer(ask.hold(heldByMeter(parties)))
    device.answer(ask.time(noon))
    const table = Buffer.from(device.table.octets())
    table.writeUInt32BE(2)
    // A table with rights for all, so that one that were let in showed.
    const files = [
        signer.command(meterId, [setParameter(accessPath, table), setParameter(labelPath, Buffer.from("mutated"))]),
        signer.command(meterId, [setParameter(labelPath, Buffer.from("mutated"))], { withCertificate: false }),
        operator.command(meterId, [readCurrent(), setParameter(labelPath, Buffer.from("mutated"))]),
    ]
    const before = Buffer.from(store.cells.subarray(0, logbookAt))
    const codes = new Map<string, number>()
    for (let i = 0; i < mutations; ++i) {
        const original = files[i % files.length]
        const file = mutate(original, below)
        if (file.equals(original)) continue
        let code = ""
        try {
            const reply = readReply(device.answer(ask.command(file)), 1)
            // A file whose signature was made absent is nobody's; what it asks for is refused.
            code = reply.file === "done" ? (reply.requests[0] ?? "nothing asked") : reply.file
        } catch (error) {
            if (error instanceof PlombError) throw error
            throw new Error(`mutation ${i}: ${(error as Error).stack}`)
        }
        codes.set(code, (codes.get(code) ?? 0) + 1)
        expect(code, `mutation ${i}`).not.toBe("done")
        if (!store.cells.subarray(0, logbookAt).equals(before) || device.label.length > 0)
            throw new Error(`mutation ${i} changed something: ${code}`)
    }
    console.log(
        [...codes]
            .sort(([, a], [, b]) => b - a)
            .map(([code, times]) => `${code} ${times}`)
            .join(", "),
    )
    for (const code of [
        "SmlFileCrc",
        "SmlMessageCrc",
        "CommandSignature",
        "CommandForm",
        "CommandTarget",
        "SignerUnknown",
    ])
        expect(codes.get(code) ?? 0, code).toBeGreaterThan(0)
    // The originals still count.
    for (const file of files) expect(readReply(device.answer(ask.command(file)), 1).file).toBe("done")
}, 120_000)
