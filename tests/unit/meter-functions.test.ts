import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest"
import { accessTableSize, Fn } from "../../firmware/core/access"
import { CRC_BAD } from "../../firmware/core/crc16"
import { Code } from "../../firmware/core/errors"
import { Event, none } from "../../firmware/core/logbook"
import { uintBE } from "../../firmware/core/octets"
import { installPlatform } from "../../firmware/core/platform"
import { closeReq, openReq } from "../../firmware/core/sml-messages"
import * as paths from "../../firmware/core/sml-parameter"
import { readFile } from "../../firmware/core/sml-read"
import { writeFile } from "../../firmware/core/sml-transport"
import { Role } from "../../firmware/core/x509-role"
import { Step } from "../../firmware/meter/identity"
import { metrologicalEntries, TrustSlot } from "../../firmware/meter/layout"
import { verifyAnswer } from "../../tools/authority/answer.ts"
import { nodePlatform } from "../../tools/node/platform.ts"
import { noon, type TestParty } from "../helpers/certificates"
import {
    bits,
    type CommandParties,
    commandParties,
    getParameter,
    meterId,
    roleParty,
    setParameter,
    signerOf,
} from "../helpers/commands"
import { codeThrown } from "../helpers/errors"
import { CutStore, calibratedCells, certified, Device, installFastCurve, sha256, u16 } from "../helpers/meter-device"

let parties: CommandParties
let next: TestParty
let cells: Buffer
let device: Device
/** Commands of the same signer need a rising counter. */
let count = 0

beforeAll(async () => {
    installFastCurve()
    vi.spyOn(console, "log").mockImplementation(() => {})
    parties = await commandParties()
    next = await roleParty(Role.securityManagement, { issuer: parties.caRoot, ca: true, pathLength: 0, name: "Next" })
    cells = await calibratedCells(parties)
}, 60_000)

beforeEach(() => {
    device = new Device(new CutStore(cells))
})

afterAll(() => {
    vi.restoreAllMocks()
    installPlatform(nodePlatform)
})

/** A command of `by` with these requests. */
function command(by: TestParty, ...requests: Buffer[]): Buffer {
    const at = noon + ++count
    return signerOf(by, [], { nowSeconds: () => at }).command(meterId, requests)
}

/** What a meter answers to: "done", or the name of the code that it gives. */
function verdict(answer: Buffer): string {
    const code = /E(\d{4})/.exec(answer.toString("latin1"))
    return code ? Code[Number(code[1])] : "done"
}

const set = (by: TestParty, path: Buffer, value: Buffer) => verdict(device.send(command(by, setParameter(path, value))))
const get = (by: TestParty, path: Buffer) => device.send(command(by, getParameter(path)))
const u32 = (value: number) => u16(Math.floor(value / 65536), value % 65536)

/** The same request in a file that nobody signed. */
function unsigned(path: Buffer, value: Buffer) {
    const id = Buffer.from("nobody")
    const messages = [openReq(id, id, id, meterId), setParameter(path, value), closeReq(id, undefined)]
    return readFile(writeFile(messages), false, CRC_BAD)
}

/** Newest entry of a logbook: event, function, role, name of the code. */
function newest(log = device.functions.metrologicalLog) {
    const entry = log.read(log.newest()) ?? Buffer.alloc(74)
    return {
        event: entry[13],
        fn: entry[14],
        role: entry[15],
        code: Code[uintBE(entry, 16, 2)],
        detail: entry.subarray(26, 42),
    }
}

/** The table one version on, with other octets at `at`. */
function nextTable(at = 4, octets = Buffer.from([3, 0x58])): Buffer {
    const table = Buffer.from(device.functions.table.octets())
    octets.copy(table, at)
    table[3] += 1
    return table
}

function changeOf(to: TestParty): Buffer {
    device.bring(Buffer.concat([to.der, parties.caRoot.der]))
    return Buffer.concat([u16(to.der.length, parties.caRoot.der.length), sha256(to.der)])
}

describe("each function", () => {
    const metrological = bits(
        Fn.setTime,
        Fn.setMeteringParameters,
        Fn.calibrate,
        Fn.resetMetrologicalLogbook,
        Fn.erase,
        Fn.rolloverKey,
    )
    const rows: [Fn, keyof CommandParties, keyof CommandParties, Buffer, () => Buffer, Event][] = [
        [Fn.setTime, "calibration", "operator", paths.timePath, () => u32(noon + 100), Event.timeSet],
        [
            Fn.setMeteringParameters,
            "calibration",
            "provider",
            paths.meteringPath,
            () => u16(60, 120),
            Event.parameterSet,
        ],
        [
            Fn.calibrate,
            "calibration",
            "manufacturer",
            paths.calibrationPath,
            () => device.meter.identity.constants(),
            Event.calibrated,
        ],
        [
            Fn.resetMetrologicalLogbook,
            "institute",
            "calibration",
            paths.metrologicalResetPath,
            () => u32(device.functions.metrologicalLog.newest()),
            Event.logbookReset,
        ],
        [Fn.rolloverKey, "calibration", "institute", paths.rolloverPath, () => Buffer.of(1), Event.keyRollover],
        [
            Fn.setParameters,
            "operator",
            "dataCollection",
            paths.labelPath,
            () => Buffer.from("cellar"),
            Event.parameterSet,
        ],
        [
            Fn.resetLogbook,
            "provider",
            "operator",
            paths.logbookResetPath,
            () => u32(device.functions.logbook.newest()),
            Event.logbookReset,
        ],
        [Fn.setAccess, "provider", "operator", paths.accessPath, () => nextTable(), Event.accessChanged],
        [
            Fn.changeProvider,
            "provider",
            "manufacturer",
            paths.changeProviderPath,
            () => changeOf(next),
            Event.providerChanged,
        ],
        [
            Fn.deleteProvider,
            "manufacturer",
            "provider",
            paths.deleteProviderPath,
            () => Buffer.of(0),
            Event.providerDeleted,
        ],
    ]
    test.each(rows.map(row => [Fn[row[0]], row] as const))(
        "%s: done for its signer, refused for another role, for a certificate without the right, for nobody; each entered",
        async (_, [fn, right, wrong, path, value, event]) => {
            const log = () => ((metrological >> fn) & 1 ? device.functions.metrologicalLog : device.functions.logbook)
            expect(set(parties[wrong], path, value())).toBe("FunctionDenied")
            expect(newest(log())).toMatchObject({ event: Event.refused, fn, code: "FunctionDenied" })
            expect(verdict(device.functions.answer(unsigned(path, value()), () => {}))).toBe("NotSigned")
            expect(newest(log())).toMatchObject({ event: Event.refused, fn, role: none, code: "NotSigned" })
            expect(set(parties[right], path, value())).toBe("done")
            expect(newest(log())).toMatchObject({ event, fn, code: undefined })
        },
    )

    test("is refused to a certificate without its right, and that is entered with the signer's role", async () => {
        const reader = await roleParty(Role.operator, {
            issuer: parties.provider,
            ca: false,
            rights: bits(Fn.readCurrent),
        })
        expect(set(reader, paths.labelPath, Buffer.from("x"))).toBe("RightMissing")
        expect(newest(device.functions.logbook)).toMatchObject({ role: Role.operator, code: "RightMissing" })
        expect(device.meter.parameters.label()).toHaveLength(0)
    })

    test("of a file of a foreign PKI, or sent again, is refused, entered once a code in the metrological log, then counted", async () => {
        const foreign = await commandParties()
        for (let i = 0; i < 3; ++i)
            expect(set(foreign.provider, paths.deleteProviderPath, Buffer.of(0))).not.toBe("done")
        const log = device.functions.metrologicalLog
        expect(newest()).toMatchObject({ event: Event.refused, fn: none, role: none })
        const entries = log.newest()
        const once = command(parties.operator, setParameter(paths.labelPath, Buffer.from("a")))
        expect(verdict(device.send(once))).toBe("done")
        expect(verdict(device.send(once))).toBe("CommandReplayed")
        expect(verdict(device.send(once))).toBe("CommandReplayed")
        expect(log.newest()).toBe(entries + 1)
        expect(uintBE(log.head(), 40, 4)).toBe(3)
    })
})

describe("time", () => {
    const at = (seconds: number) => {
        const done = set(parties.calibration, paths.timePath, u32(seconds))
        device.meter.time.refresh()
        return done
    }

    test("corrected by at most 3 s a day goes to the ring, more to the metrological log with old and new", () => {
        const { metrologicalLog, logbook } = device.functions
        expect(at(noon + 2)).toBe("done")
        expect(at(noon + 1)).toBe("done")
        expect([metrologicalLog.newest(), logbook.newest()]).toEqual([0, 2])
        expect(at(noon + 2)).toBe("done")
        expect([metrologicalLog.newest(), logbook.newest()]).toEqual([1, 2])
        expect(newest().detail.subarray(0, 8)).toEqual(Buffer.concat([u32(noon + 1), u32(noon + 2)]))
    })

    test("of a stopped clock is not trusted, also after a start, until an authorised set, which is metrological", () => {
        device.clock.running = false
        device.meter.tick()
        expect(newest().event).toBe(Event.clockStopped)
        device.clock.running = true
        device.meter.tick()
        expect(device.meter.time.trusted()).toBe(false)
        expect(set(parties.operator, paths.timePath, u32(noon))).toBe("FunctionDenied")
        expect(new Device(device.store).meter.time.trusted()).toBe(false)
        expect(at(noon)).toBe("done")
        expect(device.meter.time.trusted()).toBe(true)
        expect(newest()).toMatchObject({ event: Event.timeSet, fn: Fn.setTime })
        expect(newest().detail.subarray(4, 8)).toEqual(u32(noon))
    })

    test("of another length than U32 is refused", () => {
        expect(set(parties.calibration, paths.timePath, Buffer.concat([u32(1), u32(noon)]))).toBe("OutOfRange")
    })
})

describe("the logbooks", () => {
    test("a full metrological log blocks what is metrological, and nothing else, until the institute resets it", () => {
        const log = device.functions.metrologicalLog
        while (!log.full()) log.append(Event.sealOpened, none, undefined, 0, Buffer.alloc(0))
        const before = device.meter.parameters.metering()
        expect(set(parties.calibration, paths.meteringPath, u16(1, 2))).toBe("LogbookFull")
        expect(device.meter.parameters.metering()).toEqual(before)
        expect(set(parties.operator, paths.labelPath, Buffer.from("a"))).toBe("done")
        expect(set(parties.institute, paths.metrologicalResetPath, u32(log.newest() - 1))).toBe("LogbookNotSeen")
        expect(set(parties.institute, paths.metrologicalResetPath, u32(log.newest()))).toBe("done")
        expect(set(parties.calibration, paths.meteringPath, u16(1, 2))).toBe("done")
    })

    test("are read in parts from a number on, and beyond the newest the head alone", () => {
        const log = device.functions.metrologicalLog
        for (let i = 0; i < 60; ++i) log.append(Event.sealOpened, none, undefined, 0, Buffer.from([i]))
        expect(log.newest()).toBeLessThan(metrologicalEntries)
        const all = get(parties.institute, paths.metrologicalLogbookPath)
        const holds = (number: number) => all.includes(log.read(number)?.subarray(0, 12) ?? "none")
        expect([holds(1), holds(28), holds(29)]).toEqual([true, true, false])
    })

    test("a reading of the metrological log is refused to the provider, of the other one to the institute", () => {
        expect(verdict(get(parties.provider, paths.metrologicalLogbookPath))).toBe("FunctionDenied")
        expect(verdict(get(parties.institute, paths.logbookPath))).toBe("FunctionDenied")
        expect(verdict(get(parties.provider, paths.logbookPath))).toBe("done")
    })
})

describe("the provider", () => {
    test("changes: the former one and its operators are out at once", () => {
        expect(set(parties.provider, paths.changeProviderPath, changeOf(next))).toBe("done")
        expect(device.meter.certificates.der(TrustSlot.SecurityManagement)).toEqual(next.der)
        for (const former of [parties.provider, parties.operator])
            expect(set(former, paths.labelPath, Buffer.from("x"))).not.toBe("done")
        expect(set(next, paths.labelPath, Buffer.from("new"))).toBe("done")
    })

    test("deleted, does not come again by itself, and takes its access table along", () => {
        expect(set(parties.provider, paths.accessPath, nextTable())).toBe("done")
        expect(set(parties.manufacturer, paths.deleteProviderPath, Buffer.of(0))).toBe("done")
        expect(device.functions.table.version()).toBe(1)
        expect(device.functions.table.octets()).toHaveLength(accessTableSize)
        expect(set(parties.provider, paths.labelPath, Buffer.from("x"))).not.toBe("done")
        const order = (by: TestParty) => {
            device.bring(Buffer.concat([by.der, parties.caRoot.der]))
            return codeThrown(() =>
                device.meter.certificates.order(
                    Buffer.concat([Buffer.of(1), u16(by.der.length, parties.caRoot.der.length)]),
                ),
            )
        }
        expect(order(parties.provider)).toBe("ProviderDeleted")
        expect(order(next)).toBe("none")
        expect(newest(device.functions.logbook).event).toBe(Event.certificateTaken)
        expect(set(next, paths.labelPath, Buffer.from("new"))).toBe("done")
    })
})

test("key rollover: the answer is the new key's, pagination and chain go on, the former certificate is there, its key is not", async () => {
    const former = device.meter.certificates.der(TrustSlot.Meter)
    const before = device.meter.issuer.pagination()
    expect(set(parties.calibration, paths.rolloverPath, Buffer.of(1))).toBe("done")
    const { der } = await certified(parties, device.spare.publicKey())
    device.bring(der)
    const value = Buffer.concat([Buffer.of(2), u16(der.length), sha256(der)])
    const raw = command(parties.calibration, setParameter(paths.rolloverPath, value))
    expect(verifyAnswer(device.send(raw), raw, der).holds).toBe(true)
    expect(device.meter.issueList().signed.length).toBeGreaterThan(0)
    expect(device.meter.issuer.pagination()).toBe(before + 1)
    expect(device.meter.certificates.formerMeter()).toEqual(former)
    expect(device.custody.state().keyPresent).toBe(false)
})

test("erase: not without the calibration authority's order for this meter", () => {
    const order = command(parties.calibration, setParameter(paths.erasePath, Buffer.of(0)))
    const others = [
        command(parties.provider, setParameter(paths.erasePath, Buffer.of(0))),
        command(parties.calibration, setParameter(paths.labelPath, Buffer.of(0))),
        Buffer.from("no file"),
    ]
    for (const other of others) expect(set(parties.localOperator, paths.erasePath, other)).not.toBe("done")
    expect(set(parties.operator, paths.erasePath, order)).toBe("FunctionDenied")
    expect(device.meter.identity.step()).toBe(Step.Calibrated)
    const last = command(parties.calibration, setParameter(paths.erasePath, Buffer.of(0)))
    expect(set(parties.localOperator, paths.erasePath, last)).toBe("done")
    expect(newest().event).toBe(Event.erased)
    expect(new Device(device.store).meter.identity.step()).toBe(Step.Bare)
})

test("attestation names software and checksum, signed for whoever may ask", () => {
    const raw = command(parties.operator, getParameter(paths.attestationPath))
    const answer = device.send(raw)
    expect(answer.includes(Buffer.alloc(32, 7))).toBe(true)
    expect(verifyAnswer(answer, raw, device.meter.certificates.der(TrustSlot.Meter) ?? "").holds).toBe(true)
    expect(verdict(get(parties.customer, paths.attestationPath))).toBe("FunctionDenied")
})
