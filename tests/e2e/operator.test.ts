import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test, vi } from "vitest"
import { serverIdOf } from "../../tools/calibrate/station.ts"
import { constantLoad } from "../../tools/chips/load-source.ts"
import { layOutDesk } from "../../tools/desk/calibrated.ts"
import { Desk } from "../../tools/desk/desk.ts"
import { partyTls } from "../../tools/desk/parties.ts"
import { serveControl } from "../../tools/headend/control.ts"
import { HeadEnd } from "../../tools/headend/headend.ts"
import { run } from "../../tools/operator/command.ts"
import { issueWithKey } from "../../tools/pki/issue.ts"
import { judge } from "../../tools/verify/judge.ts"

/** `plomb operator` on a desk of the running images: a meter and a MUC in the VM, in real time. */

const serial = 4716
const meter = serverIdOf(serial)
let folder: string
let pki: string
let lines: string[] = []

beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "plomb-operator-desk-"))
    await layOutDesk(folder, [serial])
    pki = join(folder, "pki")
    await issueWithKey(pki, "operator", "alice")
    await issueWithKey(pki, "inspector", "irene")
    vi.spyOn(console, "log").mockImplementation(line => void lines.push(`${line}`))
}, 600_000)

afterAll(() => {
    vi.restoreAllMocks()
    rmSync(folder, { recursive: true, force: true })
})

/** Runs `plomb operator` as somebody on the desk; the exit code, and what it printed. */
async function operator(as: string, ...args: string[]): Promise<[code: number, text: string]> {
    lines = []
    const code = await run([...args, "--as", as, "--desk", folder, "--wait", "120"])
    return [code, lines.join("\n")]
}

test("a person reads a meter of a desk that nobody runs, in one command", async () => {
    const [code, text] = await operator("operators/alice", "read")
    expect(code, text).toBe(0)
    expect(text).toContain(`PROOF. This reading was measured by meter ${meter.toUpperCase()}`)
}, 300_000)

test("a person does what the role may through a head-end that runs, and is refused the rest, in words", async () => {
    const desk = await Desk.open({ serials: [serial], state: join(folder, "state"), load: constantLoad(1500) })
    const headEnd = new HeadEnd({ store: join(folder, "store"), tls: partyTls(pki, "operator"), refreshMs: 300 })
    const control = await serveControl(join(folder, "control.sock"), headEnd)
    try {
        const { port } = await headEnd.listen(0)
        await desk.start()
        await desk.startMuc({ uplink: `127.0.0.1:${port}` })

        const [labelled, label] = await operator("operators/alice", "parameter", "set", "label", "attic")
        expect(labelled, label).toBe(0)
        expect(label).toContain('to set its label to "attic":\n  done')
        expect(label).toMatch(/Logged as entry \d+ of its device logbook/)

        const [refused, why] = await operator("operators/alice", "set-time", "now")
        expect(refused).toBe(1)
        expect(why).toContain("E5213 FunctionDenied")

        const [timed, time] = await operator("inspectors/irene", "set-time", "now", "--target", meter)
        expect(timed, time).toBe(0)

        const [shown, table] = await operator("security-management", "access", "show")
        expect(shown, table).toBe(0)
        expect(table).toContain("Access table 1, as delivered")
        const [granted, grant] = await operator(
            "security-management",
            "access",
            "grant",
            "localOperator",
            "setAddresses",
        )
        expect(granted, grant).toBe(0)

        const [attested, software] = await operator("manufacturer", "attest")
        expect(attested, software).toBe(0)
        expect(software).toMatch(/plomb-meter \d/)

        const out = join(folder, "logbook.json")
        const [exported, book] = await operator("inspectors/irene", "logbook", "metrological", "--out", out)
        expect(exported, book).toBe(0)
        expect(book).toMatch(/\d+ entries, .* none missing or altered/)
        expect(book).toContain("refused (setTime) E5213, by operator")
        const anchors = [readFileSync(join(pki, "institute-root", "cert.pem"), "utf8")]
        expect(judge(out, readFileSync(out), { anchors })[0].name).toBe("proof")
    } finally {
        await control.close()
        await headEnd.close()
        await desk.close()
    }
}, 300_000)
