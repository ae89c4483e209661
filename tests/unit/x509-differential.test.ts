import { X509Certificate } from "node:crypto"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { verifyChain } from "../../firmware/core/chain"
import { PlombError } from "../../firmware/core/errors"
import { x509 } from "../../tools/pki/x509.ts"
import { newKeys, noon, party, read, type TestParty } from "../helpers/certificates.ts"

/** What one random chain does wrong, if anything; index 0 is the leaf. */
const plans = fc.record({
    length: fc.integer({ min: 1, max: 4 }),
    wrongSigner: fc.option(fc.nat({ max: 3 })),
    endEntity: fc.option(fc.integer({ min: 1, max: 3 })),
    expired: fc.option(fc.nat({ max: 3 })),
    pathLength: fc.option(fc.nat({ max: 3 })),
    noSign: fc.option(fc.integer({ min: 1, max: 3 })),
})

/** A chain by plan, leaf first and root last. */
async function chainOf(plan: typeof plans extends fc.Arbitrary<infer T> ? T : never): Promise<TestParty[]> {
    const { keyCertSign, cRLSign } = x509.KeyUsageFlags
    const chain = [await party({ pathLength: plan.pathLength ?? undefined })]
    for (let index = plan.length - 1; index >= 0; --index) {
        const issuer = plan.wrongSigner === index ? { ...chain[0], keys: await newKeys() } : chain[0]
        const ca = index > 0 && plan.endEntity !== index
        const next = await party({
            issuer,
            ca,
            usage: ca && plan.noSign === index ? cRLSign : ca ? keyCertSign : undefined,
            notAfter: plan.expired === index ? new Date(Date.UTC(2029, 0, 1)) : undefined,
        })
        chain.unshift(next)
    }
    return chain
}

/** RFC 5280 with what node:crypto tells of each certificate. */
function nodeAccepts(chain: TestParty[]): boolean {
    const certificates = chain.map(each => new X509Certificate(each.der))
    return certificates.every((certificate, index) => {
        const issuer = certificates[Math.min(index + 1, certificates.length - 1)]
        const inTime =
            Date.parse(certificate.validFrom) <= noon * 1000 && noon * 1000 <= Date.parse(certificate.validTo)
        const path = chain[index].certificate.getExtension(x509.BasicConstraintsExtension)?.pathLength
        const short = path === undefined || index - 1 <= path
        return inTime && short && issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
    })
}

function coreAccepts(chain: TestParty[]): boolean {
    const root = chain[chain.length - 1]
    try {
        verifyChain({ chain: chain.slice(0, -1).map(read), anchors: [read(root)], atSeconds: noon })
        return true
    } catch (error) {
        if (error instanceof PlombError) return false
        throw error
    }
}

describe("Random chains made by @peculiar/x509", () => {
    it("are accepted and refused as by node:crypto", async () => {
        const seen = { accepted: 0, refused: 0 }
        await fc.assert(
            fc.asyncProperty(plans, async plan => {
                const chain = await chainOf(plan)
                const expected = nodeAccepts(chain)
                seen[expected ? "accepted" : "refused"]++
                expect(coreAccepts(chain)).toBe(expected)
            }),
            { numRuns: 120 },
        )
        expect(Math.min(seen.accepted, seen.refused)).toBeGreaterThan(5)
    })
})
