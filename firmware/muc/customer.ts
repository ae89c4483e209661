import { cut } from "../core/octets"
import { TIME_STAMP } from "../core/sml-values"
import { drawnAt, fedInAt, idAt, idSize, kindAt, numberAt, powerAt, timeAt } from "./kept"
import type { KeyRing } from "./keys"
import type { Lockout } from "./lockout"
import type { OwnReadings } from "./own-readings"

/** Longest request head. A browser's has some 700 octets. */
export const longestRequest = 1024
/** Longest line of credentials in base64: a user name and a password of 128 letters. */
const longestCredentials = 192

const pageHead =
    "<!doctype html><html lang=en><meta charset=utf-8><title>Plomb</title><style>body{font:16px sans-serif;margin:2em}td,th{padding:.2em 1em .2em 0;text-align:right}</style>" +
    "<h1>Your meters</h1><p>Signed readings as they passed your MUC, newest of the day and first of each day, local time. Each can be checked: plomb verify FILE --key KEY, the key of the meter's certificate.</p>" +
    "<table><tr><th>Meter<th>Time<th>Drawn kWh<th>Fed in kWh<th>Power W<th>Evidence"
const pageTail =
    "</table><p><a href=/readings.json>readings.json</a>" +
    "<script>for(const c of document.querySelectorAll('.t'))c.textContent=+c.textContent?new Date(c.textContent*1000).toLocaleString():'not known'</script>"

/** What surrounds the values of a reading: meter, time, drawn, fed in, power, number. */
const htmlRow = ["<tr><td>", "<td class=t>", "<td>", "<td>", "<td>", "<td><a href=/evidence/", ">SML</a>\n"]
const jsonRow = [
    '{"meter":"',
    '","time":',
    ',"drawn_kWh":',
    ',"fedIn_kWh":',
    ',"power_W":',
    ',"evidence":"/evidence/',
    '"}',
]

/** Sends a part of an answer. */
export type Say = (octets: Buffer) => void

/** The customer's page: HTTP/1.1 (RFC 9112), one request a connection, GET only, Basic authentication (RFC 7617). */
export class CustomerPage {
    constructor(
        private readonly own: OwnReadings,
        private readonly keys: KeyRing,
        private readonly lockout: Lockout,
    ) {}

    /** Answers a request: its head up to the empty line, or what came of one that has none within `longestRequest`. */
    respond(octets: Buffer, say: Say): void {
        let status = "400 Bad Request"
        let more = ""
        const head = headOf(octets)
        const lower = head.toLowerCase()
        const lineEnd = head.indexOf("\r\n")
        const line = head.slice(0, lineEnd)
        const from = line.indexOf(" ") + 1
        const to = line.indexOf(" HTTP/", from)
        const target = line.slice(from, to)
        if (octets.length > longestRequest) status = "431 Request Header Fields Too Large"
        else if (from < 2 || to < from || target.indexOf(" ") >= 0) status = "400 Bad Request"
        else if (line.slice(to) !== " HTTP/1.1") status = "505 HTTP Version Not Supported"
        else if (line.slice(0, from) !== "GET ") {
            status = "405 Method Not Allowed"
            more = "Allow: GET\r\n"
        } else if (
            field(head, lower, "content-length", "0") !== "0" ||
            field(head, lower, "transfer-encoding", "") !== ""
        )
            status = "413 Content Too Large"
        else if ((field(head, lower, "host", "") || "?") !== "?") {
            const wait = this.lockout.secondsLeft()
            const verifier = this.keys.password()
            if (!verifier) status = "503 Service Unavailable"
            else if (wait > 0) {
                status = "429 Too Many Requests"
                more = "Retry-After: " + wait + "\r\n"
            } else if (!this.lets(verifier, field(head, lower, "authorization", ""))) {
                status = "401 Unauthorized"
                more = 'WWW-Authenticate: Basic realm="Plomb", charset="UTF-8"\r\n'
            } else {
                status = this.show(target, say)
                if (status.length === 0) return
            }
        }
        sayHead(say, status, "text/plain", more)
        say(Buffer.from(status + "\n"))
    }

    private lets(verifier: Buffer, credentials: string): boolean {
        const user = credentials.slice(0, 6).toLowerCase() === "basic " ? fromBase64(credentials.slice(6)) : ""
        return user.slice(0, 5) === "user:" && this.lockout.lets(verifier, Buffer.from(user.slice(5)))
    }

    /** Answers what is to be seen, or says which status it has instead. */
    private show(target: string, say: Say): string {
        const json = target === "/readings.json"
        const list = json || target === "/"
        const wanted = target.slice(0, 10) === "/evidence/" ? parseInt(target.slice(10)) : 0
        if (!list && !(wanted > 0)) return "404 Not Found"
        const places = this.own.places()
        if (!places) return "403 Forbidden"
        let separator = "["
        if (list) {
            sayHead(say, "200 OK", json ? "application/json" : "text/html", "")
            if (!json) say(Buffer.from(pageHead))
        }
        for (let i = 0; i < places.length; ++i) {
            const head = this.own.kept.head(places[i])
            if (!head) continue
            const meter = cut(head, idAt, idSize).toString("hex")
            const number = head.getAt(numberAt, "u32")
            if (list) {
                const row = rowOf(head, meter, json)
                say(Buffer.from(json ? separator + row : row))
                separator = ",\n"
            } else if (number === wanted) {
                const file = this.own.kept.file(number)
                if (!file) break
                const name = meter + "-" + number + ".sml"
                const more = 'Content-Disposition: attachment; filename="' + name + '"\r\n'
                sayHead(say, "200 OK", "application/octet-stream", more)
                say(file)
                return ""
            }
        }
        if (!list) return "404 Not Found"
        say(Buffer.from(!json ? pageTail : separator === "[" ? "[]\n" : "]\n"))
        return ""
    }
}

function sayHead(say: Say, status: string, type: string, more: string): void {
    const head =
        "HTTP/1.1 " +
        status +
        "\r\nContent-Type: " +
        type +
        "\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nContent-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'\r\nConnection: close\r\n"
    say(Buffer.from(head + more + "\r\n"))
}

/** The head as text; empty where it holds anything but printable ASCII and line ends. */
function headOf(octets: Buffer): string {
    for (let i = 0; i < octets.length; ++i) {
        const c = octets[i]
        if ((c < 32 && c !== 9 && c !== 10 && c !== 13) || c > 126) return ""
    }
    return octets.length > longestRequest ? "" : octets.toString("utf8")
}

/** Value of a header field, `absent` where there is none; "?" where it stands twice. */
function field(head: string, lower: string, name: string, absent: string): string {
    const words = "\r\n" + name + ":"
    const at = lower.indexOf(words)
    if (at < 0) return absent
    if (lower.indexOf(words, at + 1) >= 0) return "?"
    const from = at + words.length
    const value = head.slice(from, head.indexOf("\r\n", from))
    return value[0] === " " ? value.slice(1) : value
}

/** Text of base64 (RFC 4648 clause 4); empty for anything else. */
function fromBase64(letters: string): string {
    const octets: number[] = []
    let bits = 0
    let value = 0
    if (letters.length > longestCredentials) return ""
    for (let i = 0; i < letters.length && letters[i] !== "="; ++i) {
        const c = letters.charCodeAt(i)
        let digit = -1
        if (c >= 65 && c <= 90) digit = c - 65
        else if (c >= 97 && c <= 122) digit = c - 71
        else if (c >= 48 && c <= 57) digit = c + 4
        else if (c === 43) digit = 62
        else if (c === 47) digit = 63
        if (digit < 0) return ""
        value = ((value << 6) | digit) & 0xfff
        bits += 6
        if (bits < 8) continue
        bits -= 8
        octets.push((value >> bits) & 0xff)
    }
    return Buffer.from(octets).toString("utf8")
}

function rowOf(head: Buffer, meter: string, json: boolean): string {
    const parts = json ? jsonRow : htmlRow
    return (
        parts[0] +
        meter +
        parts[1] +
        (head[kindAt] === TIME_STAMP ? head.getAt(timeAt, "u32") : "null") +
        parts[2] +
        fixed(head.getAt(drawnAt, "u64"), 10000) +
        parts[3] +
        fixed(head.getAt(fedInAt, "u64"), 10000) +
        parts[4] +
        fixed(head.getAt(powerAt, "i32"), 10) +
        parts[5] +
        head.getAt(numberAt, "u32") +
        parts[6]
    )
}

/** `value` / `unit` (10 or 10,000) with all its decimals. */
function fixed(value: number, unit: number): string {
    const positive = Math.abs(value)
    const whole = Math.floor(positive / unit)
    return (value < 0 ? "-" : "") + whole + "." + ("" + (positive - whole * unit + unit)).slice(1)
}
