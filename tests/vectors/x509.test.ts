import { readFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { Code } from "../../firmware/core/errors"
import { askNode } from "../../tools/vectors/run.ts"
import { notSupported, questions, x509 } from "../../tools/vectors/x509.ts"
import { hasVectors, vectorPath } from "../extras.ts"

const files = [
    "x509-limbo/limbo-current.json",
    "x509-limbo/limbo-published-2023-12.json",
    "x509-mbedtls-parse/parse.json",
]

/** Why the core refuses, for each case of x509-limbo that it must refuse. */
const causes: Record<string, string> = {
    "crl::crlnumber-missing": "X509Extension",
    "crl::revoked-certificate-with-crl": "ChainRevoked",
    "pathlen::intermediate-violates-pathlen-0": "ChainPathLength",
    "pathlen::max-chain-depth-1-exhausted": "ChainTooLong",
    "pathological::intermediate-cycle-distinct-cas": "ChainIssuer",
    "pathological::intermediate-cycle-same-logical-ca": "ChainIssuer",
    "rfc5280::aki::critical-aki": "X509Extension",
    "rfc5280::aki::intermediate-missing-aki": "ChainKeyId",
    "rfc5280::ca-empty-subject": "X509Name",
    "rfc5280::duplicate-extensions": "X509Repeated",
    "rfc5280::ee-critical-aia-invalid": "X509Critical",
    "rfc5280::eku::ee-eku-empty": "DerTruncated",
    "rfc5280::intermediate-ca-without-ca-bit": "X509Extension",
    "rfc5280::nc::not-allowed-in-ee-critical": "X509Extension",
    "rfc5280::nc::permitted-dns-match-noncritical": "X509Extension",
    "rfc5280::pc::ica-noncritical-pc": "X509Extension",
    "rfc5280::root-inconsistent-ca-extensions": "X509Extension",
    "rfc5280::root-non-critical-basic-constraints": "X509Extension",
    "rfc5280::san::malformed": "DerTag",
    "rfc5280::serial::too-long": "X509Serial",
    "rfc5280::ski::intermediate-missing-ski": "X509Extension",
    "rfc5280::unknown-critical-extension-ee": "X509Critical",
    "rfc5280::unknown-critical-extension-root": "X509Critical",
    "rfc5280::validity::expired-5-seconds": "ChainExpired",
    "rfc5280::validity::expired-leaf": "ChainExpired",
    "rfc5280::validity::not-yet-valid-1-second": "ChainNotYetValid",
    "rfc5280::validity::notbefore-fractional": "ChainNotYetValid",
}

for (const file of files) {
    const path = vectorPath(file)
    const present = hasVectors(file)

    describe.skipIf(!present)(file, () => {
        const json = present ? JSON.parse(readFileSync(path, "utf8")) : {}

        it("every case that is supported gets the expected result", () => {
            const failures = x509.cases(json, path).flatMap(each => {
                if ("unsupported" in each) return []
                const verdict = each.judge(askNode(x509, each.request))
                return verdict === "pass" ? [] : [[each.id, verdict]]
            })
            expect(failures).toEqual([])
        })

        it("a case is listed as not supported only where the core answers otherwise", () => {
            const needless = questions(json)
                .filter(each => notSupported[each.id] && each.judge(askNode(x509, each.request)) === "pass")
                .map(each => each.id)
            expect(needless).toEqual([])
        })

        it("a refusal names the cause the case was made for", () => {
            for (const each of questions(json)) {
                if (!causes[each.id]) continue
                const reply = askNode(x509, each.request)
                expect([each.id, "error" in reply ? Code[reply.error] : reply]).toEqual([each.id, causes[each.id]])
            }
        })
    })
}
