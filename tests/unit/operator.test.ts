import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest"
import { Fn } from "../../firmware/core/access"
import { Role } from "../../firmware/core/x509-role"
import { UsageError } from "../../tools/cli/usage.ts"
import { serveControl } from "../../tools/headend/control.ts"
import { ExchangeError } from "../../tools/headend/responses.ts"
import { run } from "../../tools/operator/command.ts"
import { initPki } from "../../tools/pki/init.ts"
import { issueWithKey } from "../../tools/pki/issue.ts"
import { isAnswer } from "../../tools/verify/answer-file.ts"
import { judge } from "../../tools/verify/judge.ts"
import { readSmlFile } from "../../tools/verify/sml-file.ts"
import { FakeDevice } from "../helpers/fake-device.ts"

/** The command line against a device of the core's gate, reached through a head-end's control socket. */

const folder = mkdtempSync(join(tmpdir(), "plomb-operator-"))
const pki = join(folder, "pki")
const socket = join(folder, "control.sock")
const stadtwerk = "security-managements/stadtwerk"
let device: FakeDevice
let control: { close(): Promise<void> }
let lines: string[] = []
/** What the way to the device does with an answer. */
let onTheWay = (answer: Buffer): Buffer => answer
let target = ""

beforeAll(async () => {
    await initPki(pki)
    await issueWithKey(pki, "operator", "alice")
    await issueWithKey(pki, "operator", "rita", { rights: 1 << Fn.readCurrent })
    await issueWithKey(pki, "inspector", "irene")
    await issueWithKey(pki, "local-operator", "luis")
    await issueWithKey(pki, "security-management", "stadtwerk")
    await issueWithKey(pki, "operator", "nora", { by: stadtwerk })
    device = await FakeDevice.make(pki, 7)
    target = device.id.toString("hex")
    control = await serveControl(socket, {
        meters: () => [{ serverId: target, muc: "05aabbccddeeff" }],
        mucs: () => ["05aabbccddeeff"],
        relay: async (serverId, request) => {
            const answer = serverId === target ? device.answer(request) : undefined
            if (!answer) throw new ExchangeError("timeout", "no answer within 30000 ms")
            return { raw: onTheWay(answer), muc: "05aabbccddeeff" }
        },
    })
    vi.spyOn(console, "log").mockImplementation(line => void lines.push(`${line}`))
})
beforeEach(() => {
    lines = []
    onTheWay = answer => answer
})
afterAll(async () => {
    vi.restoreAllMocks()
    await control.close()
    rmSync(folder, { recursive: true, force: true })
})

/** Runs `plomb operator` as somebody; what it printed and its exit code. */
async function operator(as: string, ...args: string[]): Promise<{ code: number; text: string }> {
    lines = []
    const code = await run([...args, "--as", join(pki, as), "--through", socket])
    return { code, text: lines.join("\n") }
}

async function json(as: string, ...args: string[]) {
    const { code, text } = await operator(as, ...args, "--json")
    return { code, ...JSON.parse(text) }
}

describe("plomb operator", () => {
    it("says who authorised what, what came of it, and which entry tells of it", async () => {
        const { code, text } = await operator("operators/alice", "parameter", "set", "label", "attic")
        expect(text).toMatch(
            /^operator alice, certified by Plomb Security Management, asks meter 0A01504C420100000007 to set its label to "attic":\n {2}done\n/,
        )
        expect(text).toMatch(/Signed by the device for command \d+, at 20\d\d-.*Z by its clock/)
        expect(text).toMatch(
            /Logged as entry \d+ of its device logbook: .*parameters set \(setParameters\), by operator/,
        )
        expect(code).toBe(0)
        expect(device.label.toString()).toBe("attic")
        expect((await operator("operators/alice", "parameter", "get", "label")).text).toContain("label: attic")
    })

    it("reads a signed reading and judges it", async () => {
        const { code, text } = await operator("operators/alice", "read")
        expect(code).toBe(0)
        expect(text).toContain("to measure and sign a reading:")
        expect(text).toContain("PROOF. This reading was measured by meter 0A01504C420100000007")
        const { readings, commands } = await json("operators/alice", "read")
        expect(readings[0].verdict).toBe("proof")
        expect(commands[0]).toMatchObject({
            by: "operator alice, certified by Plomb Security Management",
            authentic: true,
        })
    })

    it("sets the time as the institute, and not as an operator, and says what to do about a refusal", async () => {
        const set = await operator("inspectors/irene", "set-time", "now")
        expect(set.code).toBe(0)
        expect(set.text).toMatch(/institute irene.* to set its time to 20\d\d-/)
        expect(set.text).toMatch(/Logged as entry \d+ of its metrological logbook: .*time set/)
        const refused = await operator("operators/alice", "set-time", "now")
        expect(refused.code).toBe(1)
        expect(refused.text).toContain(
            "refused: E5213 FunctionDenied: the device's access table does not give this function",
        )
        const narrow = await json("operators/rita", "parameter", "set", "label", "x")
        expect([narrow.code, narrow.done, narrow.commands[0].requests[0].code]).toEqual([1, false, 5214])
    })

    it("tells a refusal of the whole command from an answer: that one is not signed", async () => {
        const { code, text } = await operator(`${stadtwerk}/operators/nora`, "read")
        expect(code).toBe(1)
        expect(text).toMatch(/refused: E320[45] .*(another provider|nobody whom the device trusts)/)
        expect(text).toContain("such an answer is not signed")
    })

    it("believes no answer that the device has not signed for this command", async () => {
        onTheWay = answer => {
            const changed = Buffer.from(answer)
            if (isAnswer(readSmlFile(answer))) changed[changed.length - 40] ^= 1
            return changed
        }
        const { code, text } = await operator("operators/alice", "parameter", "set", "label", "roof")
        expect(code).toBe(1)
        expect(text).toContain("The answer is not this device's to this command: do not believe it.")
    })

    it("shows with --dry-run what it would send: words and octets, with no counter used and nothing sent", async () => {
        const counter = join(pki, "operators/alice/command-counter.json")
        const before = [device.files.length, existsSync(counter) && readFileSync(counter, "utf8")]
        lines = []
        const words = ["set-time", "2026-11-22T14:00:00Z", "--as", join(pki, "operators/alice"), "--target", target]
        expect(await run([...words, "--dry-run"])).toBe(0)
        expect(lines[0]).toBe(
            "operator alice, certified by Plomb Security Management, asks meter 0A01504C420100000007 to set its time to 2026-11-22T14:00:00Z",
        )
        expect(lines[2]).toMatch(/^ {2}1b1b1b1b01010101/)
        expect([device.files.length, existsSync(counter) && readFileSync(counter, "utf8")]).toEqual(before)
        lines = []
        await run([...words, "--dry-run", "--json"])
        expect(JSON.parse(lines.join("\n")).commands[0].unsigned).toMatch(/^1b1b1b1b/)
    })

    it("shows, grants and denies access, and never sends a table that others have changed meanwhile", async () => {
        const shown = await json("security-management", "access", "show")
        expect(shown.access.version).toBe(1)
        expect(shown.access.functions.setTime).toEqual(["institute", "calibrationAuthority"])
        const granted = await operator("security-management", "access", "grant", "localOperator", "setAddresses")
        expect(granted.code).toBe(0)
        expect(device.table.allows(Role.localOperator, Fn.setAddresses)).toBe(true)
        expect(
            (await operator("security-management", "access", "grant", "localOperator", "setAddresses")).text,
        ).toContain("Nothing to do")
        expect((await operator("security-management", "access", "deny", "localOperator", "setAddresses")).code).toBe(0)
        expect(device.table.allows(Role.localOperator, Fn.setAddresses)).toBe(false)
        const refused = await operator("security-management", "access", "grant", "operator", "setTime")
        expect(refused.text).toMatch(/E5222 AccessCeiling: this role can never have this function/)
        const raised = await operator("security-management", "access", "raise", "operator", "2")
        expect(raised.code).toBe(0)
        const old = await operator("operators/rita", "read")
        expect(old.text).toContain("E5203 RoleVersionOld: the device asks for a higher version of this role")
        device.table.reset()
    })

    it("keeps evidence of command and answer that plomb verify calls proof", async () => {
        const out = join(folder, "act.evidence.json")
        await operator("inspectors/irene", "parameter", "set", "tariff2", "22:00-06:00", "--out", out)
        const anchors = ["institute-root", "ca-root"].map(each => readFileSync(join(pki, each, "cert.pem"), "utf8"))
        const [verdict] = judge(out, readFileSync(out), { anchors })
        expect(verdict.name).toBe("proof")
        expect(verdict.statement).toContain("institute irene, certified by Plomb Institute Root")
        expect(verdict.statement).toContain("use tariff 2 from 22:00 to 06:00: done")
        expect((await operator("operators/alice", "parameter", "get", "tariff2")).text).toContain(
            "tariff2: 22:00-06:00",
        )
    })

    it("reads a logbook to its end, exports it, and resets what was read", async () => {
        for (let i = 0; i < 8; ++i) await operator("inspectors/irene", "set-time")
        const out = join(folder, "logbook.json")
        const { code, text } = await operator("inspectors/irene", "logbook", "metrological", "--out", out)
        expect(code).toBe(0)
        const newest = device.logs.metrological.newest()
        expect(text).toContain(`entries, 1 to ${newest}, none missing or altered`)
        expect(text).toMatch(/^ {4}1 {2}20\d\d-.*/m)
        const anchors = [readFileSync(join(pki, "institute-root/cert.pem"), "utf8")]
        expect(judge(out, readFileSync(out), { anchors })[0].name).toBe("proof")
        await expect(operator("inspectors/irene", "logbook", "reset")).rejects.toThrow("keep it with --out FILE")
        const reset = await operator("inspectors/irene", "logbook", "reset", "--out", join(folder, "last.json"))
        expect(reset.code).toBe(0)
        expect(reset.text).toContain(`clear its metrological logbook, seen up to entry ${newest + 0}`)
        expect(device.logs.metrological.head().readUInt32BE(4)).toBe(newest + 1)
        expect((await operator("operators/alice", "logbook", "metrological")).code).toBe(1)
        expect((await operator("operators/alice", "logbook", "device")).code).toBe(0)
    })

    it("rolls a meter's key over: made inside, certified by the authority, in force", async () => {
        const before = device.chain[0]
        const { code, text } = await operator("calibration-authority", "rollover")
        expect(code).toBe(0)
        expect(text).toContain("It signs with the new key now")
        expect(device.chain[0].equals(before)).toBe(false)
        expect((await operator("operators/alice", "read")).text).toContain("PROOF.")
    })

    it("has a device erased by the authority's order alone", async () => {
        const order = join(folder, "erase.order")
        lines = []
        const words = ["order", "erase", "--as", join(pki, "calibration-authority"), "--target", target, "--out", order]
        expect(await run(words)).toBe(0)
        expect(lines[0]).toContain("orders meter 0A01504C420100000007 to be erased")
        const done = await operator("local-operators/luis", "erase", "--order", order)
        expect(done.text).toContain("to erase itself, by the order inside")
        expect(done.code).toBe(0)
        await expect(
            operator("local-operators/luis", "erase", "--order", order, "--target", "0a01504c420100000009"),
        ).rejects.toThrow("the order is for meter 0A01504C420100000007, not for")
        expect((await operator("operators/alice", "erase", "--order", order)).text).toContain("E5213")
    })

    it("hands a device over to another provider, or has the manufacturer remove one", async () => {
        const change = await operator("security-management", "provider", "change", "--to", stadtwerk)
        expect(change.code).toBe(0)
        expect(change.text).toContain("stadtwerk is its provider now")
        expect(device.parts.length).toBeGreaterThan(800)
        expect((await operator("operators/alice", "provider", "remove")).text).toContain("E5213")
        const removed = await operator("manufacturer", "provider", "remove")
        expect(removed.text).toContain("It has no provider now")
        expect((await operator("operators/alice", "read")).text).toMatch(/E320[45]/)
        device.provider = "security-management"
    })

    it("lists who is reached, and says when a device is not, or does not answer", async () => {
        expect((await operator("operators/alice", "devices")).text).toBe(`MUC   05aabbccddeeff\nmeter ${target}`)
        const absent = operator("operators/alice", "read", "--target", "0a01504c420100000009", "--wait", "0.2")
        await expect(absent).rejects.toThrow("nobody reaches 0a01504c420100000009; MUC 05aabbccddeeff, meter")
        await expect(
            run(["read", "--as", join(pki, "operator"), "--through", join(folder, "no.sock")]),
        ).rejects.toThrow("ENOENT")
    })

    it("refuses wrong words before anything is sent", async () => {
        const as = ["--as", join(pki, "operators/alice"), "--through", socket]
        const wrong = [
            [],
            ["fly", ...as],
            ["read", "--through", socket],
            ["read", ...as, "--key", "k"],
            ["read", "--as", join(pki, "nobody"), "--through", socket],
            ["read", ...as, "--desk", folder],
            ["read", "--as", join(pki, "operators/alice")],
            ["read", ...as, "--target", "12"],
            ["read", ...as, "--dry-run"],
            ["set-time", "yesterday", ...as],
            ["parameter", "set", "volume", "1", ...as],
            ["parameter", "set", "tariff2", "25:00-06:00", ...as],
            ["access", "grant", "king", "setTime", ...as],
            ["access", "grant", "operator", "fly", ...as],
            ["provider", "change", ...as],
            ["erase", ...as],
            ["erase", "--order", join(folder, "none"), ...as],
            ["logbook", "private", ...as],
            ["addresses", "set", "uplink", ...as],
            ["keys", "mbus", "none", ...as],
            ["profile", "2026-11-22T14:00:00Z", "2026-11-21T14:00:00Z", ...as],
        ]
        const before = device.files.length
        for (const args of wrong) await expect(run(args), args.join(" ")).rejects.toThrow(UsageError)
        // A chain may be asked for by nobody; a command was not sent.
        expect(device.files.length - before).toBeLessThanOrEqual(1)
        writeFileSync(join(folder, "junk"), "junk")
        await expect(
            operator("security-management", "provider", "change", "--to", join(folder, "junk")),
        ).rejects.toThrow("no certificate there")
    })
})
