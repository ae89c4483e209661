import { beforeAll, expect, it } from "vitest"
import { ask, commandDevice, judgeByNode, readReply } from "../helpers/command-desk.ts"
import { MemoryStore } from "../helpers/memory-store.ts"
import {
    type Actors,
    actors,
    authorityModel,
    numbers,
    RandomCommands,
    tableOctets,
} from "../helpers/random-commands.ts"
import { entries, logbookAt, storeSize } from "../vm/device/command-device.ts"

const commands = Number(process.env.PLOMB_COMMANDS ?? 10_000)
/** After so many the next device, fresh from delivery. */
const aDevice = 2000

let all: Actors
beforeAll(async () => {
    judgeByNode(false)
    all = await actors()
})

it(`${commands} random commands: the device lets in, does, refuses and keeps what the reference model does`, () => {
    const seen = new Map<string, number>()
    const count = (code: string) => seen.set(code, (seen.get(code) ?? 0) + 1)
    for (let first = 0; first < commands; first += aDevice) {
        const store = new MemoryStore(storeSize)
        const device = commandDevice(store)
        const model = authorityModel(entries)
        const random = new RandomCommands(all, numbers(20261122 + first))
        const hold = (held = random.held()) => {
            device.answer(ask.hold(held.map(each => each.made)))
            model.held = held.map(each => each.facts)
        }
        hold()
        for (let i = first; i < Math.min(first + aDevice, commands); ++i) {
            const { time, hold: held, command, by, file } = random.step(model)
            if (time !== undefined) {
                device.answer(ask.time(time))
                model.now = time
            }
            if (held) hold(held)
            const where = `command ${i} of ${by.facts.name}`
            const before = Buffer.from(store.cells.subarray(0, logbookAt))
            const reply = readReply(
                device.answer(command.relayed ? ask.relayed(file) : ask.command(file)),
                command.requests.length,
            )
            const expected = model.command(command)
            expect({ where, file: reply.file, requests: reply.requests }).toEqual({ where, ...expected })
            const kept = store.cells.subarray(0, logbookAt)
            if (expected.file !== "done") expect(kept.equals(before), where).toBe(true)
            expect(device.table.octets().equals(tableOctets(model.table)), where).toBe(true)
            expect([device.trust.now, device.log.newest()], where).toEqual([model.now, model.log.newest])
            count(expected.file === "done" ? "let in" : expected.file)
            for (const code of expected.file === "done" ? expected.requests : []) count(`- ${code}`)
        }
    }
    const table = [...seen].sort(([, a], [, b]) => b - a).map(([code, times]) => `${code} ${times}`)
    console.log(table.join(", "))
    if (commands < 10_000) return
    for (const code of [
        "let in|CommandReplayed|CommandSignature|CommandForm|CommandTarget|CommandExpired|CommandNotYetValid|CommandPeriod",
        "SmlFileCrc|SignerUnknown|ChainIssuer|ChainExpired|ChainNotYetValid|ChainKeyUsage|RoleMissing|RoleNotCertifiable",
        "RoleVersionOld|RightsBeyondIssuer|TooManySigners|SignerForgotten|- done|- NotSigned|- FunctionDenied|- RightMissing|- NotTried",
        "- TimeNotTrusted|- AccessVersion|- AccessFixed|- AccessCeiling|- AccessEditor|- AccessRoleVersion|- LogbookFull|- LogbookNotSeen",
    ].flatMap(line => line.split("|")))
        expect(seen.get(code) ?? 0, code).toBeGreaterThan(0)
}, 300_000)
