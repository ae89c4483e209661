import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, test } from "vitest"
import { openMuc } from "../../tools/commission/boards.ts"
import { step } from "../../tools/commission/muc.ts"
import { layOutDesk } from "../../tools/desk/calibrated.ts"
import { mucServerId } from "../../tools/desk/desk.ts"
import { issueWithKey } from "../../tools/pki/issue.ts"
import { revoke } from "../../tools/pki/revoke.ts"
import { heard } from "../helpers/heard.ts"

/** `plomb operator --at`: what is done at a MUC only, on one that is installed, with the image for installation in the VM. */

const id = mucServerId(1)
let folder: string
let pki: string

beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "plomb-at-device-"))
    await layOutDesk(folder, [4717])
    pki = join(folder, "pki")
    await issueWithKey(pki, "operator", "alice")
    await issueWithKey(pki, "local-operator", "fitter")
}, 600_000)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Exit code and output of one command given at the MUC. */
async function at(as: string, words: string): Promise<[code: number, text: string]> {
    const { code, out, error } = await heard(`operator ${words} --at vm --desk ${folder} --as ${as}`)
    return [code, out + error]
}

const memory = () => readFileSync(join(folder, "state", "muc-1", "mb85rc1mt.bin"))

test("an authority sets its clock, an operator does not, and the MUC signs both answers", async () => {
    const [timed, time] = await at("calibration-authority", "set-time now")
    expect(timed, time).toBe(0)
    expect(time).toMatch(/asks MUC 05.* to set its time to .*:\n {2}done\n {2}Signed by the device/)
    const [refused, why] = await at("operators/alice", "set-time now")
    expect(refused).toBe(1)
    expect(why).toContain("E5213 FunctionDenied")
    const [attested, software] = await at("manufacturer", `attest --target ${id}`)
    expect(attested, software).toBe(0)
    expect(software).toContain("plomb-muc_install")
}, 300_000)

test("its label is set, and read again", async () => {
    const [labelled, label] = await at("operators/alice", "parameter set label cellar")
    expect(labelled, label).toBe(0)
    const [read, text] = await at("operators/alice", "parameter get label")
    expect(read, text).toBe(0)
    expect(text).toContain("label: cellar")
}, 300_000)

test("a symmetric key reaches its memory, and no octet of it the screen", async () => {
    const key = "c5".repeat(32)
    const file = join(folder, "key1")
    writeFileSync(file, `${key}\n`)
    const [denied, why] = await at("operators/alice", `keys key1plc ${file}`)
    expect([denied, why]).toEqual([1, expect.stringContaining("FunctionDenied")])
    expect(memory().includes(Buffer.from(key, "hex"))).toBe(false)
    const [put, told] = await at("security-management", `keys key1plc ${file}`)
    expect(put, told).toBe(0)
    expect(memory().includes(Buffer.from(key, "hex"))).toBe(true)
    expect(told).not.toContain(key.slice(0, 16))
}, 300_000)

test("a revocation list is brought where there is no directory, and none of a stranger or of before", async () => {
    const list = join(pki, "security-management", "crl.pem")
    const former = join(folder, "former.pem")
    writeFileSync(former, readFileSync(list))
    await revoke(pki, join(pki, "operators", "alice", "cert.pem"), "keyCompromise", {})
    // The clock of a board goes after this machine's where that is busy: the list may be of its future by seconds.
    let [brought, text] = await at("local-operators/fitter", `bring list ${list}`)
    for (let tries = 0; tries < 30 && text.includes("CrlNotYetValid"); ++tries) {
        await new Promise(resolve => setTimeout(resolve, 2000))
        ;[brought, text] = await at("local-operators/fitter", `bring list ${list}`)
    }
    expect(brought, text).toBe(0)
    expect(text).toContain("It is kept.")
    const [again, why] = await at("local-operators/fitter", `bring list ${former}`)
    expect(again).toBe(1)
    expect(why).toContain("CrlNotNewer")
    const [revoked, whom] = await at("operators/alice", "parameter get label")
    expect([revoked, whom]).toEqual([1, expect.stringContaining("ChainRevoked")])
}, 300_000)

test("by the calibration authority's order a local operator erases it, and it starts as a bare board", async () => {
    const order = join(folder, "erase.order")
    const written = await heard(
        `operator order erase --out ${order} --target ${id} --as ${join(pki, "calibration-authority")}`,
    )
    expect(written.code, written.error).toBe(0)
    const [erased, text] = await at("local-operators/fitter", `erase --order ${order}`)
    expect(erased, text).toBe(0)
    expect(text).toContain("It is marked")
    const open = await openMuc("vm", join(folder, "state"))
    try {
        expect((await open.muc.identify()).step).toBe(step.bare)
    } finally {
        await open.close()
    }
    expect(memory().includes(Buffer.from("c5".repeat(32), "hex"))).toBe(false)
}, 300_000)
