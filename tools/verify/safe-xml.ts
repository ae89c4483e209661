import type { PublicKey } from "./curves.ts"
import { judgeTelegram, type TelegramResult } from "./edl40.ts"
import { Findings, type Verdict, type VerdictName } from "./findings.ts"
import { judgeOcmf } from "./ocmf.ts"

/** The XML of the charging stations' transparency software: `values/value` with `signedData` and `publicKey`. */

interface XmlElement {
    name: string
    attributes: Record<string, string>
    text: string
    children: XmlElement[]
}

const maxElements = 10_000
const maxDepth = 8
const entities = new Map(Object.entries({ amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" }))

class XmlDamage extends Error {
    constructor(
        readonly at: number,
        readonly expected: string,
    ) {
        super(expected)
    }
}

function plainText(text: string): string {
    return text.replace(/&(#\d{1,7}|#x[0-9a-fA-F]{1,6}|\w{1,8});/g, (whole, name: string) => {
        if (!name.startsWith("#")) return entities.get(name) ?? whole
        const code = name[1] === "x" ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1))
        return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code) : whole
    })
}

/** Elements, attributes, text, CDATA and comments; no DOCTYPE, so nothing that refers or expands. */
function parseXml(text: string): XmlElement {
    const root: XmlElement = { name: "", attributes: {}, text: "", children: [] }
    const open = [root]
    let count = 0
    let at = 0
    const closing = (mark: string, from: number) => {
        const end = text.indexOf(mark, from)
        if (end < 0) throw new XmlDamage(from, `"${mark}"`)
        return end
    }
    while (at < text.length) {
        const next = text.indexOf("<", at)
        const current = open[open.length - 1]
        current.text += plainText(text.slice(at, next < 0 ? text.length : next))
        if (next < 0) break
        if (text.startsWith("<!--", next)) at = closing("-->", next) + 3
        else if (text.startsWith("<?", next)) at = closing("?>", next) + 2
        else if (text.startsWith("<![CDATA[", next)) {
            const end = closing("]]>", next)
            current.text += text.slice(next + 9, end)
            at = end + 3
        } else if (text.startsWith("<!", next)) throw new XmlDamage(next, "no document type")
        else {
            const end = closing(">", next)
            const tag = text.slice(next + 1, end)
            at = end + 1
            const name = /^\/?([A-Za-z_][\w:.-]{0,60})/.exec(tag)?.[1]
            if (!name) throw new XmlDamage(next, "an element's name")
            if (tag[0] === "/") {
                if (open.length < 2 || open.pop()!.name !== name)
                    throw new XmlDamage(next, "the end of the open element")
                continue
            }
            if (++count > maxElements || open.length > maxDepth) throw new XmlDamage(next, "fewer elements")
            const attributes: Record<string, string> = {}
            for (const [, key, a, b] of tag.matchAll(/([\w:.-]{1,60})\s{0,9}=\s{0,9}(?:"([^"]*)"|'([^']*)')/g))
                attributes[key] = plainText(a ?? b ?? "")
            const element: XmlElement = { name, attributes, text: "", children: [] }
            current.children.push(element)
            if (!tag.endsWith("/")) open.push(element)
        }
    }
    if (open.length > 1) throw new XmlDamage(text.length, `the end of "${open[open.length - 1].name}"`)
    return root
}

function find(element: XmlElement, name: string, found: XmlElement[] = []): XmlElement[] {
    for (const child of element.children) {
        if (child.name === name) found.push(child)
        find(child, name, found)
    }
    return found
}

/** Octets in hex (blanks allowed) or base64. */
function octetsOf(text: string, encoding = ""): Buffer | undefined {
    const plain = text.replace(/\s/g, "")
    if (encoding !== "base64" && /^([0-9a-fA-F]{2})+$/.test(plain)) return Buffer.from(plain, "hex")
    return /^[A-Za-z0-9+/]+=*$/.test(plain) ? Buffer.from(plain, "base64") : undefined
}

function refused(kind: string, check: string, place: string, expected: string, came: string): TelegramResult {
    const findings = new Findings()
    findings.failed(check, "SAFE transparency software XML", place, expected, came)
    return { kind, findings, reading: {} }
}

function judgeValue(value: XmlElement, named: PublicKey | undefined): TelegramResult {
    const data = find(value, "signedData")[0] ?? find(value, "encodedData")[0]
    const keyText = find(value, "publicKey")[0]
    const place = "signedData"
    if (!data) return refused("signed value", "signed data", place, "an element signedData", "none")
    const own = keyText && octetsOf(keyText.text, keyText.attributes.encoding)
    const key = named ?? own
    const { encoding, format } = data.attributes
    const text = data.text.trim()
    const decoded = text.startsWith("OCMF|") ? undefined : octetsOf(text, encoding)
    const inner = decoded?.toString("utf8", 0, 5) === "OCMF|" ? decoded.toString("utf8").trim() : text
    if (inner.startsWith("OCMF|")) return judgeOcmf(inner, key)
    if (decoded?.toString("hex", 0, 4) === "1b1b1b1b") return judgeTelegram(decoded, key)
    const came = `not supported: ${(format ?? "no format named").replace(/[^\w.-]/g, "?").slice(0, 40)}`
    return refused(
        "signed value",
        "format of the signed data",
        place,
        "OCMF text, or an SML file in hex or base64",
        came,
    )
}

/** The three outcomes in words, and what a bare key leaves open. */
function statementOf(name: VerdictName, { findings, kind }: TelegramResult): string {
    if (name === "signed by the key you named")
        return `This ${kind} reading is unaltered and was signed with the key you named. Whose key that is rests on you: no certificate was judged.`
    if (name === "signed by the key that came with it")
        return `This ${kind} reading is unaltered since it was signed with the key that lies beside it. Whose key that is, nothing here shows: anybody can sign with a key of his own.`
    const open = findings.open
    const [first] = open
    const of = (...checks: string[]) => open.find(each => checks.includes(each.check))
    const words = (cause: string, each = first) =>
        `This is not proof: ${cause}${each ? ` (${each.check}, ${each.place}: expected ${each.expected}, came ${each.came})` : ""}.`
    const damage = of(
        "transport frame",
        "transport CRC",
        "message CRC",
        "SML structure",
        "OCMF structure",
        "signed block",
    )
    if (damage?.check === "signed block")
        return words("the telegram lacks what was signed: damaged, or of another kind", damage)
    if (damage) return words("the telegram is damaged", damage)
    const badKey = of("public key")
    if (badKey) return words("the key is not valid", badKey)
    const signature = of("signature")
    if (signature) return words("telegram and key are in order, but the signature does not belong to them", signature)
    return words("it was not judged")
}

/** One signed value of any kind as a verdict; `named` is the key a person vouches for. */
export function bareVerdict(source: string, result: TelegramResult, named: boolean): Verdict {
    const { findings, kind, reading, proof } = result
    findings.unshown(
        "provenance of the key",
        "PLOMB demand B.10",
        "publicKey",
        "a certificate chain to an authority",
        named ? "a bare key that you vouch for" : "a bare key beside the data",
    )
    const good = named ? "signed by the key you named" : "signed by the key that came with it"
    const name: VerdictName = findings.open.length === 0 ? good : "not proof"
    return { source, kind, name, statement: statementOf(name, result), findings: findings.list, reading, proof }
}

/** Judges all values of such a file; a text that is no XML is a finding. */
export function judgeXml(source: string, text: string, named: PublicKey | undefined): Verdict[] {
    let values: XmlElement[]
    try {
        values = find(parseXml(text.replace(/^\ufeff/, "")), "value")
    } catch (error) {
        if (!(error instanceof XmlDamage)) throw error
        const result = refused("XML", "XML structure", `character ${error.at}`, error.expected, "something else")
        return [bareVerdict(source, result, named !== undefined)]
    }
    if (values.length === 0)
        return [
            bareVerdict(
                source,
                refused("XML", "XML structure", "text", "an element value", "none"),
                named !== undefined,
            ),
        ]
    return values.map((value, i) => {
        const where = values.length > 1 ? `${source} (value ${i + 1} of ${values.length})` : source
        return bareVerdict(where, judgeValue(value, named), named !== undefined)
    })
}
