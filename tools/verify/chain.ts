import {
    type Certificate,
    derOfPem,
    ecdsaWithSha256,
    type RevocationList,
    readCertificate,
    readCrl,
    signedBy,
} from "./certificate.ts"
import { DerDamage } from "./der.ts"
import type { Findings } from "./findings.ts"
import { judgeRoles, meterRole } from "./role.ts"

/** What the chain is judged by. Moments are UTC seconds. */
export interface ChainQuestion {
    /** PEM, the certificate of the meter, or of the party in question, first. */
    chain: string[]
    crls: string[]
    /** PEM certificates of the institute that the person trusts. */
    anchors: string[]
    /** Hex of the server id that its subject must name; a party that commands has none. */
    serverId?: string
    /** Roles that the first one may have; that of a meter unless told. */
    roles?: number[]
    /** When the reading was made, and in words how that is known. */
    atSeconds: number
    atText: string
    /** When it was received: revocation is judged by the lists valid then. */
    receivedSeconds: number
    /** Whose chain it is, in words; the meter's unless told. */
    whose?: string
}

/** The clocks of a head-end and of an authority may differ by this much. */
const skewSeconds = 300
const digitalSignature = 0
const nonRepudiation = 1
const keyCertSign = 5
const crlSign = 6
/** The extensions this program acts upon; any other critical one makes a certificate unusable (clause 4.2). */
const understood = new Set(["2.5.29.19", "2.5.29.15"])
const reasons: Record<number, string> = {
    0: "unspecified",
    1: "key compromised",
    2: "CA compromised",
    3: "affiliation changed",
    4: "superseded",
    5: "operation ended",
    9: "privilege withdrawn",
}
/** Reasons of an orderly end: the key is in no other hands. */
const orderly = [3, 4, 5, 9]

/** UTC seconds as ISO 8601 without fractions. */
export function isoOf(seconds: number): string {
    const moment = new Date(seconds * 1000)
    return Number.isNaN(moment.getTime()) ? `${seconds} s` : moment.toISOString().replace(".000Z", "Z")
}

function readAll<T>(
    pems: string[],
    label: string,
    read: (der: Buffer) => T,
    complain: (i: number, why: string) => void,
) {
    const items: (T | undefined)[] = pems.map((pem, i) => {
        try {
            return read(derOfPem(pem, label))
        } catch (error) {
            if (!(error instanceof DerDamage)) throw error
            complain(i, error.message)
            return undefined
        }
    })
    return items
}

/** Reads PEM certificates that a person named as anchors; throws `DerDamage`. */
export function readAnchors(pems: string[]): Certificate[] {
    return pems.map(pem => readCertificate(derOfPem(pem, "CERTIFICATE")))
}

/**
 * Judges the chain of a meter, or of a party, up to an anchor (RFC 5280 clause 6.1, with the profile of this project) and
 * adds findings. The answer is the path, leaf first, as far as it could be read, good or not.
 */
export function judgeChain(findings: Findings, question: ChainQuestion): Certificate[] {
    const { chain, anchors, roles = [meterRole], whose = "meter" } = question
    const of = whose === "meter" ? "" : `, ${whose}`
    const place = (i: number) => `certificate ${i + 1} of ${chain.length}${of}`
    if (chain.length === 0) {
        findings.missing(
            "certificate chain",
            "RFC 5280 6.1",
            `chain${of}`,
            `the ${whose}'s certificate and its issuers`,
            "none",
        )
        return []
    }
    const certificates = readAll(chain, "CERTIFICATE", readCertificate, (i, why) =>
        findings.failed("certificate readable", "RFC 5280 4.1", place(i), "an X.509v3 certificate in DER", why),
    )
    if (certificates.some(each => !each)) return certificates[0] ? [certificates[0]] : []
    const path = certificates as Certificate[]
    const roots = readAnchors(anchors)
    const isAnchor = (each: Certificate) => roots.some(root => root.der.equals(each.der))
    const anchored = path.findIndex(isAnchor)
    if (anchored >= 0) path.length = anchored + 1
    else if (!path[path.length - 1].issuer.equals(path[path.length - 1].subject)) {
        const root = roots.find(each => each.subject.equals(path[path.length - 1].issuer))
        if (root) path.push(root)
    }
    const top = path[path.length - 1]
    if (roots.length === 0)
        findings.missing(
            anchorOf(roles),
            "RFC 5280 6.1.1 (d)",
            `chain${of}`,
            "its root, named by --anchor",
            "none named",
        )
    else
        findings.check(
            isAnchor(top),
            anchorOf(roles),
            "RFC 5280 6.1.1 (d)",
            `chain${of}`,
            `an end in the anchor "${roots.map(each => each.subjectText).join('" or "')}"`,
            `it ends in "${top.subjectText}"`,
        )
    path.forEach((certificate, i) => {
        const issuer = path[i + 1] ?? (certificate.issuer.equals(certificate.subject) ? certificate : undefined)
        judgeCertificate(findings, certificate, issuer, i, place(i), question)
    })
    const leaf = path[0]
    if (question.serverId !== undefined)
        findings.check(
            leaf.subjectText.toLowerCase() === question.serverId.toLowerCase(),
            `${whose} named by the certificate`,
            "RFC 5280 4.1.2.6, PKI profile",
            place(0),
            `subject CN ${question.serverId}`,
            `CN ${leaf.subjectText}`,
        )
    judgeRoles(findings, path, roles, `chain${of}`)
    judgeRevocation(findings, path, question)
    return path
}

/** A meter's chain ends in the institute's root; that of others in the root that its person trusts for them. */
function anchorOf(roles: number[]): string {
    return roles[0] === meterRole ? "institute anchor" : "anchor"
}

/**
 * Says that certificates have ended since the moment as of which they were judged, `nowSeconds` being the verifier's
 * clock. The answer is for a person, empty where none has ended.
 */
export function judgeSince(findings: Findings, path: Certificate[], atSeconds: number, nowSeconds: number): string {
    const ended = path.filter(each => each.notAfter < nowSeconds)
    if (ended.length === 0 || path.some(each => atSeconds > each.notAfter)) return ""
    const first = Math.min(...ended.map(each => each.notAfter))
    const text = `${ended.length === path.length ? "all certificates" : `${ended.length} of ${path.length} certificates`} have ended since, the first on ${isoOf(first).slice(0, 10)}`
    findings.proved(
        "in force when it was signed",
        "RFC 5280 6.1.3 (a)(2), as of the signature",
        `chain, verifier's clock ${isoOf(nowSeconds)}`,
        `certificates in force at ${isoOf(atSeconds)}`,
        text,
    )
    return ` It is judged as of ${isoOf(atSeconds)}, when it was signed: ${text}.`
}

function judgeCertificate(
    findings: Findings,
    certificate: Certificate,
    issuer: Certificate | undefined,
    i: number,
    where: string,
    { atSeconds, atText, roles = [meterRole] }: ChainQuestion,
): void {
    const place = `${where} (${certificate.subjectText})`
    const isLeaf = i === 0
    const isMeter = isLeaf && roles[0] === meterRole
    // RFC 5280 clause 6.1.3 (a)(1) and (4): signature and name chaining.
    if (issuer) {
        const { holds, text } = signedBy(certificate, issuer)
        const named = certificate.issuer.equals(issuer.subject)
        findings.check(
            holds && named,
            "certificate signature",
            "RFC 5280 6.1.3 (a)(1), (4)",
            place,
            `signed by "${issuer.subjectText}", whose name it gives`,
            named ? text : "another issuer's name",
        )
    } else
        findings.missing("certificate signature", "RFC 5280 6.1.3 (a)(1)", place, "its issuer's certificate", "absent")
    // RFC 5280 clause 6.1.3 (a)(2): validity at the moment in question.
    findings.check(
        certificate.notBefore <= atSeconds && atSeconds <= certificate.notAfter,
        "certificate validity",
        "RFC 5280 6.1.3 (a)(2)",
        place,
        `valid at ${isoOf(atSeconds)} (${atText})`,
        `valid ${isoOf(certificate.notBefore)} to ${isoOf(certificate.notAfter)}`,
    )
    const faults: string[] = []
    if (certificate.version !== 3) faults.push(`version ${certificate.version}`)
    if (certificate.signatureAlgorithm !== ecdsaWithSha256) faults.push(`algorithm ${certificate.signatureAlgorithm}`)
    if ("refused" in certificate.key) faults.push(certificate.key.refused)
    else if (certificate.key.curve !== "secp256r1") faults.push(`a key on ${certificate.key.curve}`)
    // RFC 5280 clause 4.2: a critical extension that is not understood makes the certificate unusable.
    for (const [oid, { critical }] of certificate.extensions)
        if (critical && !understood.has(oid)) faults.push(`unknown critical extension ${oid}`)
    const usage = certificate.keyUsage
    // RFC 5280 clauses 4.2.1.3 and 4.2.1.9, and 6.1.4 (k), (m), (n) for issuers.
    if (isLeaf && !isMeter) {
        if (!usage?.has(digitalSignature)) faults.push("keyUsage lacks digitalSignature")
    } else if (isLeaf) {
        if (certificate.isCa) faults.push("a CA where a meter's certificate should be")
        if (!usage?.has(digitalSignature)) faults.push("keyUsage lacks digitalSignature")
        if (!usage?.has(nonRepudiation)) faults.push("keyUsage lacks nonRepudiation")
        if (usage?.has(keyCertSign)) faults.push("keyUsage has keyCertSign")
    } else {
        if (!certificate.isCa) faults.push("basicConstraints does not say CA")
        if (!usage?.has(keyCertSign)) faults.push("keyUsage lacks keyCertSign")
        if (certificate.pathLength !== undefined && i - 1 > certificate.pathLength)
            faults.push(`pathLen ${certificate.pathLength} with ${i - 1} issuers below`)
    }
    findings.check(
        faults.length === 0,
        "certificate profile",
        "RFC 5280 4.1, 4.2, 4.2.1.3, 4.2.1.9",
        place,
        isLeaf && !isMeter
            ? "X.509v3, P-256, ecdsa-with-SHA256, digitalSignature, no unknown critical extension"
            : isLeaf
              ? "X.509v3, P-256, ecdsa-with-SHA256, no CA, digitalSignature and nonRepudiation, no unknown critical extension"
              : "X.509v3, P-256, ecdsa-with-SHA256, CA with keyCertSign, path length kept, no unknown critical extension",
        faults.join("; ") || "so it is",
    )
}

function judgeRevocation(findings: Findings, path: Certificate[], question: ChainQuestion): void {
    const { crls, receivedSeconds, atSeconds } = question
    const unreadable: string[] = []
    const lists = readAll(crls, "X509 CRL", readCrl, (i, why) => unreadable.push(`list ${i + 1}: ${why}`))
    path.slice(0, -1).forEach((certificate, i) => {
        const issuer = path[i + 1]
        const place = `certificate ${i + 1} (${certificate.subjectText})`
        const clause = "RFC 5280 5.1, 6.3.3"
        const expected = `a revocation list of "${issuer.subjectText}" in force at ${isoOf(receivedSeconds)}, without it`
        const why: string[] = [...unreadable]
        const usable = lists.filter((list): list is RevocationList => {
            if (!list?.issuer.equals(issuer.subject)) return false
            const { holds, text } = signedBy(list, issuer)
            if (!holds) why.push(`a list whose signature: ${text}`)
            // RFC 5280 clause 6.3.3 (f): the issuer's keyUsage must allow it to sign lists.
            else if (!issuer.keyUsage?.has(crlSign)) why.push("an issuer without cRLSign")
            else if (list.criticalExtensions.length > 0) why.push("a list with a critical extension")
            else if (receivedSeconds < list.thisUpdate - skewSeconds) why.push(`a list made ${isoOf(list.thisUpdate)}`)
            else if (list.nextUpdate === undefined) why.push("a list without nextUpdate")
            else if (receivedSeconds > list.nextUpdate + skewSeconds) why.push(`a list until ${isoOf(list.nextUpdate)}`)
            else return true
            return false
        })
        if (usable.length === 0) {
            findings.missing("revocation", clause, place, expected, why.join("; ") || "no list of this issuer")
            return
        }
        const newest = usable.reduce((a, b) => (b.thisUpdate > a.thisUpdate ? b : a))
        const entry = newest.revoked.get(certificate.serial)
        if (!entry) {
            findings.proved("revocation", clause, place, expected, `not in the list of ${isoOf(newest.thisUpdate)}`)
            return
        }
        const since = Math.min(entry.at, entry.invalidFrom ?? entry.at)
        const reason = reasons[entry.reason ?? 0] ?? `reason ${entry.reason}`
        const came = `revoked ${isoOf(entry.at)} (${reason})`
        // A key that may be in other hands can sign any time it likes: only an orderly end leaves earlier readings whole.
        if (atSeconds < since && orderly.includes(entry.reason ?? 0))
            findings.proved("revocation", clause, place, expected, `${came}, after this reading`)
        else findings.failed("revocation", clause, place, expected, came)
    })
}
