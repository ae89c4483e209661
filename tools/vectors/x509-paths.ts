/** Issuer and subject of a certificate, DER; empty where the outer form is broken. */
export interface Names {
    issuer: string
    subject: string
}

/** Longest path looked for: more than the core takes, so that it is the core that refuses. */
const longest = 12
/** Most paths put to the core, and most steps of the search (suites hold pools made to exhaust it). */
const mostPaths = 16
const mostSteps = 5000

/**
 * Paths from certificate 0 of the pool to a certificate that one of the anchors issued, by names alone: the
 * firmware is always given its chain in order, test suites give a heap of intermediates. Without such a path
 * the leaf alone is put to the core.
 */
export function searchPaths(pool: Names[], anchors: Names[]): number[][] {
    const found: number[][] = []
    let deepest = [0]
    let steps = 0
    const walk = (path: number[]): void => {
        if (++steps > mostSteps || found.length >= mostPaths) return
        const { issuer } = pool[path[path.length - 1]]
        if (path.length > deepest.length) deepest = path
        if (anchors.some(anchor => anchor.subject === issuer)) found.push(path)
        if (path.length >= longest) return
        for (let next = 1; next < pool.length; ++next)
            if (pool[next].subject === issuer && !path.includes(next)) walk([...path, next])
    }
    walk([0])
    if (found.length > 0) return found
    return [deepest.length >= longest ? deepest : [0]]
}

/** Reads the names by position in TBSCertificate; nothing else is looked at. */
export function namesOf(der: Buffer): Names {
    const spans: string[] = []
    const certificate = elementAt(der, 0)
    const body = certificate && elementAt(der, certificate.start)
    let at = body?.start ?? 0
    for (let i = 0; body && i < 7; ++i) {
        const field = elementAt(der, at)
        if (!field || field.end > body.end) break
        // The version is optional: without it all fields stand one earlier
        if (i === 0 && der[at] !== 0xa0) spans.push("")
        spans.push(der.toString("hex", at, field.end))
        at = field.end
    }
    return { issuer: spans[3] ?? "", subject: spans[5] ?? "" }
}

function elementAt(der: Buffer, at: number): { start: number; end: number } | undefined {
    if (at + 2 > der.length) return undefined
    const first = der[at + 1]
    const count = first < 0x80 ? 0 : first & 0x7f
    if (count > 3 || at + 2 + count > der.length) return undefined
    const length = count === 0 ? first : der.readUIntBE(at + 2, count)
    const start = at + 2 + count
    return start + length <= der.length ? { start, end: start + length } : undefined
}
