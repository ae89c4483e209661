import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest"
import { parseCrl } from "../../firmware/core/crl"
import { writeCsr } from "../../firmware/core/csr"
import { generateKeyP256, signP256 } from "../../firmware/core/ecdsa"
import { UsageError } from "../../tools/cli/usage.ts"
import { openDirectory } from "../../tools/directory/client.ts"
import { Directory } from "../../tools/directory/directory.ts"
import { run } from "../../tools/pki/command.ts"
import { initPki } from "../../tools/pki/init.ts"
import { issueMeterCertificate } from "../../tools/pki/issue.ts"
import { readPem } from "../../tools/pki/pem.ts"
import { publishParties } from "../../tools/pki/publish.ts"

const folder = mkdtempSync(join(tmpdir(), "plomb-pki-publish-"))
const pki = join(folder, "pki")
const password = join(folder, "password")
const writer = ["--writer-password-file", password]
let directory: Directory
let printed: string[] = []
let complaints: string[] = []

function text(...path: string[]): string {
    return readFileSync(join(pki, ...path), "utf8")
}

function der(...path: string[]): Buffer {
    return readPem(text(...path))[0].der
}

/** Runs `plomb pki`; its exit code, with what it said in `printed` and `complaints`. */
async function plomb(...args: string[]): Promise<number> {
    printed = []
    complaints = []
    return run(args)
}

/** A value of an entry as anybody finds it. */
async function found(cn: string, container: string, attribute: string): Promise<Buffer[]> {
    const client = await openDirectory(directory.url)
    try {
        const [entry] = await client.search(`cn=${cn},ou=${container},o=plomb`)
        return (entry?.attributes[`${attribute};binary`] ?? []) as Buffer[]
    } finally {
        await client.close()
    }
}

beforeAll(async () => {
    vi.spyOn(console, "log").mockImplementation(line => void printed.push(`${line}`))
    vi.spyOn(console, "error").mockImplementation(line => void complaints.push(`${line}`))
    await initPki(pki)
    writeFileSync(password, "all may be written\n")
    directory = new Directory({
        plain: { port: 0 },
        tls: {
            port: 0,
            key: text("directory", "key.pem"),
            chain: text("directory", "chain.pem"),
            ca: text("ca-root", "cert.pem") + text("institute-root", "cert.pem"),
        },
        writerPassword: "all may be written",
    })
    await directory.listen()
})
afterAll(async () => {
    vi.restoreAllMocks()
    await directory.close()
    rmSync(folder, { recursive: true, force: true })
})

describe("plomb pki publish", () => {
    it("puts the whole PKI into a directory, and nothing where it is there", async () => {
        expect(await plomb("publish", pki, "--to", directory.url, ...writer)).toBe(0)
        expect(printed).toContain("added cn=security-management,ou=authorities,o=plomb")
        expect(await found("ca-root", "authorities", "cACertificate")).toEqual([der("ca-root/cert.pem")])
        expect(await found("operator", "operators", "userCertificate")).toEqual([der("operator/cert.pem")])
        expect(await found("manufacturer", "authorities", "certificateRevocationList")).toEqual([
            der("manufacturer/crl.pem"),
        ])
        expect(await plomb("publish", pki, "--to", directory.tlsUrl, ...writer)).toBe(0)
        expect(printed).toEqual([expect.stringMatching(/^0 written, \d+ unchanged$/)])
    })

    it("is for a writer, but an authority may publish its own by its certificate", async () => {
        const all = plomb("publish", pki, "--to", directory.tlsUrl)
        await expect(all).rejects.toThrow("give --writer-password-file")
        await expect(plomb("publish", pki, "operator", "--to", directory.url)).rejects.toThrow("without TLS nobody")
        expect(await plomb("publish", pki, "operator", "security-management", "--to", directory.tlsUrl)).toBe(0)
        expect(printed).toEqual(["0 written, 2 unchanged"])
    })

    it("refuses wrong words before it does anything", async () => {
        const issue = ["issue", "operator", "--in", pki, "--name", "wrong"]
        const wrong = [
            ["publish", pki],
            ["publish", "--to", directory.url],
            ["publish", pki, "--publish", directory.url],
            [...issue, "--publish", "http://localhost"],
            [...issue, ...writer],
            [...issue, "--publish", directory.url, "--bind", "cn=writer,o=plomb"],
        ]
        for (const args of wrong) await expect(plomb(...args), args.join(" ")).rejects.toThrow(UsageError)
        expect(await found("wrong", "operators", "userCertificate")).toEqual([])
        await expect(plomb("publish", pki, "king", "--to", directory.tlsUrl)).rejects.toThrow("no party king")
    })
})

describe("What is issued, renewed or revoked with --publish", () => {
    const to = () => ["--in", pki, "--publish", directory.tlsUrl]

    it("is in the directory at once, published by its issuer", async () => {
        expect(await plomb("issue", "operator", "--name", "alice", ...to())).toBe(0)
        expect(await found("alice", "operators", "userCertificate")).toEqual([der("operators/alice/cert.pem")])
        expect(await plomb("issue", "concentrator", "--server-id", "05010203040501", ...to())).toBe(0)
        expect(await found("05010203040501", "devices", "userCertificate")).toEqual([
            der("concentrators/05010203040501/cert.pem"),
        ])
        expect(await plomb("renew", "operators/alice", "--new-key", ...to())).toBe(0)
        expect(await found("alice", "operators", "userCertificate")).toEqual([der("operators/alice/cert.pem")])

        expect(await plomb("revoke", join(pki, "operators/alice/cert.pem"), ...to())).toBe(0)
        const [list] = await found("security-management", "authorities", "certificateRevocationList")
        expect(list).toEqual(der("security-management/crl.pem"))
        expect(parseCrl(list).number).toEqual(Buffer.from([2]))
        expect(await plomb("crl", pki, "manufacturer", "--publish", directory.tlsUrl)).toBe(0)
        expect(printed).toContain(`changed cn=manufacturer,ou=authorities,o=plomb at ${directory.tlsUrl}`)
    })

    it("of a meter is published by the calibration authority", async () => {
        const id = "0a01504c420100000007"
        const pair = generateKeyP256()
        const key = { publicKey: () => pair.publicKey, sign: (digest: Buffer) => signP256(pair.privateKey, digest) }
        const { certificate } = await issueMeterCertificate(pki, writeCsr(id, "7", key), id)
        const done = await publishParties(pki, [`meters/${id}`], { url: directory.tlsUrl })
        expect(done).toEqual([{ dn: `cn=${id},ou=devices,o=plomb`, did: "added" }])
        expect(await found(id, "devices", "userCertificate")).toEqual([certificate])
    })

    it("under an issuer's new key stands beside what was under the old one", async () => {
        expect(await plomb("renew", "manufacturer", "--in", pki, "--new-key")).toBe(0)
        expect(await plomb("publish", pki, "manufacturer", "--to", directory.tlsUrl, ...writer)).toBe(0)
        expect((await found("manufacturer", "authorities", "cACertificate")).length).toBe(2)
        expect(await found("manufacturer", "authorities", "certificateRevocationList")).toEqual(
            readPem(text("manufacturer/crl.pem")).map(object => object.der),
        )
    })

    it("stands where the directory can not be reached or refuses, which is said with what repeats it", async () => {
        const gone = "ldaps://127.0.0.1:1"
        expect(await plomb("issue", "operator", "--name", "bob", "--in", pki, "--publish", gone)).toBe(1)
        expect(printed).toEqual([expect.stringContaining("operators/bob: certificate")])
        expect(complaints.length).toBe(1)
        expect(complaints[0]).toMatch(/done, but not published \(.*ECONNREFUSED.*\); repeat it with plomb pki publish/)
        expect(await found("bob", "operators", "userCertificate")).toEqual([])
        const repeat = /plomb pki (publish .*) --to/.exec(complaints[0])![1].split(" ")
        expect(await plomb(...repeat, "--to", directory.tlsUrl)).toBe(0)
        expect(await found("bob", "operators", "userCertificate")).toEqual([der("operators/bob/cert.pem")])

        expect(await plomb("issue", "directory", "--name", "second", ...to())).toBe(1)
        expect(complaints[0]).toContain("ca-root signs nothing but certificates: give --writer-password-file")
        expect(await plomb("publish", pki, "directories/second", "--to", directory.tlsUrl, ...writer)).toBe(0)
    })
})
