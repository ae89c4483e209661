import { spawn } from "node:child_process"
import { KeyObject } from "node:crypto"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest"
import { CounterError, nextCounter } from "../../tools/authority/counter.ts"
import { Signer } from "../../tools/authority/signer.ts"
import { newKey } from "../../tools/pki/keys.ts"
import { pem } from "../../tools/pki/pem.ts"
import { readCommand } from "../../tools/verify/command-file.ts"
import { readSmlFile } from "../../tools/verify/sml-file.ts"
import { noon } from "../helpers/certificates.ts"
import { type CommandParties, commandParties, meterId, readCurrent, signerOf } from "../helpers/commands.ts"

const id = "0011223344556677"
let folder: string
let parties: CommandParties
beforeAll(async () => {
    parties = await commandParties()
})
beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "plomb-counter-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const read = (file: Uint8Array) => readCommand(readSmlFile(Buffer.from(file)))

describe("counter file", () => {
    it("gives one more each time, never below the seconds since 1970", () => {
        const path = join(folder, "counter.json")
        expect(nextCounter(path, id, 1000.9)).toBe(1000)
        expect(nextCounter(path, id, 1000)).toBe(1001)
        expect(nextCounter(path, id, 10)).toBe(1002)
        expect(nextCounter(path, id, 5000)).toBe(5000)
        expect(JSON.parse(readFileSync(path, "utf8"))).toEqual({ format: "plomb-counter/1", key: id, last: 5000 })
        expect(readdirSync(folder)).toEqual(["counter.json"])
    })

    it("of another key, damaged, or used up is refused in words", () => {
        const path = join(folder, "counter.json")
        nextCounter(path, id, 1)
        expect(() => nextCounter(path, "8899aabbccddeeff", 1)).toThrow(/counts for another key/)
        for (const [text, words] of [
            ["", /damaged/],
            ["{}", /no counter file/],
            ["null", /no counter file/],
            [`{"format":"plomb-counter/1","key":"${id}","last":1.5}`, /no counter file/],
            [`{"format":"plomb-counter/1","key":"${id}","last":4294967295}`, /used up/],
        ] as const) {
            writeFileSync(path, text)
            expect(() => nextCounter(path, id, 1)).toThrow(words)
            expect(readFileSync(path, "utf8")).toBe(text)
        }
        expect(() => nextCounter(join(folder, "none", "counter.json"), id, 1)).toThrow(CounterError)
        expect(existsSync(`${path}.lock`)).toBe(false)
    })

    it("a lock left by a process that is gone is taken over; one that is held is named", () => {
        const path = join(folder, "counter.json")
        writeFileSync(`${path}.lock`, "999999999")
        expect(nextCounter(path, id, 1)).toBe(1)
        writeFileSync(`${path}.lock`, `${process.pid}`)
        expect(() => nextCounter(path, id, 1)).toThrow(new RegExp(`process ${process.pid} holds`))
    })

    it("what a kill left beside it does no harm", () => {
        const path = join(folder, "counter.json")
        nextCounter(path, id, 7)
        writeFileSync(`${path}.next`, '{"form')
        expect(nextCounter(path, id, 1)).toBe(8)
    })

    it("several processes at once never get the same", async () => {
        const path = join(folder, "counter.json")
        const program = `import { nextCounter } from ${JSON.stringify(join(process.cwd(), "tools/authority/counter.ts"))}
            for (let i = 0; i < 40; ++i) console.log(nextCounter(${JSON.stringify(path)}, "${id}", 1))`
        const script = join(folder, "take.mts")
        writeFileSync(script, program)
        const run = () =>
            new Promise<number[]>((done, failed) => {
                const child = spawn(process.execPath, ["--import", import.meta.resolve("tsx"), script])
                let out = ""
                let problems = ""
                child.stdout.on("data", text => (out += text))
                child.stderr.on("data", text => (problems += text))
                child.on("close", code =>
                    code === 0 ? done(out.trim().split("\n").map(Number)) : failed(new Error(problems)),
                )
            })
        const taken = (await Promise.all([run(), run(), run()])).flat()
        expect(new Set(taken).size).toBe(120)
        expect([...taken].sort((a, b) => a - b)).toEqual(Array.from({ length: 120 }, (_, i) => i + 1))
    }, 60_000)
})

describe("signer", () => {
    const nowSeconds = () => noon

    it("makes a command as the format says, read by the independent reader", () => {
        const signer = signerOf(parties.operator, [], { nowSeconds })
        const first = read(signer.command(meterId, [readCurrent(), readCurrent()], { requestId: Buffer.from("one") }))
        expect(first).toMatchObject({ target: meterId, counter: noon, notBefore: noon - 300, notAfter: noon + 900 })
        expect(first.certificates).toEqual([parties.operator.der])
        expect(first.requests.map(each => each.tag)).toEqual([0x0700, 0x0700])
        const second = read(
            signer.command(meterId, [readCurrent()], { withCertificate: false, validSeconds: 60, skewSeconds: 0 }),
        )
        expect(second).toMatchObject({ counter: noon + 1, notBefore: noon, notAfter: noon + 60, certificates: [] })
        expect(second.signer).toEqual(first.signer)
    })

    it("puts the calibration authority's certificate in behind its local operator's, and no other issuer's", () => {
        const made = (signer: Signer) => read(signer.command(meterId, [readCurrent()])).certificates
        expect(made(signerOf(parties.inspector, [parties.calibration]))).toEqual([
            parties.inspector.der,
            parties.calibration.der,
        ])
        expect(made(signerOf(parties.operator, [parties.provider, parties.caRoot]))).toEqual([parties.operator.der])
    })

    it("counts durably before it signs: another signer of the same key goes on behind", () => {
        const counterFile = join(folder, "counter.json")
        const counters = [1, 2].map(() => {
            const signer = signerOf(parties.operator, [], { nowSeconds, counterFile })
            return [1, 2].map(() => read(signer.command(meterId, [readCurrent()])).counter)
        })
        expect(counters.flat()).toEqual([noon, noon + 1, noon + 2, noon + 3])
        expect(() => signerOf(parties.customer, [], { counterFile }).command(meterId, [readCurrent()])).toThrow(
            /another key/,
        )
    })

    it("opens an encrypted key with its passphrase, and no other", () => {
        const chain = pem("CERTIFICATE", parties.operator.der)
        const key = KeyObject.from(parties.operator.keys.privateKey)
            .export({ type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "word" })
            .toString()
        expect(new Signer({ key, passphrase: "word", chain }).certificate).toEqual(parties.operator.der)
        expect(() => new Signer({ key, passphrase: "other", chain })).toThrow()
        expect(() => new Signer({ key, chain })).toThrow()
        expect(() => new Signer({ key: newKey().file, chain })).toThrow(/not that of the key/)
        expect(() => new Signer({ key, passphrase: "word", chain: "" })).toThrow(/its certificate/)
    })

    it("refuses what no device would take, before it counts", () => {
        const counterFile = join(folder, "counter.json")
        const signer = signerOf(parties.operator, [], { nowSeconds, counterFile })
        expect(() => signer.command(meterId, [])).toThrow(RangeError)
        expect(() =>
            signer.command(
                meterId,
                Array.from({ length: 9 }, () => readCurrent()),
            ),
        ).toThrow(RangeError)
        expect(() => signer.command(meterId, [readCurrent()], { validSeconds: 86_400 })).toThrow(RangeError)
        expect(existsSync(counterFile)).toBe(false)
    })
})
