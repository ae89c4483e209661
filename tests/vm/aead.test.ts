import { createCipheriv } from "node:crypto"
import { expect, it } from "vitest"
import { Board } from "../../tools/vm/board.ts"
import { compile, type Image } from "../../tools/vm/compile.ts"
import { runCases } from "../../tools/vm/harness.ts"
import { World } from "../../tools/vm/world.ts"
import { seeded } from "../helpers/random.ts"

const key = Buffer.from("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f", "hex")
const nonce = Buffer.from("070000004041424344454647", "hex")
const aad = Buffer.from("1703030410", "hex")
const names = ["chacha20-poly1305", "aes-128-gcm"]
const chacha = 0
const gcm = 1
const [nothing, setUp, seal, open, decryptCbc] = [0, 1, 2, 3, 4]

/** What node:crypto makes of these octets. */
function sealed(cipher: number, octets: Buffer): Buffer {
    const theirs = createCipheriv(names[cipher] as "aes-128-gcm", key.subarray(0, cipher === gcm ? 16 : 32), nonce, {
        authTagLength: 16,
    })
    theirs.setAAD(aad, { plaintextLength: octets.length })
    return Buffer.concat([theirs.update(octets), theirs.final(), theirs.getAuthTag()])
}

const request = (cipher: number, op: number, octets: Buffer = Buffer.alloc(0)) =>
    Buffer.concat([Buffer.of(cipher, op), octets])

/** The reply to each request, its steps, and the longest stretch of steps without a yield. */
async function measure(image: Image, requests: Buffer[]) {
    const world = new World({ clock: "virtual" })
    const results: { octets: Buffer; steps: number; gap: number }[] = []
    let begun = 0
    let last = 0
    let gap = 0
    const board: Board = new Board({
        image,
        world,
        countSteps: true,
        onHostCall: (op, _a, octets) => {
            if (op === 16) {
                gap = 0
                begun = last = board.steps
                return requests[results.length] ?? new Uint8Array(0)
            }
            gap = Math.max(gap, board.steps - last)
            last = board.steps
            if (op === 17) results.push({ octets: Buffer.from(octets), steps: board.steps - begun, gap })
            return new Uint8Array(0)
        },
    })
    await board.powerOn()
    const end = await world.runWhile(board.exited, Number.POSITIVE_INFINITY)
    world.close()
    expect(end.reason).toBe("restart")
    return results
}

it("in the VM: 1 KB is sealed and opened within the marks of steps, and no more than 60,000 steps without a yield", async () => {
    const image = await compile("tests/vm/device/aead.ts")
    const plain = Buffer.from(Array.from({ length: 8000 }, (_, i) => (i * 7 + (i >> 8)) & 0xff))
    const kilobyte = plain.subarray(0, 1024)
    const ciphers = [chacha, gcm]
    const results = await measure(
        image,
        ciphers.flatMap(cipher => [
            request(cipher, nothing),
            request(cipher, setUp),
            request(cipher, seal, kilobyte),
            request(cipher, open, sealed(cipher, kilobyte)),
            request(cipher, seal, plain),
            request(cipher, open, sealed(cipher, plain)),
            request(cipher, seal),
        ]),
    )

    for (const cipher of ciphers) {
        const [base, , sealing, opening, sealingAll, openingAll] = results.slice(7 * cipher)
        expect(sealing.octets.equals(sealed(cipher, kilobyte))).toBe(true)
        expect(opening.octets.equals(kilobyte)).toBe(true)
        expect(sealingAll.octets.equals(sealed(cipher, plain))).toBe(true)
        expect(openingAll.octets.equals(plain)).toBe(true)
        for (const { steps } of [sealing, opening])
            expect(steps - base.steps).toBeLessThan(cipher === gcm ? 341_000 : 131_000)
    }
    for (const { gap } of results) expect(gap).toBeLessThan(60_000)
})

it("in the VM: four blocks of CBC are decrypted within the mark of steps, and many with yields", async () => {
    const plain = Buffer.from(Array.from({ length: 4000 }, (_, i) => (i * 11) & 0xff))
    const encrypted = (length: number) => {
        const theirs = createCipheriv("aes-128-cbc", key.subarray(0, 16), key.subarray(0, 16)).setAutoPadding(false)
        return theirs.update(plain.subarray(0, length))
    }
    const [base, ...results] = await measure(await compile("tests/vm/device/aead.ts"), [
        request(gcm, nothing),
        request(gcm, decryptCbc, encrypted(64)),
        request(gcm, decryptCbc, encrypted(4000)),
    ])
    expect(results.map(({ octets }) => octets.toString("hex"))).toEqual(
        [64, 4000].map(length => plain.toString("hex", 0, length)),
    )
    expect(results[0].steps - base.steps).toBeLessThan(14_000)
    for (const { gap } of results) expect(gap).toBeLessThan(60_000)
})

it("in the VM: seals what node:crypto seals and opens it, at lengths of 0 to 300, with any nonce and tag", async () => {
    const random = seeded(41)
    const requests: Buffer[] = []
    const expected: Buffer[] = []
    for (let turn = 0; turn <= 300; ++turn) {
        const name = ["chacha20-poly1305", "aes-128-gcm", "aes-256-gcm"][turn % 3]
        const isGcm = turn % 3 > 0
        const anyKey = random.octets(turn % 3 === 1 ? 16 : 32)
        const anyNonce = random.octets(isGcm && turn % 4 === 0 ? 1 + random.below(40) : 12)
        const anyAad = random.octets(random.below(301))
        const plain = random.octets(turn)
        const tagLength = isGcm ? 12 + random.below(5) : 16
        const theirs = createCipheriv(name as "aes-128-gcm", anyKey, anyNonce, { authTagLength: tagLength })
        theirs.setAAD(anyAad, { plaintextLength: turn })
        const cipherText = Buffer.concat([theirs.update(plain), theirs.final(), theirs.getAuthTag()])
        for (const [op, octets] of [plain, cipherText].entries()) {
            const head = Buffer.of(op, isGcm ? 1 : 0, tagLength, anyKey.length, anyNonce.length, 0, 0, 0)
            head.writeUInt16LE(anyAad.length, 6)
            requests.push(Buffer.concat([head, anyKey, anyNonce, anyAad, octets]))
        }
        expected.push(cipherText, plain)
    }
    const outcomes = await runCases("tools/vectors/device/aead.ts", requests)
    for (const [i, outcome] of outcomes.entries()) {
        if ("failure" in outcome) throw new Error(`${i}: ${outcome.failure}`)
        expect(Buffer.from(outcome.octets).toString("hex")).toBe(`00${expected[i].toString("hex")}`)
    }
})
