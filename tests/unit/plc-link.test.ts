import { readFileSync } from "node:fs"
import { describe, expect, test } from "vitest"
import { Code, PlombError } from "../../firmware/core/errors"
import { bodyOf, frameOf, longestPayload, PlcReceiver } from "../../firmware/core/plc-frame"
import { PlcLink, PlcWay, plcLinkSize } from "../../firmware/core/plc-link"
import { nodeCcm } from "../../tools/node/ccm"
import { hasVectors, vectorPath } from "../extras"
import { ccm } from "../helpers/ccm"
import { Cut, MemoryStore } from "../helpers/memory-store"
import { seeded } from "../helpers/random"

const h = (text: string): Buffer => Buffer.from(text.replace(/ /g, ""), "hex")
const key1 = seeded(1).octets(32)
const key2 = seeded(2).octets(32)

const newStore = () => new MemoryStore(plcLinkSize)
const mucOf = (store = newStore(), key = key1, peer = 2) => {
    const link = new PlcLink(store, 0, nodeCcm, PlcWay.FromMuc, 1, peer)
    link.give(key)
    return link
}
const displayOf = (store = newStore(), key = key1, own = 2) => {
    const link = new PlcLink(store, 0, nodeCcm, PlcWay.ToMuc, own, 1)
    link.give(key)
    return link
}
/** What stood between the delimiters. */
const inside = (frame: Buffer) => Buffer.from(frame.subarray(1, -1))
/** The code with which `link` refuses, or 0. */
function codeOf(work: () => unknown): number {
    try {
        work()
        return 0
    } catch (error) {
        if (!(error instanceof PlombError)) throw error
        return error.code
    }
}
const outcome = (link: PlcLink, frame: Buffer) => codeOf(() => link.open(inside(frame)))
const counterOf = (frame: Buffer) => Number(bodyOf(inside(frame)).readBigUInt64LE(6))

describe("the cipher", () => {
    test("the oracle gives what RFC 3610 prints for packets 1 and 2", () => {
        const key = h("c0c1c2c3c4c5c6c7c8c9cacbcccdcecf")
        const aad = h("0001020304050607")
        expect(
            ccm(key, h("00000003020100a0a1a2a3a4a5"), aad, h("08090a0b0c0d0e0f101112131415161718191a1b1c1d1e"), 8),
        ).toEqual(h("588c979a61c663d2f066d0c2c0f989806d5f6b61dac38417e8d12cfdf926e0"))
        expect(
            ccm(key, h("00000004030201a0a1a2a3a4a5"), aad, h("08090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"), 8),
        ).toEqual(h("72c91a36e135f8cf291ca894085c87e3cc15c439c9e43a3ba091d56e10400916"))
    })

    test("the oracle gives what SP 800-38C prints in examples 1 and 2", () => {
        const key = h("404142434445464748494a4b4c4d4e4f")
        expect(ccm(key, h("10111213141516"), h("0001020304050607"), h("20212223"), 4)).toEqual(h("7162015b4dac255d"))
        expect(
            ccm(
                key,
                h("1011121314151617"),
                h("000102030405060708090a0b0c0d0e0f"),
                h("202122232425262728292a2b2c2d2e2f"),
                6,
            ),
        ).toEqual(h("d2a1f0e051ea5f62081a7792073d593d1fc64fbfaccd"))
    })

    test("node:crypto and the oracle seal alike, and what was sealed opens", () => {
        const chance = seeded(7)
        for (let i = 0; i < 200; ++i) {
            const [key, nonce] = [chance.octets(32), chance.octets(13)]
            const plain = chance.octets(chance.below(longestPayload + 1))
            const sealed = nodeCcm.seal(key, nonce, plain)
            expect(sealed).toEqual(ccm(key, nonce, Buffer.alloc(0), plain, 8))
            expect(nodeCcm.open(key, nonce, sealed)).toEqual(plain)
            sealed[chance.below(sealed.length)] ^= 1 << chance.below(8)
            expect(nodeCcm.open(key, nonce, sealed)).toBeUndefined()
        }
    })

    const file = "wycheproof/aes_ccm_test.json"
    test.skipIf(!hasVectors(file))(
        "holds for Wycheproof's cases of 256-bit keys, 13-octet nonces, no associated data",
        () => {
            const json = JSON.parse(readFileSync(vectorPath(file), "utf8"))
            const groups = json.testGroups.filter((g: any) => g.keySize === 256 && g.ivSize === 104)
            const cases = groups.flatMap((g: any) => g.tests.map((t: any) => ({ ...t, tagSize: g.tagSize / 8 })))
            expect(cases.length).toBe(3)
            for (const each of cases) {
                expect(each.aad).toBe("")
                const sealed = ccm(h(each.key), h(each.iv), h(each.aad), h(each.msg), each.tagSize).toString("hex")
                expect(sealed === each.ct + each.tag).toBe(each.result === "valid")
            }
        },
    )
})

describe("framing", () => {
    test("any body comes back, has no 00 inside and is three octets and the CRC longer", () => {
        const chance = seeded(3)
        for (let i = 0; i < 500; ++i) {
            const body = chance.octets(22 + chance.below(longestPayload + 1))
            for (let zeros = chance.below(40); zeros > 0; --zeros) body[chance.below(body.length)] = 0
            const frame = frameOf(body)
            expect(frame.length).toBe(body.length + 5)
            expect([frame[0], frame.at(-1), inside(frame).includes(0)]).toEqual([0, 0, false])
            expect(bodyOf(inside(frame))).toEqual(body)
        }
    })

    test("any octets are a body or one of two errors", () => {
        const chance = seeded(4)
        const codes = new Set<number>()
        for (let i = 0; i < 20_000; ++i) codes.add(codeOf(() => bodyOf(chance.octets(chance.below(200)))))
        expect([...codes].sort()).toEqual([Code.PlcForm, Code.PlcDamaged])
    })

    test("after noise of any kind the second whole frame is heard at the latest", () => {
        const chance = seeded(5)
        for (let i = 0; i < 200; ++i) {
            const receiver = new PlcReceiver()
            const frame = frameOf(chance.octets(60))
            const line = Buffer.concat([chance.octets(chance.below(400)), frame, frame])
            const heard: Buffer[] = []
            for (let at = 0; at < line.length; ) {
                const piece = 1 + chance.below(30)
                heard.push(...receiver.take(Buffer.from(line.subarray(at, at + piece))))
                at += piece
            }
            expect(heard.at(-1)).toEqual(inside(frame))
            expect(heard.filter(each => each.equals(inside(frame))).length).toBeGreaterThanOrEqual(1)
        }
    })
})

describe("a link", () => {
    test("carries payloads of every length both ways, each frame as the standard's CCM seals it", () => {
        const [muc, display] = [mucOf(), displayOf()]
        for (let length = 0; length <= longestPayload; ++length) {
            const payload = seeded(length).octets(length)
            for (const [from, to] of [
                [muc, display],
                [display, muc],
            ]) {
                const frame = from.seal(payload)
                const body = bodyOf(inside(frame))
                expect(body.subarray(14)).toEqual(ccm(key1, body.subarray(1, 14), Buffer.alloc(0), payload, 8))
                expect(to.open(inside(frame))).toEqual(payload)
            }
        }
        expect(codeOf(() => muc.seal(Buffer.alloc(longestPayload + 1)))).toBe(Code.BadArgument)
    })

    test("wrong key, damage, replay, an unknown peer and one that comes late are five different results", () => {
        const [muc, display] = [mucOf(), displayOf()]
        const [first, second, third] = [muc.seal(h("01")), muc.seal(h("02")), muc.seal(h("03"))]
        const damaged = Buffer.from(first)
        damaged[20] ^= 0x10
        expect(outcome(display, damaged)).toBe(Code.PlcDamaged)
        expect(outcome(display, mucOf(newStore(), key2).seal(h("01")))).toBe(Code.PlcWrongKey)
        expect(outcome(display, mucOf(newStore(), key1, 3).seal(h("01")))).toBe(Code.PlcUnknownPeer)
        expect(outcome(display, displayOf().seal(h("01")))).toBe(Code.PlcUnknownPeer)
        expect(outcome(display, third)).toBe(0)
        expect(outcome(display, third)).toBe(Code.PlcReplayed)
        expect(outcome(display, first)).toBe(Code.PlcLate)
        expect(outcome(display, second)).toBe(Code.PlcLate)
        for (let i = 0; i < 40; ++i) expect(outcome(display, muc.seal(h("00")))).toBe(0)
        expect(outcome(display, first)).toBe(Code.PlcReplayed)
    })

    test("whatever bit of a proved frame is changed and its CRC mended, nothing is taken", () => {
        const [muc, display] = [mucOf(), displayOf()]
        const body = bodyOf(inside(muc.seal(h("00112233"))))
        const codes = new Set<number>()
        for (let bit = 0; bit < 8 * body.length; ++bit) {
            const other = Buffer.from(body)
            other[bit >> 3] ^= 1 << (bit & 7)
            codes.add(outcome(display, frameOf(other)))
        }
        expect([...codes].sort()).toEqual([Code.PlcForm, Code.PlcUnknownPeer, Code.PlcWrongKey])
        expect(outcome(display, frameOf(body))).toBe(0)
    })

    test("10,000 mutated frames: the payload that was sent, or one of the errors of a link", () => {
        const [muc, chance] = [mucOf(), seeded(9)]
        const display = displayOf()
        const results = new Map<number, number>()
        for (let i = 0; i < 10_000; ++i) {
            const payload = chance.octets(chance.below(50))
            const frame = inside(muc.seal(payload))
            const raw = [...frame]
            for (let changes = chance.below(4); changes > 0; --changes) {
                const at = chance.below(raw.length)
                const kind = chance.below(3)
                if (kind === 0) raw[at] ^= 1 << chance.below(8)
                else if (kind === 1) raw.splice(at, 1)
                else raw.splice(at, 0, chance.below(256))
            }
            const came = Buffer.from(raw)
            const code = codeOf(() => expect(display.open(came)).toEqual(payload))
            results.set(code, (results.get(code) ?? 0) + 1)
        }
        const allowed = [0, Code.PlcForm, Code.PlcDamaged, Code.PlcUnknownPeer, Code.PlcWrongKey]
        expect([...results.keys()].filter(code => !allowed.includes(code))).toEqual([])
        expect(results.get(0)).toBeGreaterThan(2_000)
        expect(results.get(Code.PlcDamaged)).toBeGreaterThan(6_000)
    })

    test("without a key nothing is sealed and nothing opens", () => {
        const link = new PlcLink(newStore(), 0, nodeCcm, PlcWay.ToMuc, 2, 1)
        expect(codeOf(() => link.seal(h("00")))).toBe(Code.KeyAbsent)
        expect(outcome(link, mucOf().seal(h("00")))).toBe(Code.PlcWrongKey)
        expect(codeOf(() => link.give(Buffer.alloc(32)))).toBe(Code.BadArgument)
        expect(codeOf(() => link.give(Buffer.alloc(16, 1)))).toBe(Code.BadArgument)
    })

    test("an end of the counter ends the link rather than begin anew", () => {
        const muc = mucOf()
        muc.raise(0x10000000000000 - 64)
        for (let i = 0; i < 64; ++i) muc.seal(h("00"))
        expect(codeOf(() => muc.seal(h("00")))).toBe(Code.OutOfRange)
    })
})

describe("a power cut", () => {
    /** Runs sender and receiver until power goes after `cut` octets, over and over; every counter sent, every counter taken. */
    function lives(cut: number) {
        const [senderStore, takerStore] = [newStore(), newStore()]
        const [sent, taken]: number[][] = [[], []]
        const recorded: Buffer[] = []
        mucOf(senderStore)
        displayOf(takerStore)
        for (let life = 0; life < 4; ++life) {
            senderStore.cutAfter = takerStore.cutAfter = life < 3 ? cut : Number.POSITIVE_INFINITY
            let [muc, display]: (PlcLink | undefined)[] = []
            try {
                muc = new PlcLink(senderStore, 0, nodeCcm, PlcWay.FromMuc, 1, 2)
                display = new PlcLink(takerStore, 0, nodeCcm, PlcWay.ToMuc, 2, 1)
                muc.raise(display.floor())
                for (let i = 0; i < 80; ++i) {
                    const frame = muc.seal(h("00"))
                    sent.push(counterOf(frame))
                    recorded.push(frame)
                    display.open(inside(frame))
                    taken.push(counterOf(frame))
                }
            } catch (error) {
                if (!(error instanceof Cut)) throw error
            }
        }
        senderStore.cutAfter = takerStore.cutAfter = Number.POSITIVE_INFINITY
        const last = new PlcLink(takerStore, 0, nodeCcm, PlcWay.ToMuc, 2, 1)
        // What a cut kept the receiver from taking may be taken later; what it took may not.
        const again = recorded.filter(each => taken.includes(counterOf(each)) && outcome(last, each) === 0)
        return { sent, taken, again }
    }

    test("at any octet that is written: no counter is sent twice, none taken twice, and it goes on", () => {
        for (let cut = 0; cut <= 300; ++cut) {
            const { sent, taken, again } = lives(cut)
            expect(new Set(sent).size, `cut ${cut}`).toBe(sent.length)
            expect(new Set(taken).size, `cut ${cut}`).toBe(taken.length)
            expect(again, `cut ${cut}`).toEqual([])
            expect(taken.length).toBeGreaterThanOrEqual(80)
        }
    })

    test("costs a receiver that can not ask at most 16 frames", () => {
        const [muc, store] = [mucOf(), newStore()]
        const display = displayOf(store)
        for (let i = 0; i < 21; ++i) display.open(inside(muc.seal(h("00"))))
        const after = new PlcLink(store, 0, nodeCcm, PlcWay.ToMuc, 2, 1)
        let lost = 0
        while (outcome(after, muc.seal(h("00"))) === Code.PlcReplayed) ++lost
        expect(lost).toBeLessThanOrEqual(16)
        expect(lost).toBeGreaterThan(0)
    })

    test("costs nothing where the peer is told the floor", () => {
        const [muc, store] = [mucOf(), newStore()]
        const display = displayOf(store)
        for (let i = 0; i < 21; ++i) display.open(inside(muc.seal(h("00"))))
        const after = new PlcLink(store, 0, nodeCcm, PlcWay.ToMuc, 2, 1)
        muc.raise(after.floor())
        expect(outcome(after, muc.seal(h("00")))).toBe(0)
    })

    test("a thousand frames cost 16 writes of the sender and 63 of the receiver", () => {
        const [muc, display] = [new MemoryStore(plcLinkSize), new MemoryStore(plcLinkSize)]
        const [from, to] = [mucOf(muc), displayOf(display)]
        for (let i = 0; i < 1000; ++i) to.open(inside(from.seal(h("00"))))
        const record = (plcLinkSize - 1) / 2 + 1
        const given = 2 * record - 1
        expect([muc.written - given, display.written - given]).toEqual([16 * record, 63 * record])
    })

    test("leaves a store that was damaged refused, not begun anew", () => {
        const store = newStore()
        const muc = mucOf(store)
        for (let i = 0; i < 200; ++i) muc.seal(h("00"))
        store.cells.fill(0x77, 1)
        expect(codeOf(() => new PlcLink(store, 0, nodeCcm, PlcWay.FromMuc, 1, 2))).toBe(Code.RecordDamaged)
    })

    test("a write that fails is made again before anything is sent or taken", () => {
        const store = newStore()
        const muc = mucOf(store)
        store.cutAfter = 3
        expect(() => muc.seal(h("00"))).toThrow(Cut)
        store.cutAfter = Number.POSITIVE_INFINITY
        const counter = counterOf(muc.seal(h("00")))
        const after = new PlcLink(store, 0, nodeCcm, PlcWay.FromMuc, 1, 2)
        expect(counterOf(after.seal(h("00")))).toBeGreaterThan(counter)
    })
})

describe("a change of key", () => {
    const talk = (from: PlcLink, to: PlcLink, underNew = false) => outcome(to, from.seal(h("00"), underNew))

    test("whichever end has it first, nothing is lost, and the old key ends with the first frame under the new one", () => {
        for (const mucFirst of [true, false]) {
            const [mucStore, displayStore] = [newStore(), newStore()]
            const [muc, display] = [mucOf(mucStore), displayOf(displayStore)]
            const [first, second] = mucFirst ? [muc, display] : [display, muc]
            first.give(key2)
            expect([first.keys(), second.keys()]).toEqual([2, 1])
            expect([talk(muc, display), talk(display, muc)]).toEqual([0, 0])
            second.give(key2)
            expect([talk(muc, display), talk(display, muc)]).toEqual([0, 0])
            const old = muc.seal(h("00"))
            // The display asks under both in turn.
            expect(talk(display, muc, true)).toBe(0)
            expect([muc.keys(), display.keys()]).toEqual([1, 2])
            expect(outcome(display, old)).toBe(0)
            expect(talk(muc, display)).toBe(0)
            expect([muc.keys(), display.keys()]).toEqual([1, 1])
            expect(outcome(display, old)).toBe(Code.PlcWrongKey)
            expect(talk(display, muc)).toBe(0)
            for (const store of [mucStore, displayStore]) expect(store.cells.includes(key1)).toBe(false)
        }
    })

    test("a key that is held is not taken again, at whatever start", () => {
        const store = newStore()
        mucOf(store)
        const written = store.written
        for (let i = 0; i < 3; ++i) mucOf(store)
        expect(store.written).toBe(written)
    })

    test("a power cut at any octet of it leaves both ends able to talk", () => {
        for (let cut = 0; cut < 700; cut += 3)
            for (const which of [0, 1]) {
                const stores = [newStore(), newStore()]
                let muc = mucOf(stores[0])
                let display = displayOf(stores[1])
                stores[which].cutAfter = cut
                try {
                    muc.give(key2)
                    display.give(key2)
                    for (let i = 0; i < 4; ++i) {
                        outcome(muc, display.seal(h("00"), (i & 1) > 0))
                        outcome(display, muc.seal(h("00")))
                    }
                } catch (error) {
                    if (!(error instanceof Cut)) throw error
                }
                stores[which].cutAfter = Number.POSITIVE_INFINITY
                muc = mucOf(stores[0], key2)
                display = displayOf(stores[1], key2)
                let heard = false
                for (let i = 0; i < 4; ++i) {
                    muc.raise(Math.max(display.floor(), display.floor(true)))
                    display.raise(Math.max(muc.floor(), muc.floor(true)))
                    outcome(muc, display.seal(h("00"), (i & 1) > 0))
                    heard = outcome(display, muc.seal(h("00"))) === 0
                }
                expect([cut, which, heard, muc.keys(), display.keys()]).toEqual([cut, which, true, 1, 1])
                for (const store of stores) expect(store.cells.includes(key1)).toBe(false)
            }
    })
})
