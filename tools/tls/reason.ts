/** Why TLS did not come about, in words for people: OpenSSL's own, without its file names; an alert is the peer's. */
export function reasonOf(error: Error): string {
    const reason = (error as { reason?: string }).reason
    if (!reason) return error.message.trim()
    const alert = /^(?:sslv3|tlsv1|tlsv13) alert (.*)$/.exec(reason)
    return alert ? `the peer's alert: ${alert[1]}` : reason
}
