import { afterEach, describe, expect, it, vi } from "vitest"
import { PlombError } from "../../firmware/core/errors"
import { checkMbusFrame, MbusReceiver, mbusShortFrame } from "../../firmware/core/mbus-frame"
import { MbusRecords } from "../../firmware/core/mbus-records"
import {
    checkFresh,
    type MbusTelegram,
    openWired,
    openWireless,
    PROOF_CIPHER,
    PROOF_MAC,
    PROOF_NONE,
} from "../../firmware/core/mbus-telegram"
import { crcEn13757, WmbusReceiver, wmbusUnframe } from "../../firmware/core/wmbus-frame"
import {
    fixedFrame,
    linkEncrypted,
    meterKey,
    mode5,
    mode7,
    sampleRecords,
    wiredFrame,
    wirelessFrame,
} from "../../tools/campaign/mbus-seeds.ts"
import { UsageError } from "../../tools/cli/usage.ts"
import { run } from "../../tools/decode/command.ts"
import { decodeWired } from "../../tools/decode/mbus.ts"
import { codeThrown } from "../helpers/errors.ts"

const payload = Buffer.from(sampleRecords.slice(0, 3).join(""), "hex")
const another = Buffer.alloc(16, 0x55)
const open = (content: Buffer, key: Buffer | undefined = meterKey) => openWireless(wirelessFrame(content, 0), key)

/** Values of the records. */
function values(telegram: MbusTelegram): number[] {
    const records = new MbusRecords(telegram.octets, telegram.at, telegram.end)
    const found: number[] = []
    while (records.next()) found.push(records.value)
    return found
}

/** Runs `action` on every octet string that differs from `octets` in one bit or is cut short. */
function damages(octets: Buffer, action: (damaged: Buffer) => void): void {
    for (let at = 0; at < octets.length; ++at) {
        action(octets.subarray(0, at))
        for (let bit = 0; bit < 8; ++bit) {
            const copy = Buffer.from(octets)
            copy[at] ^= 1 << bit
            action(copy)
        }
    }
}

const protectedKinds: [string, Buffer, number][] = [
    ["mode 5", mode5(payload, 9), PROOF_CIPHER],
    ["mode 7", mode7(payload, 77), PROOF_MAC],
    ["the extended link layer", linkEncrypted(payload, 1000), PROOF_CIPHER],
]

describe("security of a telegram", () => {
    for (const [name, content, proof] of protectedKinds) {
        it(`${name}: the right key opens, another is refused, none is refused, and each has its own code`, () => {
            const telegram = open(content)
            expect([telegram.proof, values(telegram)]).toEqual([proof, [2850427, 0, 0]])
            expect(codeThrown(() => open(content, another))).toBe("MbusWrongKey")
            expect(codeThrown(() => openWireless(wirelessFrame(content, 0), undefined))).toBe("MbusNoKey")
        })
    }

    it("what is taken as it is proves nothing, and the CRC of the extended link layer must hold even so", () => {
        const [five, seven, link] = protectedKinds.map(([, content]) => content)
        for (const content of [five, seven]) expect(open(content, Buffer.alloc(0)).proof).toBe(PROOF_NONE)
        expect(codeThrown(() => open(link, Buffer.alloc(0)))).toBe("MbusChecksum")
    })

    it("mode 7: no bit of what the MAC covers can change without being noticed, and a change is not taken for a wrong key", () => {
        const content = mode7(payload, 77)
        const held: number[][] = []
        for (let at = 3; at < content.length; ++at)
            for (let bit = 0; bit < 8; ++bit) {
                const copy = Buffer.from(content)
                copy[at] ^= 1 << bit
                try {
                    if (open(copy).proof !== PROOF_NONE) held.push([at, bit])
                } catch (error) {
                    expect(error).toBeInstanceOf(PlombError)
                }
            }
        // The MAC does not cover the fragmentation control field, which has two reserved bits.
        expect(held).toEqual([
            [6, 0],
            [6, 7],
        ])
        const last = Buffer.from(content)
        last[last.length - 1] ^= 1
        expect(codeThrown(() => open(last))).toBe("MbusMac")
    })

    it("what says that it is not protected proves nothing, whatever the key", () => {
        const plain = Buffer.concat([Buffer.from("7a2a000000", "hex"), payload])
        expect(open(plain).proof).toBe(PROOF_NONE)
        expect(open(Buffer.concat([Buffer.from("78", "hex"), payload])).proof).toBe(PROOF_NONE)
    })

    it("what a converter has decrypted opens without a key and proves nothing; with a key it is refused", () => {
        const plain = Buffer.concat([Buffer.from("7a2a002005", "hex"), Buffer.alloc(32, 0x2f)])
        expect(openWireless(wirelessFrame(plain, 0), undefined).proof).toBe(PROOF_NONE)
        expect(codeThrown(() => open(plain))).toBe("MbusWrongKey")
    })

    it("other modes, key derivations and kinds of MAC are not supported, which is no wrong key", () => {
        for (const mode of [1, 2, 3, 4, 6, 8, 9, 10, 13, 30]) {
            const content = Buffer.from([0x7a, 1, 0, 0x10, mode, ...Buffer.alloc(16)])
            expect(codeThrown(() => open(content))).toBe("MbusMode")
        }
        const gmac = mode7(payload, 1)
        gmac[7] = 0x28
        expect(codeThrown(() => open(gmac))).toBe("MbusMode")
        const fragment = mode7(payload, 1)
        fragment[6] |= 0x40
        expect(codeThrown(() => open(fragment))).toBe("MbusFragment")
    })

    it("a counter must rise; where there is none, the access number must go on", () => {
        const counted = open(mode7(payload, 77))
        expect(counted.counter).toBe(77)
        checkFresh(counted, -1)
        checkFresh(counted, 76)
        for (const last of [77, 78, 4e9]) expect(codeThrown(() => checkFresh(counted, last))).toBe("MbusReplayed")
        const short = open(mode5(payload, 2))
        for (const last of [1, 255, 131]) checkFresh(short, last)
        for (const last of [2, 3, 130]) expect(codeThrown(() => checkFresh(short, last))).toBe("MbusReplayed")
    })

    it("any damage gives a value or the typed error, and never more proof than the whole telegram has", () => {
        for (const [, content, proof] of protectedKinds)
            damages(wirelessFrame(content, 0), damaged => {
                try {
                    const telegram = openWireless(damaged, meterKey)
                    expect(telegram.proof).toBeLessThanOrEqual(proof)
                    values(telegram)
                } catch (error) {
                    expect(error).toBeInstanceOf(PlombError)
                }
            })
    })
})

describe("frames", () => {
    it("CRC of EN 13757: the check value of its catalogue entry", () => {
        expect(crcEn13757(Buffer.from("123456789"), 0, 9)).toBe(0xc2b7)
    })

    it("no bit of a frame with checksum or CRCs can change without being noticed", () => {
        damages(wiredFrame(payload), damaged => {
            expect(codeThrown(() => checkMbusFrame(damaged))).toMatch(/MbusFrame|MbusChecksum/)
        })
        for (const format of [1, 2])
            for (const content of [mode5(payload, 1), Buffer.alloc(120, 0x78), Buffer.alloc(200, 0x78)])
                damages(wirelessFrame(content, format), damaged => {
                    expect(codeThrown(() => wmbusUnframe(damaged, format))).toMatch(/MbusFrame|MbusChecksum/)
                })
    })

    it("formats A and B carry any length and give the telegram without CRCs", () => {
        for (let length = 1; length < 230; ++length) {
            const content = Buffer.alloc(length, length)
            for (const format of [1, 2])
                expect(wmbusUnframe(wirelessFrame(content, format), format).equals(wirelessFrame(content, 0))).toBe(
                    true,
                )
        }
    })

    it("wired frames are found in any cut between noise, and nothing whole is lost behind a broken one", () => {
        const good = [wiredFrame(payload), mbusShortFrame(0x5b, 1), Buffer.of(0xe5), fixedFrame()]
        const broken = wiredFrame(payload)
        broken[20] ^= 1
        const line = Buffer.concat([
            Buffer.of(0x68, 0x00, 0xff),
            good[0],
            broken,
            good[1],
            good[2],
            good[3],
            Buffer.of(0x68),
        ])
        for (const piece of [1, 3, 50, 1000]) {
            const frames: string[] = []
            const receiver = new MbusReceiver(frame => frames.push(frame.toString("hex")))
            for (let at = 0; at < line.length; at += piece) receiver.feed(line.subarray(at, at + piece))
            receiver.timeout()
            expect(frames).toEqual(good.map(each => each.toString("hex")))
            expect(receiver.junk).toBe(4 + broken.length)
        }
    })

    it("wireless frames are put together in any cut, and a receiver of A or B finds the next one behind noise", () => {
        for (const format of [0, 1, 2]) {
            const frames = [mode5(payload, 1), mode7(payload, 2)].map(each => wirelessFrame(each, format))
            const noise = format === 0 ? Buffer.alloc(0) : Buffer.of(0x20, 0x44)
            const line = Buffer.concat([frames[0], noise, frames[1]])
            for (const piece of [1, 7, 300]) {
                const found: string[] = []
                const receiver = new WmbusReceiver(format, telegram => found.push(telegram.toString("hex")))
                for (let at = 0; at < line.length; at += piece) receiver.feed(line.subarray(at, at + piece))
                receiver.timeout()
                expect(found).toEqual(frames.map(each => wmbusUnframe(each, format).toString("hex")))
            }
        }
    })

    it("the fixed structure of two counters, the second of them historic", () => {
        const [telegram] = decodeWired(fixedFrame(), undefined).telegrams
        expect(telegram.meter).toMatchObject({ id: "12345678", deviceType: 7 })
        expect(telegram.records?.map(({ value, unit, storage }) => [value, unit, storage])).toEqual([
            ["0.001", "m3", 0],
            ["0.135", "m3", 1],
        ])
    })

    it("a wired frame with a header of mode 5 opens with its key", () => {
        expect(openWired(wiredFrame(payload), undefined).proof).toBe(PROOF_NONE)
        expect(codeThrown(() => openWired(mbusShortFrame(0x5b, 1), undefined))).toBe("MbusFrame")
    })
})

describe("plomb decode mbus, wmbus", () => {
    afterEach(() => vi.restoreAllMocks())

    async function call(...args: string[]) {
        const out = vi.spyOn(console, "log").mockImplementation(() => {})
        const err = vi.spyOn(console, "error").mockImplementation(() => {})
        const code = await run(args)
        return { code, out: out.mock.calls.flat(), err: err.mock.calls.flat() }
    }

    it("gives JSON, or a table, with exact values, OBIS codes and what was proved; the frame format is found out", async () => {
        for (const format of [0, 1, 2]) {
            const hex = wirelessFrame(mode7(payload, 5), format).toString("hex")
            const { code, out } = await call("wmbus", hex, "--key", meterKey.toString("hex"))
            const { telegrams } = JSON.parse(out[0])
            expect(code).toBe(0)
            expect(telegrams[0].format).toBe(["none", "A", "B"][format])
            expect(telegrams[0].security).toEqual({ mode: 7, linkMode: 0, proof: "mac", counter: 5 })
            expect(telegrams[0].records[0]).toMatchObject({ obis: "7-0:3.0.0*255", value: "28504.27", unit: "m3" })
            vi.restoreAllMocks()
        }
        const { out } = await call("mbus", wiredFrame(payload).toString("hex"), "--table")
        expect(out[0]).toContain("ELS 12345678")
        expect(out[1]).toContain("28504.27 m3")
    })

    it("exit code 1 and one line for a key that does not open it, JSON tells it too; wrong words are a usage error", async () => {
        const hex = wirelessFrame(mode5(payload, 5), 0).toString("hex")
        const { code, out, err } = await call("wmbus", hex, "--key", another.toString("hex"), "--table")
        expect([code, out, err.length]).toEqual([1, [], 1])
        expect(err[0]).toContain("MbusWrongKey")
        vi.restoreAllMocks()
        const told = await call("wmbus", hex, "--key", another.toString("hex"))
        expect([told.code, told.out.length, told.err]).toEqual([1, 1, err])
        const { telegrams } = JSON.parse(told.out[0])
        expect(telegrams[0].link).toMatchObject({ manufacturer: "ELS", id: "12345678" })
        expect(telegrams[0].error).toMatchObject({ cause: "wrong key", name: "MbusWrongKey" })
        for (const args of [
            ["wmbus", hex, "--key", "12"],
            ["wmbus", hex, "--format", "C"],
            ["mbus"],
            ["mbus", hex, "--format", "A"],
            ["mbus", hex, "--table", "--json"],
        ])
            await expect(call(...args)).rejects.toBeInstanceOf(UsageError)
    })
})
