import { expect, it } from "vitest"
import { x509 } from "../../tools/pki/x509.ts"
import { compile } from "../../tools/vm/compile.ts"
import { runCases } from "../../tools/vm/harness.ts"
import { party } from "../helpers/certificates.ts"

/** A subjectAltName of `count` empty names. */
function names(count: number): x509.Extension {
    const content = Buffer.concat(Array(count).fill(Buffer.from([0x82, 0])))
    const head = Buffer.from([0x30, 0x82, content.length >> 8, content.length & 0xff])
    return new x509.Extension("2.5.29.17", false, Buffer.concat([head, content]))
}

it("in the VM: certificates of a stranger with thousands of names, or very long ones, are read and verified within the step limit", async () => {
    const root = await party()
    const longRoot = await party({ name: "Ab c".repeat(400) })
    const pairs = [
        [await party({ issuer: root, more: [names(3500)] }), root],
        [await party({ issuer: longRoot }), longRoot],
        [await party({ issuer: root, name: Array.from({ length: 200 }, (_, i) => `a${i}`).join(", CN=") }), root],
    ]
    const cases = pairs.map(([leaf, issuer]) =>
        Buffer.concat([Buffer.of(leaf.der.length & 0xff, leaf.der.length >> 8), leaf.der, issuer.der]),
    )
    const outcomes = await runCases(await compile("tests/vm/device/x509-steps.ts"), cases)
    expect(outcomes.map(each => ("failure" in each ? each.failure : each.octets[0]))).toEqual([0, 0, 0])
})
