import { beforeEach, describe, expect, test } from "vitest"
import { Code, type PlombError } from "../../firmware/core/errors"
import { readSignedList, signedListRes } from "../../firmware/core/signed-list"
import { closeRes, openRes } from "../../firmware/core/sml-messages"
import { readFile } from "../../firmware/core/sml-read"
import { writeFile } from "../../firmware/core/sml-transport"
import type { SmlValue } from "../../firmware/core/sml-write"
import { produceIdentity } from "../../firmware/meter/calibration"
import { Step } from "../../firmware/meter/identity"
import { masterListSlotSize, masterListSlots } from "../../firmware/meter/layout"
import { SubMeters } from "../../firmware/meter/sub-meters"
import { MbusMaster } from "../../hal/mbus-master"
import { Sc16is752 } from "../../hal/sc16is752"
import { coldWater, gas, sealedContent, volumeContent, volumeIdentification } from "../../tools/chips/mbus-content"
import { MbusLine, type MbusSlaveOptions } from "../../tools/chips/mbus-line"
import { Rs485Wire } from "../../tools/chips/rs485-wire"
import { Sc16is752 as Sc16Model } from "../../tools/chips/sc16is752"
import { keyFromPoint } from "../../tools/verify/curves"
import type { Verdict } from "../../tools/verify/findings"
import { judge } from "../../tools/verify/judge"
import { Cut } from "../helpers/memory-store"
import { CutStore, Device } from "../helpers/meter-device"
import { ModelBus } from "../helpers/model-bus"
import { ModelTime } from "../helpers/model-time"
import { seeded } from "../helpers/random"

const periodMs = 15 * 60_000
/** Before anybody receives a list. */
const noon = Date.UTC(2026, 10, 22, 12) / 1000

class Bench {
    readonly time = new ModelTime()
    readonly line: MbusLine
    readonly master: MbusMaster
    store = new CutStore()
    device: Device
    subMeters: SubMeters

    constructor(slaves: MbusSlaveOptions[]) {
        this.time.install()
        const wire = new Rs485Wire({ clock: this.time })
        const model = new Sc16Model({ clock: this.time })
        model.channels[1].connect(wire)
        const part = new Sc16is752(new ModelBus(this.time, [model], 400_000), 0x4d, 14745600)
        part.start()
        this.master = new MbusMaster(part.port(1), 9600)
        this.master.open()
        this.line = new MbusLine(wire, 9600, slaves)
        this.device = new Device(this.store)
        const { identity } = this.device.meter
        produceIdentity(identity, 1, Buffer.from("m"))
        this.device.custody.configure()
        this.device.custody.generateKey()
        this.device.custody.seal()
        identity.reach(Step.Calibrated)
        this.device.meter.time.set(noon)
        this.device.meter.tick()
        this.subMeters = this.attach()
    }

    private attach(): SubMeters {
        const subMeters = new SubMeters(this.store, this.device.meter, periodMs)
        this.device.meter.further = subMeters
        this.device.meter.issuer.keep(masterListSlots, masterListSlotSize)
        return subMeters
    }

    /** The program begins anew with what the memory holds. */
    restart(): void {
        this.store = new CutStore(Buffer.from(this.store.cells))
        this.device = new Device(this.store)
        this.device.meter.time.set(this.seconds())
        this.device.meter.tick()
        this.subMeters = this.attach()
    }

    /** The clock of the device follows that of the line. */
    seconds(): number {
        return noon + Math.floor(this.time.ms / 1000)
    }

    readAll(): void {
        this.device.clock = { utcSeconds: this.seconds(), running: true }
        this.device.meter.time.refresh()
        this.subMeters.readAll(this.master)
    }

    /** A signed list of now as it leaves the meter; `change` may spoil what is signed. */
    file(change?: (entries: SmlValue[]) => SmlValue[]): Buffer {
        const { meter } = this.device
        this.device.clock = { utcSeconds: this.seconds(), running: true }
        meter.time.refresh()
        if (change) meter.further = { entries: () => change(this.subMeters.entries()) }
        const { signed, signature } = meter.issueList()
        meter.further = this.subMeters
        const id = meter.identity.serverId()
        const open = openRes(Buffer.of(1), undefined, Buffer.of(1), id, undefined)
        const list = signedListRes(Buffer.of(2), undefined, signed, signature)
        return writeFile([open, list, closeRes(Buffer.of(3))])
    }

    /** What `plomb verify` says of a list of now, by the meter's bare key. */
    verdict(change?: (entries: SmlValue[]) => SmlValue[]): Verdict {
        const key = keyFromPoint("secp256r1", this.device.meter.custody().publicKey())
        return judge("list", this.file(change), { anchors: [], key })[0]
    }
}

function volumeMeter(primary: number, number: number, type: number, litres: () => number): MbusSlaveOptions {
    const secondary = volumeIdentification(number, type)
    return { primary, secondary, telegrams: () => [volumeContent(secondary, litres())] }
}

const gasId = "8f417856341201" + "03"
const waterId = "8f412143658701" + "07"
let litres: { gas: number; water: number }
const both = () => [
    volumeMeter(1, 12_345_678, gas, () => litres.gas),
    volumeMeter(2, 87_654_321, coldWater, () => litres.water),
]
const said = (verdict: Verdict) => [1, 2, 3, 4].map(number => verdict.reading[`meter ${number}`])
const open = (verdict: Verdict) => verdict.findings.filter(each => each.result !== "proved").map(each => each.check)

beforeEach(() => {
    litres = { gas: 1_234_567, water: 89_012 }
})

describe("a gas and a water meter in the meter's signed lists", () => {
    test("the search finds both; before they are read, a list says so", () => {
        const bench = new Bench(both())
        bench.subMeters.search(bench.master)
        expect(bench.subMeters.count()).toBe(2)
        const verdict = bench.verdict()
        expect(verdict.name).toBe("signed by the key you named")
        expect(said(verdict).slice(0, 2)).toEqual([
            `${gasId}: not read since the meter was started; never read`,
            `${waterId}: not read since the meter was started; never read`,
        ])
    })

    test("values with the telegrams they are in, proved by plomb verify and read by core", () => {
        const bench = new Bench(both())
        bench.subMeters.search(bench.master)
        bench.readAll()
        const when = new Date(bench.seconds() * 1000).toISOString()
        const verdict = bench.verdict()
        expect(verdict.name).toBe("signed by the key you named")
        expect(said(verdict).slice(0, 2)).toEqual([
            `${gasId}: 7-0:3.0.0 1234.567 m3, telegram of ${when}`,
            `${waterId}: 8-0:1.0.0 89.012 m3, telegram of ${when}`,
        ])
        expect(verdict.findings.filter(each => /meter that was read/.test(each.check))).toHaveLength(2)
        const file = readFile(bench.file(), false, 0)
        expect(readSignedList(file, file.messages[1]).fields.drawn).toBeGreaterThan(0)
    })

    test("new values come with the next reading, not before", () => {
        const bench = new Bench(both())
        bench.subMeters.search(bench.master)
        bench.readAll()
        litres.gas += 500
        expect(said(bench.verdict())[0]).toContain("1234.567 m3")
        bench.readAll()
        expect(said(bench.verdict())[0]).toContain("1235.067 m3")
    })

    test("one who dies is present for two periods, with the time of the telegram; then it is said to be silent", () => {
        const bench = new Bench(both())
        bench.subMeters.search(bench.master)
        bench.readAll()
        const when = new Date(bench.seconds() * 1000).toISOString()
        bench.line.slaves[1].dead = true
        bench.time.advance(periodMs)
        bench.readAll()
        expect(said(bench.verdict())[1]).toBe(`${waterId}: 8-0:1.0.0 89.012 m3, telegram of ${when}`)
        bench.time.advance(periodMs)
        bench.readAll()
        const verdict = bench.verdict()
        expect(said(verdict)[0]).toContain("1234.567 m3")
        expect(said(verdict)[1]).toBe(`${waterId}: does not answer; last telegram of ${when}`)
        expect(verdict.name).toBe("signed by the key you named")
        expect(open(verdict)).toContain("reading of a meter that cannot sign")
    })

    test("where nobody asks any more, nothing stays present", () => {
        const bench = new Bench(both())
        bench.subMeters.search(bench.master)
        bench.readAll()
        bench.time.advance(2 * periodMs + 1000)
        expect(said(bench.verdict())[0]).toContain("not read since the meter was started; last telegram of")
    })

    test("after a start the telegram of before is kept with its time, and is no value until the meter has been read anew", () => {
        const bench = new Bench(both())
        bench.subMeters.search(bench.master)
        bench.readAll()
        const when = new Date(bench.seconds() * 1000).toISOString()
        bench.restart()
        expect(said(bench.verdict())[0]).toBe(
            `${gasId}: not read since the meter was started; last telegram of ${when}`,
        )
        litres.gas += 1
        bench.readAll()
        expect(said(bench.verdict())[0]).toContain("1234.568 m3")
    })

    test("with a clock that is not set a telegram has the seconds index, and plomb verify says no time", () => {
        const bench = new Bench(both())
        bench.subMeters.search(bench.master)
        bench.device.clock = { utcSeconds: 0, running: false }
        bench.device.meter.time.refresh()
        bench.subMeters.readAll(bench.master)
        expect(said(bench.verdict())[0]).toBe(`${gasId}: 7-0:3.0.0 1234.567 m3, telegram at a time not known`)
    })
})

describe("lines as they are", () => {
    test("a third of the answers damaged: what is told is what a meter said, or nothing", () => {
        const bench = new Bench(both())
        bench.subMeters.search(bench.master)
        const { below } = seeded(5)
        bench.line.damage = { answers: 0.35, requests: 0.05, chance: () => below(1e9) / 1e9 }
        let present = 0
        for (let round = 0; round < 60; ++round) {
            litres.gas += 1
            bench.time.advance(periodMs)
            bench.readAll()
            const [first] = said(bench.verdict())
            const value = /7-0:3\.0\.0 (\d+\.\d+) m3/.exec(first!)?.[1]
            if (value === undefined) continue
            ++present
            // At most two periods old.
            expect([0, 1, 2].map(ago => ((litres.gas - ago) / 1000).toFixed(3))).toContain(value)
        }
        expect(bench.line.spoilt).toBeGreaterThan(30)
        expect(present).toBeGreaterThan(50)
    })

    test("two at one primary address are found by their identifications and read by selection", () => {
        const bench = new Bench([
            volumeMeter(1, 12_345_678, gas, () => litres.gas),
            volumeMeter(1, 87_654_321, coldWater, () => litres.water),
        ])
        bench.subMeters.search(bench.master)
        expect(bench.subMeters.count()).toBe(2)
        bench.readAll()
        const told = said(bench.verdict()).slice(0, 2).join(" ")
        expect(told).toContain(`${gasId}: 7-0:3.0.0 1234.567 m3`)
        expect(told).toContain(`${waterId}: 8-0:1.0.0 89.012 m3`)
    })

    test("another meter at the address of one that is known does not pass for it; the next search finds it", () => {
        const slaves = both()
        const bench = new Bench(slaves)
        bench.subMeters.search(bench.master)
        bench.readAll()
        const other = volumeIdentification(11_111_111, gas)
        slaves[0].telegrams = () => [volumeContent(other, 5)]
        slaves[0].secondary = other
        bench.time.advance(2 * periodMs + 1000)
        bench.readAll()
        expect(said(bench.verdict())[0]).toContain(`${gasId}: another one answers at its address`)
        bench.restart()
        bench.subMeters.search(bench.master)
        bench.readAll()
        expect(said(bench.verdict()).join(" ")).toContain("8f411111111101" + "03: 7-0:3.0.0 0.005 m3")
    })

    test("an encrypted telegram is refused as such: no key, no value", () => {
        const secondary = volumeIdentification(12_345_678, gas)
        const bench = new Bench([{ primary: 1, secondary, telegrams: () => [sealedContent(secondary)] }])
        bench.subMeters.search(bench.master)
        bench.readAll()
        expect(said(bench.verdict())[0]).toBe(
            `${gasId}: telegrams are encrypted, and the meter has no keys; never read`,
        )
    })

    test("four find a place, a fifth does not; four of the longest telegrams still fit into a list that is stored", () => {
        const slaves = [1, 2, 3, 4, 5].map(primary => {
            const secondary = volumeIdentification(20_000_000 + primary, gas)
            return { primary, secondary, telegrams: () => [volumeContent(secondary, primary, 215)] }
        })
        const bench = new Bench(slaves)
        bench.subMeters.search(bench.master)
        expect(bench.subMeters.count()).toBe(4)
        bench.readAll()
        const verdict = bench.verdict()
        expect(said(verdict).map(each => /([\d.]+) m3/.exec(each!)?.[1])).toEqual(["0.001", "0.002", "0.003", "0.004"])
        const pagination = Number(verdict.reading.pagination)
        const { issuer } = bench.device.meter
        for (let ago = 0; ago < masterListSlots - 1; ++ago) {
            bench.file()
            expect(issuer.storedList(pagination)?.signed.length).toBeGreaterThan(1400)
        }
    })

    test("a UART that fails, and a meter that says nothing at all, stop nothing else", () => {
        const slaves = both()
        slaves[0].dead = true
        const bench = new Bench(slaves)
        bench.subMeters.search(bench.master)
        expect(bench.subMeters.count()).toBe(1)
        bench.readAll()
        expect(said(bench.verdict())[0]).toContain(`${waterId}: 8-0:1.0.0 89.012 m3`)
    })
})

test("power that goes at any write leaves the telegram of before or the new one, whole", () => {
    const bench = new Bench(both())
    bench.subMeters.search(bench.master)
    bench.readAll()
    const before = Buffer.from(bench.store.cells)
    bench.store.begin()
    bench.readAll()
    const writes = bench.store.writes.length
    for (let cut = 0; cut < writes; ++cut) {
        before.copy(bench.store.cells)
        bench.store.begin(cut, 5)
        litres.gas = 2_000_000
        try {
            bench.readAll()
        } catch (error) {
            if (!(error instanceof Cut)) throw error
        }
        bench.store.begin()
        bench.restart()
        const entries = bench.subMeters.entries()
        expect(entries).toHaveLength(2)
        const value = (entries[0] as SmlValue[])[5] as SmlValue[]
        const volume = (value[1] as Buffer).readUInt32LE(1 + 8 + 6 + 13 + 2)
        expect([1_234_567, 2_000_000]).toContain(volume)
    }
    expect(writes).toBeGreaterThan(3)
})

describe("what plomb verify refuses although it is signed", () => {
    const bench = () => {
        const made = new Bench(both())
        made.subMeters.search(made.master)
        made.readAll()
        return made
    }
    const failed = (change: (entries: SmlValue[]) => SmlValue[]) =>
        bench()
            .verdict(change)
            .findings.filter(each => each.result === "failed")
            .map(each => each.check)
    const entry = (entries: SmlValue[], i: number) => entries[i] as SmlValue[]

    test.each<[string, string, (entries: SmlValue[]) => SmlValue[]]>([
        [
            "a register that is not the telegram's",
            "registers of a meter that was read",
            all => {
                entry(all, 1)[5] = [0x58, 1_234_568]
                return all
            },
        ],
        ["a register that is left out", "registers of a meter that was read", all => [all[0], ...all.slice(2)]],
        [
            "another meter's telegram",
            "registers of a meter that was read",
            all => {
                const [telegram, other] = [entry(all, 0)[5], entry(all, 2)[5]] as [SmlValue[], SmlValue[]]
                const mixed = Buffer.concat([(telegram[1] as Buffer).subarray(0, 9), (other[1] as Buffer).subarray(9)])
                entry(all, 0)[5] = [0, mixed]
                return all
            },
        ],
        [
            "an old telegram's register",
            "registers of a meter that was read",
            all => {
                entry(all, 0)[1] = [0x61, 2]
                return all
            },
        ],
        ["a register without a meter", "structure of the signed list", all => [all[1], ...all]],
        ["numbers that fall", "structure of the signed list", all => [all[2], all[3], all[0], all[1]]],
        [
            "a register of electricity",
            "structure of the signed list",
            all => {
                entry(all, 1)[0] = Buffer.from("0100010800ff", "hex")
                return all
            },
        ],
        [
            "a status that is none",
            "structure of the signed list",
            all => {
                entry(all, 0)[1] = [0x61, 9]
                return all
            },
        ],
    ])("%s", (_name, check, change) => {
        expect(failed(change)).toContain(check)
    })
})

test("core reads a list of PLOMB-SL/3 and refuses one whose further entries are none", () => {
    const bench = new Bench(both())
    bench.subMeters.search(bench.master)
    bench.readAll()
    const codeOf = (change: (entries: SmlValue[]) => SmlValue[]) => {
        const file = readFile(bench.file(change), false, 0)
        try {
            readSignedList(file, file.messages[1])
            return 0
        } catch (error) {
            return (error as PlombError).code
        }
    }
    expect(codeOf(all => all)).toBe(0)
    expect(codeOf(all => [all[1], ...all])).toBe(Code.ListOrder)
    expect(codeOf(all => [all[2], all[0]])).toBe(Code.ListEntry)
})
