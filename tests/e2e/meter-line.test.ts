import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { LOAD_PROFILE } from "../../firmware/core/signed-list.ts"
import { closeReq, getListReq, openReq } from "../../firmware/core/sml-messages.ts"
import { timePath } from "../../firmware/core/sml-parameter.ts"
import { parameterRequest } from "../../firmware/core/sml-request.ts"
import { GET_PROFILE_LIST_REQ, SET_PROC_PARAMETER_REQ } from "../../firmware/core/sml-tables.ts"
import { writeFile } from "../../firmware/core/sml-transport.ts"
import { writeMessage } from "../../firmware/core/sml-write.ts"
import { energyBetween } from "../../tools/chips/load-source.ts"
import { LineOperator } from "../../tools/desk/line-operator.ts"
import { listRequest, profileRequest } from "../../tools/headend/requests.ts"
import { judgeSeries } from "../../tools/verify/linkage.ts"
import { LineBench } from "./line-bench.ts"

const Status = { TimeNotTrusted: 1, FrontEndFault: 4, PowerWasLost: 0x20, LoadPresent: 0x100 }

let bench: LineBench
beforeAll(async () => {
    bench = await LineBench.open(4713)
}, 600_000)
afterAll(() => bench.close())

function file(...requests: Buffer[]): Buffer {
    const id = bench.requestId()
    return writeFile([openReq(id, id, id, bench.id), ...requests, closeReq(id, undefined)])
}

function profileOf(path: Buffer, from?: number, to?: number): Buffer {
    const time = (seconds?: number) => (seconds === undefined ? undefined : [2, seconds])
    const values = [bench.id, undefined, undefined, undefined, time(from), time(to), [path], undefined, undefined]
    return bench.command(writeMessage(bench.requestId(), 0, GET_PROFILE_LIST_REQ, values))
}

const obis = (hexCode: string) => Buffer.from(hexCode, "hex")

/** What was lost on its way is kept by the meter for a while: asks for it again, as a head-end does. */
async function recover(): Promise<void> {
    for (const pagination of bench.ledger.missing())
        for (let tries = 0; tries < 20 && bench.ledger.missing().includes(pagination); ++tries) {
            const raw = await bench.probe.ask(bench.listRequest(pagination), 2500)
            if (raw) bench.ledger.take(raw)
        }
}

describe("before the first period has ended", () => {
    test("the first list after a start says that power was lost, the next no longer", async () => {
        expect((await bench.list()).status & Status.PowerWasLost).toBe(Status.PowerWasLost)
        const next = await bench.list()
        expect(next.status & Status.PowerWasLost).toBe(0)
        expect(next.status & Status.LoadPresent).toBe(Status.LoadPresent)
        expect(Math.abs(next.power - 30_000)).toBeLessThan(60)
    })

    test("an empty load profile is said to be empty: FE11", async () => {
        const now = bench.seconds()
        expect(await bench.attentions(bench.profileRequest(now - 9000, now))).toEqual(["fe11"])
    })
})

describe("requests a meter must refuse", () => {
    test.each([
        ["SetProcParameter by anybody: FE02", () => setTime(), ["fe02"]],
        ["a list asked for by anybody: FE02", () => listRequest(bench.requestId(), bench.id), ["fe02"]],
        ["rows asked for by anybody: FE02", () => profileRequest(bench.requestId(), bench.id, 0, 2e9), ["fe02"]],
        [
            "an unknown parameter: FE01",
            () => parameterRequest(bench.requestId(), bench.id, obis("8181c7ffffff")),
            ["fe01"],
        ],
        [
            "a list it does not have: FE01",
            () => bench.command(getListReq(bench.requestId(), bench.id, bench.id, obis("0100630100ff"))),
            ["fe01"],
        ],
        ["a profile it does not keep: FE01", () => profileOf(obis("8181c78612ff")), ["fe01"]],
        [
            "a file without Close: FE14",
            () =>
                writeFile([
                    openReq(bench.requestId(), bench.id, bench.id, bench.id),
                    getListReq(bench.requestId(), bench.id, bench.id, undefined),
                ]),
            ["fe14"],
        ],
        ["a stored list that never was: FE13", () => bench.listRequest(0x7fffffff), ["fe13"]],
    ])("%s", async (_, request, wanted) => {
        expect(await bench.attentions(request())).toEqual(wanted)
    })

    test("a file for another meter, or for nobody: silence", async () => {
        const other = Buffer.from(bench.id)
        other[9] ^= 1
        const otherMeter = new LineOperator(bench.desk.world, join(bench.folder, "pki"), other)
        const id = bench.requestId()
        const nobody = writeFile([
            openReq(id, id, id, undefined),
            getListReq(id, id, undefined, undefined),
            closeReq(id, undefined),
        ])
        expect(await bench.attentions(otherMeter.list(id))).toBe("silence")
        expect(await bench.attentions(nobody)).toBe("silence")
    })

    test("a damaged file: silence, and the next good one is answered", async () => {
        const damaged = bench.listRequest()
        damaged[30] ^= 1
        expect(await bench.attentions(damaged)).toBe("silence")
        await bench.list()
    })

    test("each of several requests in one file gets its own answer, refused ones too", async () => {
        const id = bench.requestId()
        const list = getListReq(id, id, bench.id, undefined)
        const unknown = getListReq(id, id, bench.id, obis("0100630100ff"))
        const raw = await bench.probe.ask(bench.command(list, unknown, list))
        const lists = raw ? bench.ledger.take(raw) : []
        expect(lists.map(({ pagination }) => pagination)).toEqual([lists[0].pagination, lists[0].pagination + 1])
    })
})

describe("lists", () => {
    test("a list had before is had again unchanged, as long as it is kept", async () => {
        const { pagination } = await bench.list()
        for (let i = 0; i < 4; ++i) await bench.list()
        const raw = await bench.probe.ask(bench.listRequest(pagination))
        expect(raw && bench.ledger.take(raw).map(each => each.pagination)).toEqual([pagination])
        expect(bench.ledger.failures).toEqual([])
    })

    test("the verdict on a list is proof", async () => {
        const [verdict] = await bench.judged(bench.listRequest())
        expect(verdict.name).toBe("proof")
    })

    test("a request that comes while a row is being signed is answered", async () => {
        const { world } = bench.desk
        const { newest } = bench.ledger
        // The row of this period is signed 20 ms to 250 ms behind its end.
        await world.runFor(900_000 - (world.nowMs() % 900_000) - 40)
        const { drawn } = await bench.list()
        await world.runFor(2000)
        const rows = await bench.rows(bench.seconds() - 900, bench.seconds())
        expect(rows).toHaveLength(1)
        expect(rows[0].drawn).toBeLessThanOrEqual(drawn + 30)
        expect(bench.ledger.newest).toBe(newest + 2)
    })
})

describe("load profile", () => {
    test("two and a half hours: ten rows, linked with the lists between, each proof, fetched in ranges", async () => {
        const { world } = bench.desk
        const from = bench.seconds()
        await bench.list()
        for (let quarter = 0; quarter < 10; ++quarter) {
            await world.runFor(900_000)
            if (quarter % 4 === 0) await bench.list()
        }
        const to = bench.seconds()
        const rows = await bench.rows(from, to)
        expect(rows).toHaveLength(10)
        expect(rows.map(({ periodEnd }) => (periodEnd ?? 0) % 900)).toEqual(rows.map(() => 0))
        const middle = rows[5].periodEnd ?? 0
        expect((await bench.rows(middle, middle)).map(({ pagination }) => pagination)).toEqual([rows[5].pagination])
        expect(await bench.attentions(bench.profileRequest(middle + 1, middle + 800))).toEqual(["fe13"])
        expect(await bench.attentions(bench.profileRequest(to, from))).toEqual(["fe12"])
        expect(await bench.attentions(profileOf(LOAD_PROFILE))).toEqual([])

        const verdicts = await bench.judged(bench.profileRequest(from, to))
        expect(verdicts.map(({ name }) => name)).toEqual(Array(6).fill("proof"))
        expect(
            judgeSeries(verdicts.slice(1, 6)).flatMap(({ findings }) =>
                findings.filter(each => each.check !== "pagination" && each.result === "failed"),
            ),
        ).toEqual([])
        expect(bench.ledger.judge()).toEqual([])

        const [first, last] = [rows[0], rows[9]]
        const { drawnWs } = energyBetween(bench.meter.bench.source, first.periodEnd ?? 0, last.periodEnd ?? 0)
        expect(Math.abs((last.drawn - first.drawn) * 360 - drawnWs)).toBeLessThan(0.001 * drawnWs + 2 * 3000)
    }, 300_000)
})

describe("noise, echo and a spoilt UART", () => {
    test("through noise each reading arrives unaltered or not at all, and is asked again", async () => {
        bench.desk.wire.noise = { seed: 3, flip: 0.0004, insert: 0.0002, drop: 0.0002 }
        let lost = 0
        for (let got = 0; got < 10; ) {
            const raw = await bench.probe.ask(bench.listRequest(), 2500)
            if (raw) got += bench.ledger.take(raw).length
            else ++lost
            await recover()
            expect(lost).toBeLessThan(100)
        }
        bench.desk.wire.noise = undefined
        await bench.desk.world.runFor(1000)
        expect(lost).toBeGreaterThan(0)
        expect(bench.ledger.failures).toEqual([])
    }, 300_000)

    test("babble before a request does not hide it", async () => {
        bench.probe.send(Buffer.from("00ff1b1b1b1b0101010176051b1b1b1b010101", "hex"))
        await bench.list()
    })

    test("a UART that a supply dip has reset is opened again", async () => {
        bench.meter.bench.uart.upset()
        await bench.desk.world.runFor(8000)
        bench.meter.bench.uart.powerOff()
        bench.meter.bench.uart.powerOn()
        await bench.desk.world.runFor(30_000)
        await bench.list()
    })
})

describe("faults of the parts", () => {
    test("a front end that is reset is started again within a tick, and loses one second at most", async () => {
        const { world } = bench.desk
        const { frontEnd } = bench.meter.bench
        const before = await bench.list()
        await world.runFor(5000)
        frontEnd.powerOff()
        frontEnd.powerOn()
        await world.runFor(5000)
        const after = await bench.list()
        expect(after.status & Status.FrontEndFault).toBe(0)
        const flowed = 3000 * (after.secondsIndex - before.secondsIndex)
        expect(flowed - (after.drawn - before.drawn) * 360).toBeLessThan(3000 * 2.5)
    })

    test("a front end that is absent shows in the status word; the meter goes on, and comes back with it", async () => {
        const { world } = bench.desk
        const { bus } = bench.meter.bench
        bus.faults.nackAddress = new Set([0x38])
        await world.runFor(3000)
        const without = await bench.list()
        expect(without.status & Status.FrontEndFault).toBe(Status.FrontEndFault)
        expect(without.power).toBe(0)
        const { drawn } = without
        await world.runFor(20_000)
        expect((await bench.list()).secondsIndex).toBeGreaterThan(without.secondsIndex + 15)
        bus.faults.nackAddress = undefined
        await world.runFor(4000)
        const back = await bench.list()
        expect(back.status & Status.FrontEndFault).toBe(0)
        // The part counted on: what flowed meanwhile is not lost.
        expect((back.drawn - drawn) * 360).toBeGreaterThan(3000 * 20)
    })

    test("one in forty transactions goes wrong: nothing goes back, the time stays trusted", async () => {
        const { world } = bench.desk
        const { bus } = bench.meter.bench
        bus.faults.plan = Array.from({ length: 60 }, (_, i) => ({
            transaction: bus.transactions + 40 * (i + 1),
            kind: i % 2 ? ("nackAddress" as const) : ("flip" as const),
            octet: 0,
            bit: i % 8,
        }))
        for (let i = 0; i < 10; ++i) {
            await world.runFor(1500)
            const raw = await bench.probe.ask(bench.listRequest(), 8000)
            if (raw) bench.ledger.take(raw)
            await recover()
        }
        bus.faults.plan = undefined
        await world.runFor(3000)
        expect((await bench.list()).timeQuality).toBe(2)
        await recover()
        expect(bench.ledger.judge()).toEqual([])
    }, 120_000)
})

describe("a clock that stopped", () => {
    test("lists and rows say so and count seconds instead; the verdict leaves the time out; reading clears nothing", async () => {
        const { world } = bench.desk
        const { board, bench: parts } = bench.meter
        await board.powerOff()
        parts.rtc.setBattery(false)
        await world.runFor(3_600_000)
        parts.rtc.setBattery(true)
        await board.powerOn()
        await world.runFor(3000)
        const first = await bench.list()
        expect(first.timeQuality).toBe(1)
        expect(first.status & Status.TimeNotTrusted).toBe(1)
        expect(first.seconds).toBe(first.secondsIndex)
        const [verdict] = await bench.judged(bench.listRequest())
        expect(verdict.name).toBe("proof of the values, not of their time")

        await bench.probe.ask(parameterRequest(bench.requestId(), bench.id, timePath))
        expect(await bench.attentions(setTime())).toEqual(["fe02"])
        await board.powerOff()
        await world.runFor(2000)
        await board.powerOn()
        await world.runFor(900_000)
        const later = await bench.list()
        expect(later.timeQuality).toBe(1)
        expect(later.secondsIndex - first.secondsIndex).toBeGreaterThan(890)

        // Without a trusted time, rows are asked for by the seconds index.
        const values = [
            bench.id,
            undefined,
            undefined,
            undefined,
            [1, first.secondsIndex],
            [1, later.secondsIndex],
            [LOAD_PROFILE],
            undefined,
            undefined,
        ]
        const raw = await bench.probe.ask(
            bench.command(writeMessage(bench.requestId(), 0, GET_PROFILE_LIST_REQ, values)),
        )
        const rows = raw ? bench.ledger.take(raw) : []
        expect(rows.map(({ timeQuality }) => timeQuality)).toEqual([1])
        expect((rows[0].periodEnd ?? 0) % 900).toBe(0)
        expect(bench.ledger.judge()).toEqual([])
    }, 120_000)
})

function setTime(): Buffer {
    const tree = [timePath, [1, [0x64, 1_800_000_000]], undefined]
    return file(
        writeMessage(bench.requestId(), 0, SET_PROC_PARAMETER_REQ, [bench.id, undefined, undefined, [timePath], tree]),
    )
}
