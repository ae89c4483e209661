import { readPem } from "../pki/pem.ts"
import { answer } from "./device/x509-answer"
import type { Case, Format, Reply, Verdict } from "./format.ts"
import { namesOf, searchPaths } from "./x509-paths.ts"

const constraints =
    "name constraints: the two trust trees of design.md have none, and a chain that carries them is refused whole (E3212)"
const hostNames = "host names: parties are named by server id or role, no DNS or IP name is ever matched"
const webOnly = "a rule of the web's certification authorities beyond RFC 5280"
const rsa = "RSA: every key and signature of design.md section 5 is P-256 with ECDSA-SHA256"
const contextSerial =
    "the sample's serial number is not an INTEGER (tag 82), which RFC 5280 4.1 does not allow; and RSA"

/** Cases that are no question to this core, and why. A case stands here only if the core answers it otherwise. */
export const notSupported: Record<string, string> = {
    "rfc5280::nc::excluded-different-constraint-type": constraints,
    "rfc5280::nc::nc-forbids-othername-noop": constraints,
    "rfc5280::nc::nc-permits-email-domain": constraints,
    "rfc5280::nc::nc-permits-email-literal-asterisk-exact-match": constraints,
    "rfc5280::nc::nc-permits-email-literal-mid-asterisk": constraints,
    "rfc5280::nc::permitted-dn-match": constraints,
    "rfc5280::nc::permitted-dns-match-more": constraints,
    "rfc5280::nc::permitted-ipv6-match": constraints,
    "webpki::nc::nc-permits-dns-san-pattern": constraints,
    "rfc5280::san::underscore-dns": hostNames,
    "webpki::san::mismatch-apex-subdomain-san": hostNames,
    "webpki::san::mismatch-subdomain-apex-san": hostNames,
    "webpki::san::no-san": hostNames,
    "webpki::san::san-wildcard-only": hostNames,
    "webpki::san::unicode-emoji-san": hostNames,
    "webpki::san::wildcard-embedded-ulabel-san": hostNames,
    "webpki::san::wildcard-not-in-leftmost-san": hostNames,
    "webpki::ca-as-leaf": webOnly,
    "webpki::eku::ee-anyeku": webOnly,
    "webpki::eku::ee-without-eku": webOnly,
    "webpki::malformed-aia": "authority information access: never followed, so never read; only refused where critical",
    "X509 CRT (TBS, valid v3Ext in v3 CRT)": contextSerial,
    "X509 CRT ASN1 (dummy 24-bit Signature)": contextSerial,
    "X509 CRT ASN1 (GeneralizedTime in notBefore, UTCTime in notAfter)": rsa,
    "X509 CRT ASN1 (Name with X520 CN)": rsa,
    "X509 CRT ASN1 (Name with X520 L)": rsa,
    "X509 CRT ASN1 (Name with X520 O)": rsa,
    "X509 CRT ASN1 (Name with unknown X520 part)": rsa,
    "X509 CRT ASN1 (Name with PKCS9 email)": rsa,
    "X509 CRT ASN1 (ECDSA signature, RSA key)": rsa,
    "X509 CRT ASN1 (RSA signature, EC key)": rsa,
    "X509 CRL ASN1 (TBSCertList, sig present)":
        "a version 1 list without number and next update (RFC 5280 5.1.2.1); and RSA",
    "X509 CRL ASN1 (extension not critical explicit, crl-idp.pem byte 129)":
        "not DER: FALSE is the default and left out (X.690 11.5); and RSA",
}

type Question = Extract<Case, { request: Uint8Array }>

interface LimboCase {
    id: string
    expected_result: "SUCCESS" | "FAILURE"
    validation_kind: string
    validation_time: string | null
    trusted_certs: string[]
    untrusted_intermediates: string[]
    peer_certificate: string
    crls?: string[]
    extended_key_usage?: string[] | null
    max_chain_depth?: number | null
}

interface ParseCase {
    name: string
    kind: "certificate" | "crl"
    expected: "accept" | "reject"
    der: string
}

const purposes: Record<string, string> = { serverAuth: "2b06010505070301", clientAuth: "2b06010505070302" }

/** x509-limbo (path validation) and the Mbed TLS parsing cases. */
export const x509: Format = {
    name: "X.509",
    program: "tools/vectors/device/x509.ts",
    capacity: 8192,
    answer,
    recognises: json => limboCases(json) !== undefined || parseCases(json) !== undefined,
    cases: json =>
        questions(json).map(each =>
            notSupported[each.id] ? { id: each.id, unsupported: notSupported[each.id] } : each,
        ),
}

/** Every case of a file as a question, those that are not supported too. */
export function questions(json: unknown): Question[] {
    return (limboCases(json) ?? []).map(limbo).concat((parseCases(json) ?? []).map(parsing))
}

function limboCases(json: unknown): LimboCase[] | undefined {
    const cases = (json as { testcases?: LimboCase[] } | undefined)?.testcases
    return Array.isArray(cases) && cases[0]?.peer_certificate ? cases : undefined
}

function parseCases(json: unknown): ParseCase[] | undefined {
    const cases = (json as { cases?: ParseCase[] } | undefined)?.cases
    return Array.isArray(cases) && ["certificate", "crl"].includes(cases[0]?.kind) && cases[0].der !== undefined
        ? cases
        : undefined
}

function limbo(test: LimboCase): Question {
    const wanted = test.expected_result === "SUCCESS"
    return { id: test.id, request: limboRequest(test), judge: reply => judge(reply, wanted) }
}

function judge(reply: Reply, wanted: boolean): Verdict {
    if ("escaped" in reply) return { fail: `escaped: ${reply.escaped}` }
    if ("octets" in reply) return wanted ? "pass" : { fail: "accepted" }
    return wanted ? { fail: `refused with E${reply.error} at ${reply.at}` } : "pass"
}

/** A case of x509-limbo as the request of `device/x509-answer.ts`. */
function limboRequest(test: LimboCase): Buffer {
    const derOf = (texts: string[]) => texts.flatMap(text => readPem(text).map(object => object.der))
    const pool = derOf([test.peer_certificate, ...test.untrusted_intermediates])
    const anchors = derOf(test.trusted_certs)
    const paths = searchPaths(pool.map(namesOf), anchors.map(namesOf))
    const used = [...new Set(paths.flat())]
    const moment = Buffer.alloc(8)
    moment.writeDoubleLE((test.validation_time ? Date.parse(test.validation_time) : Date.now()) / 1000)
    const asked = test.extended_key_usage?.[0]
    const usage = Buffer.from(asked ? purposes[asked] : "", "hex")
    return Buffer.concat([
        Buffer.from([4]),
        moment,
        Buffer.from([test.max_chain_depth ?? 255, usage.length]),
        usage,
        group(used.map(index => pool[index])),
        group(anchors),
        group(derOf(test.crls ?? [])),
        Buffer.from([paths.length]),
        ...paths.map(path => Buffer.from([path.length, ...path.map(index => used.indexOf(index))])),
    ])
}

function group(ders: Buffer[]): Buffer {
    return Buffer.concat([
        Buffer.from([ders.length]),
        ...ders.flatMap(der => [Buffer.from([der.length >> 8, der.length & 0xff]), der]),
    ])
}

function parsing(test: ParseCase): Question {
    const request = Buffer.concat([Buffer.from([test.kind === "crl" ? 2 : 1]), Buffer.from(test.der, "hex")])
    return { id: test.name, request, judge: reply => judge(reply, test.expected === "accept") }
}
