import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest"
import { UsageError } from "../../tools/cli/usage.ts"
import { run } from "../../tools/pki/command.ts"

const folder = mkdtempSync(join(tmpdir(), "plomb-pki-command-"))
const pki = join(folder, "pki")
let printed: string[] = []

/** Runs `plomb pki` and answers what it printed. */
async function plomb(...args: string[]): Promise<string> {
    printed = []
    expect(await run(args)).toBe(0)
    return printed.join("\n")
}

beforeAll(async () => {
    vi.spyOn(console, "log").mockImplementation(line => void printed.push(`${line}`))
    await run(["init", pki])
})
afterAll(() => {
    vi.restoreAllMocks()
    rmSync(folder, { recursive: true, force: true })
})

describe("plomb pki", () => {
    it("shows who certified whom, and what is revoked", async () => {
        await plomb("issue", "operator", "--in", pki, "--name", "erna", "--days", "30")
        await plomb("revoke", join(pki, "operators/erna/cert.pem"), "--in", pki, "--reason", "keyCompromise")
        const text = await plomb("show", pki)
        expect(text).toMatch(/^institute-root\n.*\n.*\n.*\n.*\n {4}calibration-authority/)
        expect(text).toMatch(
            / {8}operators\/erna\n.*CN=erna, key here\n +role operator, version 1\n.*REVOKED .*\(keyCompromise\)/,
        )
        const [, root] = JSON.parse(await plomb("show", pki, "--json"))
        expect(root.certified.map((each: { party: string }) => each.party)).toEqual([
            "manufacturer",
            "security-management",
            "directory",
        ])
        expect(text).toContain("role directory, version 1, localhost, 127.0.0.1")
    })

    it("shows the fields of a file, and of a key nothing but its kind", async () => {
        const [leaf, issuer, root] = JSON.parse(await plomb("show", join(pki, "operator/chain.pem"), "--json"))
        expect([leaf.issuer, issuer.issuer, root.issuer]).toEqual([issuer.subject, root.subject, root.subject])
        expect([leaf.ca, issuer.ca, issuer.pathLength, root.pathLength]).toEqual([false, true, 0, 1])
        expect([leaf.role, root.role]).toEqual(["operator, version 1", "certificationAuthority, version 1"])
        expect(leaf.hosts).toEqual(["localhost", "127.0.0.1"])
        expect(leaf.authorityKeyId).toBe(issuer.subjectKeyId)
        const [list] = JSON.parse(await plomb("show", join(pki, "security-management/crl.pem"), "--json"))
        expect([list.kind, list.number, list.revoked[0].reason]).toEqual(["revocation list", 2, "keyCompromise"])
        const [key] = JSON.parse(await plomb("show", join(pki, "operator/key.pem"), "--json"))
        expect(key).toEqual({ kind: "private key", encrypted: false, mode: "600" })
    })

    it("renews a party and shows what it had before", async () => {
        await plomb("renew", "operator", "--in", pki, "--new-key", "--host", "head.example.org", "--host", "192.0.2.1")
        const text = await plomb("show", pki)
        expect(text).toMatch(
            /operator\n.*\n.*head.example.org, 192.0.2.1\n.*\n.*\n +before: valid, to .*, serial [0-9a-f]+/,
        )
    })

    it("refuses wrong words as usage", async () => {
        const wrong = [
            [],
            ["inti"],
            ["init"],
            ["init", "a", "b"],
            ["init", "a", "--passphrase", "b"],
            ["init", "a", "--days", "0"],
            ["issue", "king", "--in", pki, "--name", "x"],
            ["issue", "operator", "--name", "x"],
            ["issue", "operator", "--in", pki],
            ["issue", "meter", "--in", pki, "--server-id", "0a01504c420100000001"],
            ["revoke", "12"],
            ["renew", "operator"],
            ["renew", "--in", pki],
            ["renew", "operator", "--in", pki, "--new-key", "--csr", "x"],
            ["show"],
        ]
        for (const args of wrong) await expect(run(args), args.join(" ")).rejects.toThrow(UsageError)
    })

    it("refuses bad input in one line and leaves nothing behind", async () => {
        const junk = join(folder, "junk")
        writeFileSync(junk, "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n")
        const before = readdirSync(pki)
        const refusals = [
            [["init", pki], "is there already"],
            [["init", join(folder, "new"), "--passphrase-file", join(folder, "absent")], "can not be read"],
            [["init", join(folder, "new"), "--passphrase-env", "PLOMB_NO_SUCH"], "is empty"],
            [["issue", "operator", "--in", folder, "--name", "x"], "is not a PKI"],
            [["issue", "operator", "--in", pki, "--name", "../x"], "is not a name"],
            [["issue", "operator", "--in", pki, "--name", "x", "--csr", junk], "not PKCS#10"],
            [["issue", "muc", "--in", pki, "--server-id", "xyz"], "7 octets in hex"],
            [["issue", "operator", "--in", pki, "--name", "x", "--host", "a/b"], "neither a host name"],
            [["show", junk], "does not parse"],
            [["show", join(folder, "absent")], "there is no"],
            [["issue", "operator", "--in", pki, "--name", "Plomb Security management"], "of another party"],
            [["renew", "king", "--in", pki], "has no party king"],
            [["revoke", junk, "--in", pki], "holds no certificate"],
        ] as const
        for (const [args, reason] of refusals) {
            const error = await run([...args]).catch(thrown => thrown as Error)
            expect(error, args.join(" ")).toBeInstanceOf(Error)
            expect((error as Error).message).toContain(reason)
            expect((error as Error).message).not.toContain("\n")
        }
        expect(existsSync(join(folder, "new"))).toBe(false)
        expect(readdirSync(pki)).toEqual(before)
    })
})
