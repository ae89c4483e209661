/** PEM text (RFC 7468) of one object. */
export function pem(label: string, der: Uint8Array): string {
    const lines =
        Buffer.from(der)
            .toString("base64")
            .match(/.{1,64}/g) ?? []
    return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`
}

/** One object of a PEM text. */
export interface PemObject {
    label: string
    der: Buffer
}

/** All objects of a PEM text in order; text between them is skipped. */
export function readPem(text: string): PemObject[] {
    const objects: PemObject[] = []
    for (const [, label, body] of text.matchAll(/-----BEGIN ([A-Z0-9 ]+)-----\s*([A-Za-z0-9+/=\s]*?)-----END \1-----/g))
        objects.push({ label, der: Buffer.from(body, "base64") })
    return objects
}
