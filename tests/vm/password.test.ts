import { pbkdf2Sync } from "node:crypto"
import { expect, test } from "vitest"
import { measureSteps, runCases } from "../../tools/vm/harness.ts"

const program = "tests/vm/device/password.ts"

function request(iterations: number, made: string, tried = made): Uint8Array {
    const head = Buffer.alloc(20, 3)
    head.writeUInt32BE(iterations)
    const verifier = pbkdf2Sync(made, head.subarray(4), iterations, 32, "sha256")
    return Buffer.concat([head, verifier, Buffer.from(tried)])
}

test("a password holds in the VM as node:crypto reckons it, and no other does", async () => {
    const outcomes = await runCases(program, [
        request(1, ""),
        request(1000, "Grüße"),
        request(1000, "Grüße", "Grüsse"),
        request(20_001, "long"),
    ])
    expect(outcomes.map(each => ("octets" in each ? [...each.octets] : each.failure))).toEqual([[1], [1], [0], [0]])
}, 120_000)

test("an iteration costs at most 300 steps beside its HMAC: on a Pico 0.75 ms", async () => {
    const [few, many] = await measureSteps(program, [request(33, "x"), request(1057, "x")])
    expect((many - few) / 1024).toBeLessThan(300)
}, 120_000)
