import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import fc from "fast-check"
import { Client } from "ldapts"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { BerDamage } from "../../tools/directory/ber.ts"
import { openDirectory } from "../../tools/directory/client.ts"
import { Directory } from "../../tools/directory/directory.ts"
import { escapeValue, readDn } from "../../tools/directory/dn.ts"
import { bind, change, compare, search } from "../../tools/directory/operations.ts"
import { containerEntries, publishPki } from "../../tools/directory/publish.ts"
import { readMessage } from "../../tools/directory/requests.ts"
import { LdapError, ResultCode } from "../../tools/directory/result.ts"
import { noStore } from "../../tools/directory/store.ts"
import { Tree } from "../../tools/directory/tree.ts"
import { readPem } from "../../tools/pki/pem.ts"
import { revoke } from "../../tools/pki/revoke.ts"
import { anonymousBind, baseSearch, ldapMessage, RawLdap, tlv } from "../helpers/ldap.ts"
import { TlsWorld } from "../helpers/tls-world.ts"

const writer = { bindDn: "cn=writer,o=plomb", password: "only for this test" }
const folder = mkdtempSync(join(tmpdir(), "plomb-directory-"))
let world: TlsWorld
beforeAll(async () => {
    world = await TlsWorld.make()
})
afterAll(() => {
    world.remove()
    rmSync(folder, { recursive: true })
})

describe("names", () => {
    it("read back every value that was escaped, and match without case and double blanks", () => {
        fc.assert(
            fc.property(fc.string({ minLength: 1, unit: "grapheme" }), value => {
                fc.pre(value.normalize("NFKC").trim() !== "")
                const [rdn] = readDn(`cn=${escapeValue(value)},o=plomb`).rdns
                expect(rdn.parts[0].value.toString()).toBe(value)
            }),
        )
        expect(readDn("CN=Two  words , O=PLOMB").key).toBe(readDn("commonName=two words,2.5.4.10=plomb").key)
        expect(readDn("cn=a+serialNumber=1").key).toBe(readDn("serialNumber=1+cn=a").key)
    })

    it.each([
        "cn",
        "cn=",
        "=a",
        "cn=a,",
        "nope=a",
        "cn=a\\",
        "cn=a\\zz",
        'cn="a"',
        "cn=#0401",
        `${"cn=a,".repeat(40)}o=b`,
    ])("refuse %s", text => {
        expect(() => readDn(text)).toThrow(LdapError)
    })
})

describe("a directory that is sent anything", () => {
    it("reads 20,000 mutated messages or says what is wrong with them, and serves on", async () => {
        const faults: string[] = []
        const directory = new Directory({ writerPassword: writer.password, log: line => faults.push(line) })
        await directory.listen()
        const device = tlv(0x30, tlv(0x30, tlv(4, "objectClass"), tlv(0x31, tlv(4, "organization"))))
        const filter = tlv(
            0xa0,
            tlv(0xa4, tlv(4, "cn"), tlv(0x30, tlv(0x80, "a"), tlv(0x82, "b"))),
            tlv(0xa2, tlv(0x87, "o")),
        )
        const fixed = [tlv(10, 2), tlv(10, 0), tlv(2, 0), tlv(2, 0), tlv(1, 0), filter]
        const seeds = [
            ldapMessage(1, anonymousBind),
            ldapMessage(2, tlv(0x60, tlv(2, 3), tlv(4, writer.bindDn), tlv(0x80, writer.password))),
            ldapMessage(3, baseSearch("o=plomb", "userCertificate;binary", "*", "+")),
            ldapMessage(4, tlv(0x63, tlv(4, "o=plomb"), ...fixed, tlv(0x30, tlv(4, "cn")))),
            ldapMessage(5, tlv(0x68, tlv(4, "o=plomb"), device)),
            ldapMessage(
                6,
                tlv(
                    0x66,
                    tlv(4, "o=plomb"),
                    tlv(0x30, tlv(0x30, tlv(10, 2), tlv(0x30, tlv(4, "l"), tlv(0x31, tlv(4, "x"))))),
                ),
            ),
            ldapMessage(7, tlv(0x6e, tlv(4, "o=plomb"), tlv(0x30, tlv(4, "o"), tlv(4, "plomb")))),
            ldapMessage(8, tlv(0x4a, "o=plomb"), tlv(0xa0, tlv(0x30, tlv(4, "1.2.3"), tlv(1, 0xff)))),
            ldapMessage(9, tlv(0x77, tlv(0x80, "1.3.6.1.4.1.4203.1.11.3"))),
            ldapMessage(10, tlv(0x6c, tlv(4, "o=plomb"), tlv(4, "o=b"), tlv(1, 0xff))),
        ]
        const octet = fc.record({ at: fc.nat(), value: fc.integer({ min: 0, max: 255 }) })
        const mutated = fc
            .tuple(fc.constantFrom(...seeds), fc.array(octet, { minLength: 1, maxLength: 3 }), fc.boolean())
            .map(([seed, changes, cut]) => {
                const octets = Buffer.from(seed)
                for (const { at, value } of changes) octets[at % octets.length] = value
                // Half of them keep the frame, so that what is inside is read
                octets[0] = 0x30
                octets[1] = octets.length - 2
                return cut ? octets.subarray(0, 2 + (changes[0].at % octets.length)) : octets
            })
        const cases = fc.sample(mutated, 20_000)
        const tree = new Tree(noStore)
        let read = 0
        for (const octets of cases)
            try {
                const operation = readMessage(octets).operation()
                read++
                if (operation.kind === "search") [...search(tree, operation, false)]
                else if (operation.kind === "compare") compare(tree, operation)
                else if (operation.kind === "bind") bind(operation, Buffer.from("x"), () => undefined)
                else if (operation.kind === "add" || operation.kind === "modify" || operation.kind === "delete")
                    change(tree, { kind: "writer" }, operation)
            } catch (error) {
                if (!(error instanceof BerDamage || error instanceof LdapError)) throw error
            }
        expect(read).toBeGreaterThan(2000)
        await Promise.all([0, 1, 2, 3].map(n => lane(directory.url, cases.slice(n * 100, n * 100 + 100))))
        expect(faults).toEqual([])
        const raw = await RawLdap.open(directory.url)
        expect((await raw.ask(ldapMessage(1, anonymousBind), 1))[0].code).toBe(0)
        raw.socket.destroy()
        await directory.close()
    })

    /** Sends messages on one session until it ends, then on the next; every one is followed by one that must be answered. */
    async function lane(url: string, cases: Buffer[]): Promise<void> {
        const probe = ldapMessage(100, anonymousBind)
        let raw = await RawLdap.open(url)
        for (const octets of cases) {
            raw.answers.length = 0
            // One that was cut takes probes for its own octets; many of them fill any length of one octet
            await raw.ask(Buffer.concat([octets, ...Array(20).fill(probe)]), 100).catch(() => {})
            if (raw.socket.closed || raw.answers.some(({ id }) => id === 0)) {
                raw.socket.destroy()
                raw = await RawLdap.open(url)
            }
        }
        raw.socket.destroy()
    }

    it("refuses what is nested without end, and a message above 1 MB, with a notice of disconnection", async () => {
        const directory = new Directory()
        await directory.listen()
        let filter = tlv(0x87, "cn")
        for (let i = 0; i < 2000; ++i) filter = tlv(0xa2, filter)
        const fixed = [tlv(10, 2), tlv(10, 0), tlv(2, 0), tlv(2, 0), tlv(1, 0)]
        const deep = ldapMessage(1, tlv(0x63, tlv(4), ...fixed, filter, tlv(0x30)))
        const large = Buffer.concat([Buffer.from("3084001000010201", "hex"), Buffer.alloc(64)])
        for (const octets of [deep, large]) {
            const raw = await RawLdap.open(directory.url)
            const [notice] = await raw.end(octets)
            expect([notice.id, notice.tag, notice.code]).toEqual([0, 0x78, ResultCode.protocolError])
            expect(notice.octets.includes("1.3.6.1.4.1.1466.20036")).toBe(true)
        }
        await directory.close()
    })

    it("takes messages in any cut, and drops connections above its limit", async () => {
        const directory = new Directory({ mostConnections: 1 })
        await directory.listen()
        const raw = await RawLdap.open(directory.url)
        for (const each of ldapMessage(1, anonymousBind).subarray(0, -1)) {
            raw.socket.write(Buffer.from([each]))
            await new Promise(setImmediate)
        }
        expect((await raw.ask(ldapMessage(1, anonymousBind).subarray(-1), 1))[0].code).toBe(0)
        const second = await RawLdap.open(directory.url)
        expect(await second.end(ldapMessage(1, anonymousBind))).toEqual([])
        raw.socket.destroy()
        await directory.close()
    })
})

describe("the store", () => {
    it("has every acknowledged change after the process was killed", async () => {
        const store = join(folder, "store")
        const passwordFile = join(folder, "password")
        writeFileSync(passwordFile, `${writer.password}\n`)
        const words = [
            "tools/plomb.mjs",
            "directory",
            "--listen",
            "0",
            "--store",
            store,
            "--writer-password-file",
            passwordFile,
        ]
        const child = spawn(process.execPath, words, { stdio: ["ignore", "ignore", "pipe"] })
        const [said] = await once(child.stderr, "data")
        const url = /ldap:\/\/\S+:\d+/.exec(`${said}`)?.[0] ?? ""
        const client = await openDirectory(url, writer)
        for (const entry of containerEntries()) await client.publish(entry)
        const acknowledged: string[] = []
        const dead = once(child, "exit")
        try {
            for (let i = 0; i < 1000; ++i) {
                const cn = `${i % 7}`
                const dn = `cn=${cn},ou=devices,o=plomb`
                await client.publish({ dn, attributes: { objectClass: ["device"], cn: [cn], description: [`${i}`] } })
                acknowledged.push(dn)
                if (i === 60) child.kill("SIGKILL")
            }
        } catch {}
        await dead
        expect(acknowledged.length).toBeGreaterThan(60)
        const again = new Directory({ store })
        await again.listen()
        const reader = await openDirectory(again.url)
        const last = new Map(acknowledged.map((dn, i) => [dn, i]))
        for (const [dn, i] of last) {
            const [{ attributes }] = await reader.search(dn)
            // The one that was under way may have been written too
            expect(Number(attributes.description[0])).toBeGreaterThanOrEqual(i)
        }
        await reader.close()
        await again.close()
        expect(readdirSync(store).filter(name => !name.endsWith(".json"))).toEqual([])
    })

    it("is not opened by two, nor when a file of it is damaged", async () => {
        const store = join(folder, "own")
        const first = new Directory({ store, writerPassword: writer.password })
        await first.listen()
        expect(() => new Directory({ store })).toThrow(/uses/)
        const client = await openDirectory(first.url, writer)
        await client.publish(containerEntries()[0])
        await client.close()
        await first.close()
        const [name] = readdirSync(store)
        writeFileSync(join(store, name), readFileSync(join(store, name)).subarray(0, 20))
        expect(() => new Directory({ store })).toThrow(/damaged/)
    })
})

describe("a party that publishes by its certificate", () => {
    const own = "cn=manufacturer,ou=authorities,o=plomb"

    it("changes its own entry and what it certified, until it is revoked, and nothing of others", async () => {
        const { key, chain, ca } = world.party("directory")
        const directory = new Directory({
            plain: { port: 0 },
            tls: { port: 0, key, chain, ca },
            writerPassword: writer.password,
        })
        await directory.listen()
        const bench = await openDirectory(directory.url, writer)
        await publishPki(bench, world.folder)
        const tls = world.party("manufacturer")
        const party = await openDirectory(directory.tlsUrl, { tls, external: true })
        const describeAs = (dn: string) => party.publish({ dn, attributes: { description: ["x"] } })
        expect(await describeAs(own)).toBe("changed")
        for (const dn of [
            "cn=ca-root,ou=authorities,o=plomb",
            "cn=operator,ou=operators,o=plomb",
            "ou=devices,o=plomb",
        ])
            await expect(describeAs(dn)).rejects.toMatchObject({ code: ResultCode.insufficientAccessRights })
        await expect(party.remove(own)).rejects.toMatchObject({ code: ResultCode.insufficientAccessRights })
        const muc = await world.issue("concentrator", "05c0ffee000002", ["127.0.0.1"])
        const certificate = readPem(readFileSync(join(world.folder, muc, "cert.pem"), "latin1"))[0].der
        const device = (cn: string, octets: Buffer) => ({
            dn: `cn=${cn},ou=devices,o=plomb`,
            attributes: { objectClass: ["device", "pkiUser"], cn: [cn], "userCertificate;binary": [octets] },
        })
        expect(await party.publish(device("05c0ffee000002", certificate))).toBe("added")
        const foreign = readPem(world.party("operator").chain)[0].der
        await expect(party.publish(device("05c0ffee000003", foreign))).rejects.toMatchObject({ code: 50 })
        expect(await party.remove("cn=05c0ffee000002,ou=devices,o=plomb")).toBe(true)

        const operator = openDirectory(directory.tlsUrl, { tls: world.party("operator"), external: true })
        await expect(operator).rejects.toMatchObject({ code: ResultCode.inappropriateAuthentication })

        await revoke(world.folder, join(world.folder, "manufacturer", "cert.pem"), "keyCompromise")
        await publishPki(bench, world.folder)
        await expect(describeAs(own)).resolves.toBe("unchanged")
        await expect(party.publish({ dn: own, attributes: { description: ["y"] } })).rejects.toMatchObject({
            code: ResultCode.strongerAuthRequired,
        })
        await expect(openDirectory(directory.tlsUrl, { tls })).rejects.toThrow()
        await party.close()
        await bench.close()
        await directory.close()
    })

    it("believes only a directory: a server of another role, or another name, is left", async () => {
        const operator = world.party("operator")
        const wrongRole = new Directory({ tls: { port: 0, key: operator.key, chain: operator.chain } })
        await wrongRole.listen()
        await expect(openDirectory(wrongRole.tlsUrl, { tls: { ca: operator.ca } })).rejects.toThrow(/not a directory/)
        await wrongRole.close()
        const other = world.party(await world.issue("directory", "elsewhere", ["directory.example"]))
        const wrongName = new Directory({ tls: { port: 0, key: other.key, chain: other.chain } })
        await wrongName.listen()
        await expect(openDirectory(wrongName.tlsUrl, { tls: { ca: operator.ca } })).rejects.toThrow(
            /altnames|127.0.0.1/,
        )
        await wrongName.close()
    })

    it("binds by nothing on a connection without TLS", async () => {
        const directory = new Directory()
        await directory.listen()
        const client = new Client({ url: directory.url })
        await expect(client.bind("EXTERNAL")).rejects.toMatchObject({ code: ResultCode.inappropriateAuthentication })
        await client.unbind()
        await directory.close()
    })
})
