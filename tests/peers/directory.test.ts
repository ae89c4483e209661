import { spawn } from "node:child_process"
import { once } from "node:events"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { connect as tlsConnect } from "node:tls"
import fc from "fast-check"
import { Attribute, Change, Client } from "ldapts"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { openDirectory } from "../../tools/directory/client.ts"
import { Directory } from "../../tools/directory/directory.ts"
import { readDn } from "../../tools/directory/dn.ts"
import { publishPki } from "../../tools/directory/publish.ts"
import { ResultCode } from "../../tools/directory/result.ts"
import { readPem } from "../../tools/pki/pem.ts"
import { renewCrls } from "../../tools/pki/revoke.ts"
import { tlsProfile } from "../../tools/tls/server.ts"
import { hasProgram, requireExtra } from "../extras.ts"
import { anonymousBind, baseSearch, ldapMessage, RawLdap, tlv } from "../helpers/ldap.ts"
import { hasSlapd, Slapd } from "../helpers/slapd.ts"
import { TlsWorld } from "../helpers/tls-world.ts"

const password = "only for this test"
const writer = { bindDn: "cn=writer,o=plomb", password }
const manufacturer = "cn=manufacturer,ou=authorities,o=plomb"

interface Peer {
    url: string
    tlsUrl: string
    stop(): Promise<void>
}

let world: TlsWorld
beforeAll(async () => {
    world = await TlsWorld.make()
    await world.issue("operator", "Muller Anna")
    await world.issue("concentrator", "05c0ffee000001", ["127.0.0.1"])
})
afterAll(() => world.remove())

async function embedded(): Promise<Peer> {
    const { key, chain, ca } = world.party("directory")
    const plain = { port: 0 }
    const directory = new Directory({ plain, tls: { port: 0, key, chain, ca }, writerPassword: password })
    await directory.listen()
    return { url: directory.url, tlsUrl: directory.tlsUrl, stop: () => directory.close() }
}

const der = (...path: string[]) => readPem(readFileSync(join(world.folder, ...path), "latin1"))[0].der

const slapd = hasSlapd()
const peers = [
    { name: "the embedded directory", start: embedded, present: true },
    { name: "OpenLDAP's slapd", start: () => Slapd.start(world.folder, password), present: slapd },
]
const openldapClients = requireExtra(
    "ldapsearch",
    hasProgram("ldapsearch", "-VV") && hasProgram("ldapadd", "-VV"),
    "Debian package ldap-utils",
)

/** Result code of an operation. */
async function codeOf(operation: Promise<unknown>): Promise<number> {
    try {
        await operation
        return 0
    } catch (error) {
        if (typeof (error as { code?: unknown }).code !== "number") throw error
        return (error as { code: number }).code
    }
}

const list = (attributes: Record<string, (string | Buffer)[]>) =>
    Object.entries(attributes).map(
        ([type, values]) => new Attribute({ type, values: values.map(each => Buffer.from(each as string)) }),
    )
const change = (operation: "add" | "delete" | "replace", type: string, ...values: (string | Buffer)[]) =>
    new Change({ operation, modification: list({ [type]: values })[0] })

for (const { name, start, present } of peers)
    describe.skipIf(!present)(`a directory that is ${name}`, () => {
        let peer: Peer
        let client: Client
        const tls = (party: string) => ({ ...world.party(party), crls: undefined })

        beforeAll(async () => {
            peer = await start()
            client = new Client({ url: peer.url, strictDN: false })
            await client.bind(writer.bindDn, writer.password)
        })
        afterAll(async () => {
            await client?.unbind()
            await peer?.stop()
        })

        it("takes a whole PKI, and the second time finds nothing to write", async () => {
            const directory = await openDirectory(peer.url, writer)
            const first = await publishPki(directory, world.folder)
            expect(first.map(({ did }) => did)).toEqual(first.map(() => "added"))
            expect(first.map(({ dn }) => dn)).toEqual([
                "o=plomb",
                "ou=authorities,o=plomb",
                "ou=operators,o=plomb",
                "ou=devices,o=plomb",
                "cn=institute-root,ou=authorities,o=plomb",
                "cn=calibration-authority,ou=authorities,o=plomb",
                "cn=institute-approval,ou=authorities,o=plomb",
                "cn=ca-root,ou=authorities,o=plomb",
                manufacturer,
                "cn=security-management,ou=authorities,o=plomb",
                "cn=operator,ou=operators,o=plomb",
                "cn=data-collection,ou=operators,o=plomb",
                "cn=directory,ou=devices,o=plomb",
                "cn=05c0ffee000001,ou=devices,o=plomb",
                "cn=Muller Anna,ou=operators,o=plomb",
            ])
            const second = await publishPki(directory, world.folder)
            expect(second.map(({ did }) => did)).toEqual(first.map(() => "unchanged"))
            await directory.close()
        })

        it("gives the octets of certificates and lists as they were published, over TLS 1.3 with our certificate", async () => {
            const directory = await openDirectory(peer.tlsUrl, { tls: tls("operator") })
            const names = ["userCertificate;binary", "cACertificate;binary", "certificateRevocationList;binary"]
            const [entry] = await directory.search(manufacturer, "base", "(objectClass=*)", names)
            expect(entry).toEqual({
                dn: manufacturer,
                attributes: {
                    "userCertificate;binary": [der("manufacturer", "cert.pem")],
                    "cACertificate;binary": [der("manufacturer", "cert.pem")],
                    "certificateRevocationList;binary": [der("manufacturer", "crl.pem")],
                },
            })
            await directory.close()
        })

        it("changes only the entry whose list is new", async () => {
            await renewCrls(world.folder, ["manufacturer"])
            const directory = await openDirectory(peer.url, writer)
            const changed = (await publishPki(directory, world.folder)).filter(({ did }) => did !== "unchanged")
            expect(changed).toEqual([{ dn: manufacturer, did: "changed" }])
            const [{ attributes }] = await directory.search(manufacturer)
            expect(attributes["certificateRevocationList;binary"]).toEqual([der("manufacturer", "crl.pem")])
            await directory.close()
        })

        it("answers a device's anonymous bind and base-object search on one mutual TLS session with records of 512 octets", async () => {
            const { hostname, port } = new URL(peer.tlsUrl)
            const { key, chain, ca } = world.party("operator")
            const socket = tlsConnect({ ...tlsProfile, host: hostname, port: Number(port), key, cert: chain, ca })
            await new Promise(resolve => socket.once("secureConnect", resolve))
            socket.setMaxSendFragment(512)
            const raw = new RawLdap(socket)
            expect((await raw.ask(ldapMessage(1, anonymousBind), 1)).map(({ tag, code }) => [tag, code])).toEqual([
                [0x61, 0],
            ])
            const wanted = ["userCertificate;binary", "certificateRevocationList;binary"]
            const [entry, done] = await raw.ask(ldapMessage(2, baseSearch(manufacturer, ...wanted)), 2)
            expect([entry.tag, done.tag, done.code]).toEqual([0x64, 0x65, 0])
            expect(entry.octets.includes(der("manufacturer", "cert.pem"))).toBe(true)
            expect(entry.octets.includes(der("manufacturer", "crl.pem"))).toBe(true)
            await raw.end(ldapMessage(3, tlv(0x42)))
        })

        it("lets nobody in over TLS without a certificate, with one of another CA, or with TLS 1.2", async () => {
            const { ca, key, chain } = world.party("operator")
            const institute = world.party("calibration-authority")
            const tries = [
                { ca },
                { ca, key: institute.key, cert: institute.chain },
                { ca, key, cert: chain, maxVersion: "TLSv1.2" as const, minVersion: "TLSv1.2" as const },
            ]
            for (const tlsOptions of tries) {
                const stranger = new Client({ url: peer.tlsUrl, tlsOptions, timeout: 10_000 })
                await expect(stranger.search("o=plomb", { scope: "base" })).rejects.toThrow()
                await stranger.unbind().catch(() => {})
            }
        })

        it("reads for anybody and writes for nobody without the password", async () => {
            const anonymous = new Client({ url: peer.url })
            expect((await anonymous.search("o=plomb", { scope: "base" })).searchEntries).toHaveLength(1)
            expect(await codeOf(anonymous.del(manufacturer))).toBe(ResultCode.strongerAuthRequired)
            expect(await codeOf(anonymous.modify(manufacturer, change("replace", "description", "x")))).toBe(8)
            expect(await codeOf(anonymous.bind(writer.bindDn, "wrong"))).toBe(ResultCode.invalidCredentials)
            expect(await codeOf(anonymous.bind("cn=nobody,o=plomb", password))).toBe(ResultCode.invalidCredentials)
            expect(await codeOf(anonymous.bind("no name", password))).toBe(ResultCode.invalidDNSyntax)
            expect(
                await codeOf(anonymous.add("cn=x,ou=devices,o=plomb", list({ objectClass: ["device"], cn: ["x"] }))),
            ).toBe(8)
            await anonymous.unbind()
        })

        it("gives the result codes of RFC 4511 for what can not be added", async () => {
            const add = (dn: string, attributes: Record<string, (string | Buffer)[]>) =>
                codeOf(client.add(dn, list(attributes)))
            const device = { objectClass: ["device"], cn: ["d1"] }
            const dn = "cn=d1,ou=devices,o=plomb"
            expect(await add(dn, { cn: ["d1"] })).toBe(ResultCode.objectClassViolation)
            expect(await add(dn, { ...device, objectClass: ["unheard-of"] })).toBe(ResultCode.invalidAttributeSyntax)
            expect(await add(dn, { ...device, unheardOf: ["1"] })).toBe(ResultCode.undefinedAttributeType)
            expect(await add(dn, { ...device, userCertificate: [der("operator", "cert.pem")] })).toBe(
                ResultCode.undefinedAttributeType,
            )
            expect(await add(dn, { ...device, "userCertificate;binary": [der("operator", "cert.pem")] })).toBe(
                ResultCode.objectClassViolation,
            )
            expect(
                await add(dn, {
                    objectClass: ["device", "pkiUser"],
                    cn: ["d1"],
                    "userCertificate;binary": ["no certificate"],
                }),
            ).toBe(ResultCode.invalidAttributeSyntax)
            expect(await add(dn, { ...device, description: ["twice", "Twice "] })).toBe(
                ResultCode.attributeOrValueExists,
            )
            expect(await add(dn, { ...device, createTimestamp: ["20260101000000Z"] })).toBe(
                ResultCode.constraintViolation,
            )
            expect(await add("cn=d1,ou=nowhere,o=plomb", device)).toBe(ResultCode.noSuchObject)
            expect(await add("o=elsewhere", { objectClass: ["organization"], o: ["elsewhere"] })).toBe(
                ResultCode.unwillingToPerform,
            )
            expect(await add("d1", device)).toBe(ResultCode.invalidDNSyntax)
            expect(await add(dn, device)).toBe(0)
            expect(await add("CN=D1 , OU=Devices,O=Plomb", device)).toBe(ResultCode.entryAlreadyExists)
        })

        it("gives the result codes of RFC 4511 for what can not be modified, compared or deleted", async () => {
            const dn = "cn=d1,ou=devices,o=plomb"
            const modify = (...changes: Change[]) => codeOf(client.modify(dn, changes))
            expect(await modify(change("delete", "description"))).toBe(ResultCode.noSuchAttribute)
            expect(await modify(change("add", "description", "a", "b"))).toBe(0)
            expect(await modify(change("add", "description", "A"))).toBe(ResultCode.attributeOrValueExists)
            expect(await modify(change("delete", "description", "c"))).toBe(ResultCode.noSuchAttribute)
            expect(await modify(change("replace", "unheardOf", "c"))).toBe(ResultCode.undefinedAttributeType)
            expect(await modify(change("delete", "objectClass"))).toBe(ResultCode.objectClassViolation)
            expect(await modify(change("replace", "objectClass", "organizationalRole"))).toBe(
                ResultCode.objectClassModsProhibited,
            )
            expect(await modify(change("replace", "seeAlso", "not a name"))).toBe(ResultCode.invalidAttributeSyntax)
            // All or nothing
            expect(await modify(change("replace", "description", "c"), change("delete", "l"))).toBe(
                ResultCode.noSuchAttribute,
            )
            expect(await codeOf(client.compare(dn, "description", "B").then(same => expect(same).toBe(true)))).toBe(0)
            expect(await codeOf(client.compare(dn, "description", "c").then(same => expect(same).toBe(false)))).toBe(0)
            expect(await codeOf(client.compare(dn, "unheardOf", "c"))).toBe(ResultCode.undefinedAttributeType)
            expect(await codeOf(client.compare(dn, "l", "c"))).toBe(ResultCode.noSuchAttribute)
            expect(await codeOf(client.compare(`cn=d2,${dn}`, "l", "c"))).toBe(ResultCode.noSuchObject)
            expect(await codeOf(client.modify("cn=d2,ou=devices,o=plomb", change("delete", "l")))).toBe(
                ResultCode.noSuchObject,
            )
            expect(await codeOf(client.del("ou=devices,o=plomb"))).toBe(ResultCode.notAllowedOnNonLeaf)
            expect(await codeOf(client.del(dn))).toBe(0)
            expect(await codeOf(client.del(dn))).toBe(ResultCode.noSuchObject)
        })

        it.each([
            ["(cn=manufacturer)", ["manufacturer"]],
            ["(cn=MANU*R)", ["manufacturer"]],
            [
                "(cn=*-*a*t*)",
                [
                    "calibration-authority",
                    "ca-root",
                    "institute-approval",
                    "institute-root",
                    "security-management",
                    "data-collection",
                ].filter(each => /-.*a.*t/.test(each)),
            ],
            ["(&(objectClass=pkiCA)(!(cn=*root)))", ["calibration-authority", "manufacturer", "security-management"]],
            ["(|(cn=operator)(commonName=directory))", ["directory", "operator"]],
            ["(&(certificateRevocationList=*)(cn=ca-root))", ["ca-root"]],
            ["(&(cn=operator)(modifyTimestamp>=20200101000000Z))", ["operator"]],
            ["(&(cn=operator)(modifyTimestamp<=20200101000000Z))", []],
            // What is undefined is not true, and neither is its negation
            ["(unheardOf=1)", []],
            ["(!(unheardOf=1))", []],
            ["(&(cn=operator)(!(&(unheardOf=1)(cn=operator))))", []],
            ["(&(cn=operator)(|(unheardOf=1)(cn=operator)))", ["operator"]],
            ["(!(cn>=m))", []],
            ["(cn=\\2a)", []],
        ])("finds by %s", async (filter, names) => {
            const { searchEntries } = await client.search("o=plomb", { scope: "sub", filter, attributes: ["cn"] })
            expect(searchEntries.map(({ cn }) => cn).sort()).toEqual([...names].sort())
        })

        it("keeps scopes, selections and limits", async () => {
            const dns = async (base: string, scope: "base" | "one" | "sub") =>
                (await client.search(base, { scope, attributes: ["1.1"] })).searchEntries.map(({ dn }) => dn).sort()
            expect(await dns("o=plomb", "base")).toEqual(["o=plomb"])
            expect(await dns("o=plomb", "one")).toEqual([
                "ou=authorities,o=plomb",
                "ou=devices,o=plomb",
                "ou=operators,o=plomb",
            ])
            expect(await dns("ou=operators,o=plomb", "sub")).toHaveLength(4)
            const namesOf = async (options: object) =>
                Object.entries(
                    (await client.search("cn=operator,ou=operators,o=plomb", { scope: "base", ...options }))
                        .searchEntries[0],
                )
                    .filter(([key, value]) => key !== "dn" && value.length > 0)
                    .map(([key]) => key)
                    .sort()
            expect(await namesOf({})).toEqual(["cn", "objectClass", "userCertificate;binary"])
            expect(await namesOf({ attributes: ["1.1"] })).toEqual([])
            expect(await namesOf({ attributes: ["userCertificate"] })).toEqual(["userCertificate;binary"])
            expect(await namesOf({ attributes: ["USERCERTIFICATE;BINARY", "unheardOf"] })).toEqual([
                "userCertificate;binary",
            ])
            expect(await namesOf({ attributes: ["cn;lang-en"] })).toEqual([])
            expect(await namesOf({ attributes: ["2.5.4.3"] })).toHaveLength(1)
            expect(await namesOf({ attributes: ["*", "subschemaSubentry", "modifyTimestamp"] })).toEqual(
                expect.arrayContaining(["cn", "modifyTimestamp"]),
            )
            expect(await codeOf(client.search("cn=nobody,ou=devices,o=plomb"))).toBe(ResultCode.noSuchObject)
            expect(await codeOf(client.search("nonsense"))).toBe(ResultCode.invalidDNSyntax)
        })

        it("tells the nearest entry above what is not there", async () => {
            const raw = await RawLdap.open(peer.url)
            const [done] = await raw.ask(ldapMessage(1, baseSearch("cn=a,cn=b,ou=devices,o=plomb")), 1)
            expect(done.code).toBe(ResultCode.noSuchObject)
            expect(done.octets.includes("ou=devices,o=plomb")).toBe(true)
            raw.socket.destroy()
        })

        it("answers what it does not know with the code for it, and the session goes on", async () => {
            const raw = await RawLdap.open(peer.url)
            const code = async (id: number, operation: Buffer, ...more: Buffer[]) =>
                (await raw.ask(ldapMessage(id, operation, ...more), id)).at(-1)?.code
            const control = (oid: string, critical: number) => tlv(0xa0, tlv(0x30, tlv(4, oid), tlv(1, critical)))
            expect(await code(1, tlv(0x60, tlv(2, 2), tlv(4), tlv(0x80)))).toBe(ResultCode.protocolError)
            expect(await code(2, tlv(0x60, tlv(2, 3), tlv(4, writer.bindDn), tlv(0x80)))).toBe(
                ResultCode.unwillingToPerform,
            )
            expect(await code(3, tlv(0x60, tlv(2, 3), tlv(4), tlv(0xa3, tlv(4, "NO-SUCH"))))).toBe(
                ResultCode.authMethodNotSupported,
            )
            expect(await code(4, tlv(0x77, tlv(0x80, "1.2.3.4")))).toBe(ResultCode.protocolError)
            expect(await code(5, baseSearch("o=plomb"), control("1.2.3.4", 0xff))).toBe(
                ResultCode.unavailableCriticalExtension,
            )
            expect(await code(6, baseSearch("o=plomb"), control("1.2.3.4", 0))).toBe(0)
            expect(await code(7, baseSearch(""))).toBe(0)
            raw.socket.write(ldapMessage(8, tlv(0x50, 7)))
            expect(await code(9, baseSearch("o=plomb"))).toBe(0)
            await raw.end(ldapMessage(10, tlv(0x42)))
        })

        it.each([
            ["no SEQUENCE", Buffer.alloc(200, "A")],
            ["a response instead of a request", ldapMessage(1, tlv(0x61, tlv(10, 0), tlv(4), tlv(4)))],
            ["an operation that does not exist", ldapMessage(1, tlv(0x7e))],
            ["a length beyond what is read", Buffer.from("30847fffffff020101", "hex")],
        ])("ends the session that sends %s", async (_, octets) => {
            const raw = await RawLdap.open(peer.url)
            expect((await raw.end(octets)).filter(({ id }) => id !== 0)).toEqual([])
        })

        it.skipIf(!openldapClients)("serves ldapsearch and takes what ldapadd brings, plain and over TLS", async () => {
            const party = join(world.folder, "operator")
            const env = {
                ...process.env,
                LDAPTLS_CACERT: join(world.folder, "ca-root", "cert.pem"),
                LDAPTLS_CERT: join(party, "chain.pem"),
                LDAPTLS_KEY: join(party, "key.pem"),
            }
            // Not spawnSync: the embedded directory is in this process
            const call = async (program: string, args: string[], input = "") => {
                const child = spawn(program, args, { env, timeout: 20_000 })
                child.stdin.end(input)
                let [stdout, stderr] = ["", ""]
                child.stdout.on("data", chunk => {
                    stdout += chunk
                })
                child.stderr.on("data", chunk => {
                    stderr += chunk
                })
                const [status] = await once(child, "close")
                return { status, stdout: program === "ldapsearch" ? stdout : "", stderr }
            }
            const dns = ["-x", "-LLL", "-H", peer.url, "-b", "o=plomb"]
            const byOptions = await call("ldapsearch", [...dns, "(certificateRevocationList;binary=*)", "1.1"])
            expect(byOptions.stdout.match(/^dn: /gm)).toHaveLength(5)
            const byOid = await call("ldapsearch", [...dns, "(2.5.4.3=ca-root)", "1.1"])
            expect(byOid.stdout).toBe("dn: cn=ca-root,ou=authorities,o=plomb\n\n")
            const limited = await call("ldapsearch", [...dns, "-z", "2", "1.1"])
            expect(limited.status).toBe(ResultCode.sizeLimitExceeded)
            expect(limited.stdout.match(/^dn: /gm)).toHaveLength(2)
            const names = await call("ldapsearch", [...dns, "-A", "-s", "base"])
            expect(names.stdout).toBe("dn: o=plomb\nobjectClass:\no:\n\n")
            for (const url of [peer.url, peer.tlsUrl]) {
                const certificate = der("operator", "cert.pem").toString("base64")
                const ldif = `dn: cn=by ldapadd,ou=operators,o=plomb\nobjectClass: organizationalRole\nobjectClass: pkiUser\ncn: by ldapadd\nuserCertificate;binary:: ${certificate}\n`
                const bound = ["-x", "-H", url, "-D", writer.bindDn, "-w", password]
                expect(await call("ldapadd", bound, ldif)).toMatchObject({ status: 0, stderr: "" })
                expect((await call("ldapadd", bound, ldif)).status).toBe(ResultCode.entryAlreadyExists)
                const found = await call("ldapsearch", [
                    "-x",
                    "-LLL",
                    "-o",
                    "ldif-wrap=no",
                    "-H",
                    url,
                    "-b",
                    "o=plomb",
                    "(cn=by*)",
                    "userCertificate;binary",
                ])
                expect(found).toEqual({
                    status: 0,
                    stderr: "",
                    stdout: `dn: cn=by ldapadd,ou=operators,o=plomb\nuserCertificate;binary:: ${certificate}\n\n`,
                })
                expect(await call("ldapdelete", [...bound, "cn=by ldapadd,ou=operators,o=plomb"])).toMatchObject({
                    status: 0,
                    stderr: "",
                })
            }
        })
    })

describe.skipIf(!slapd)("the embedded directory beside OpenLDAP's slapd", () => {
    it("gives the same result codes and ends with the same entries, whatever is done to both", async () => {
        const both = [await embedded(), await Slapd.start(world.folder, password)]
        const clients = both.map(({ url }) => new Client({ url, strictDN: false }))
        try {
            for (const client of clients) await client.bind(writer.bindDn, writer.password)
            const codes = (operation: (client: Client) => Promise<unknown>) =>
                Promise.all(clients.map(client => codeOf(operation(client))))
            for (const [dn, attributes] of [
                ["o=plomb", { objectClass: ["organization"], o: ["plomb"] }],
                ["ou=devices,o=plomb", { objectClass: ["organizationalUnit"], ou: ["devices"] }],
            ] as const)
                expect(await codes(client => client.add(dn, list(attributes as never)))).toEqual([0, 0])
            const seen = new Set<string>()
            await fc.assert(
                fc.asyncProperty(operationOf(), async operation => {
                    const [ours, theirs] = await codes(client => perform(client, operation))
                    seen.add(`${operation.kind} ${ResultCode[ours]}`)
                    // RFC 4511 appendix A.2 has a code of its own for it; slapd gives the one of add
                    const slapds = ours === ResultCode.notAllowedOnRDN ? ResultCode.namingViolation : ours
                    expect(slapds, JSON.stringify(operation)).toBe(theirs)
                }),
                { numRuns: 1500, endOnFailure: true },
            )
            // The draw reached what it was to reach
            for (const each of ["add", "modify", "delete"]) expect(seen).toContain(`${each} success`)
            expect(seen.size).toBeGreaterThan(10)
            const dumps = await Promise.all(
                clients.map(async client => {
                    const { searchEntries } = await client.search("o=plomb", { scope: "sub" })
                    // Names and classes are shown as they came by one, as it writes them itself by the other
                    const same = ([key, value]: [string, unknown]) => {
                        const texts = [value].flat().map(each => `${each}`)
                        if (key === "dn" || key === "seeAlso") return [key, texts.map(each => readDn(each).key).sort()]
                        return [key, texts.map(each => (key === "objectClass" ? each.toLowerCase() : each)).sort()]
                    }
                    return searchEntries.map(entry => JSON.stringify(Object.entries(entry).map(same).sort())).sort()
                }),
            )
            expect(dumps[0]).toEqual(dumps[1])
        } finally {
            await Promise.all(clients.map(client => client.unbind()))
            await Promise.all(both.map(peer => peer.stop()))
        }
    })
})

interface Drawn {
    kind: "add" | "modify" | "delete" | "compare" | "search"
    dn: string
    attributes: Record<string, string[]>
    how: "add" | "delete" | "replace"
    filter: string
}

function perform(client: Client, { kind, dn, attributes, how, filter }: Drawn): Promise<unknown> {
    const [[name, values]] = Object.entries(attributes)
    switch (kind) {
        case "add":
            return client.add(dn, list(attributes))
        case "modify":
            return client.modify(dn, change(how, name, ...values))
        case "delete":
            return client.del(dn)
        case "compare":
            return client.compare(dn, name, values[0] ?? "x")
        default:
            return client.search(dn, { scope: "sub", filter })
    }
}

/** Few names and values, so that operations meet each other. */
function operationOf(): fc.Arbitrary<Drawn> {
    const leaf = fc.constantFrom("cn=a", "CN=A", "cn=b", "cn=c+serialNumber=1", "cn=c\\2c d", "cn=c\\, d")
    const dn = fc.oneof(
        leaf.map(each => `${each},ou=devices,o=plomb`),
        fc.tuple(leaf, leaf).map(([low, high]) => `${low}, ${high},ou=devices,o=plomb`),
    )
    const value = fc.constantFrom("a", "b", "B", "c", "c, d", "1", "two  words", "Two Words", "cn=a,o=plomb", "o=x")
    const name = fc.constantFrom("description", "l", "cn", "serialNumber", "seeAlso", "objectClass", "o", "nope")
    const device = fc.record({
        objectClass: fc.constantFrom(
            ["device"],
            ["device", "top"],
            ["DEVICE", "pkiUser"],
            ["device", "organization"],
            ["top"],
        ),
        cn: fc.uniqueArray(fc.constantFrom("a", "b", "c", "c, d"), { minLength: 1, maxLength: 3 }),
        serialNumber: fc.constantFrom(["1"], ["1", "2"]),
    })
    const good = fc.constantFrom("a", "b").map(cn => ({
        kind: "add" as const,
        dn: `cn=${cn},ou=devices,o=plomb`,
        attributes: { objectClass: ["device"], cn: [cn] } as Record<string, string[]>,
    }))
    const any = fc.record({
        kind: fc.constantFrom<Drawn["kind"]>("add", "modify", "modify", "modify", "delete", "compare", "search"),
        dn,
        attributes: fc.oneof(
            device,
            fc.tuple(name, fc.array(value, { maxLength: 3 })).map(([key, list]) => ({ [key]: list })),
        ),
    })
    const filter = fc.constantFrom("(cn=a)", "(&(cn=*)(!(l=b)))", "(|(nope=1)(serialNumber<=1))")
    return fc
        .tuple(fc.oneof(any, any, good), fc.constantFrom("add" as const, "delete" as const, "replace" as const), filter)
        .map(([drawn, how, filter]) => ({ ...drawn, how, filter }) as Drawn)
}
