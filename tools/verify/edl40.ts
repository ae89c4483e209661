import { createHash } from "node:crypto"
import { keyFromPoint, type PublicKey, verifyBoth } from "./curves.ts"
import { judgeFrame } from "./evidence.ts"
import { Findings, type SignedOctets } from "./findings.ts"
import { obisText } from "./signed-list.ts"
import { messageName, type SmlFile } from "./sml-file.ts"
import { anyList, intOf, listOf, octetsOf, SmlDamage, type SmlNode, uintOf } from "./sml-tlv.ts"

/**
 * Signed SML of charging meters: EDL40 and ISA-EDL-40P. The signature covers SHA-256 of a block of 320
 * octets that is put together from fields of the telegram, not octets of the telegram itself.
 */

/** What came of one telegram. */
export interface TelegramResult {
    kind: string
    findings: Findings
    reading: Record<string, string>
    proof?: SignedOctets
}

interface Row {
    status: SmlNode
    valTime: SmlNode
    unit: SmlNode
    scaler: SmlNode
    value: SmlNode
    signature: SmlNode
    name: SmlNode
}

interface Telegram {
    payload: Buffer
    serverId: Buffer
    listName: Buffer
    signature: Buffer
    rows: Map<string, Row>
}

const blockLength = 320
const energy40 = "0100011100ff"
const energy40p = "0100010800ff"
const startValue = "010001080080"
const contractId = "8182815401ff"
const signatureVersion = "00af737672ff"

function readTelegram(file: SmlFile): Telegram {
    const message = file.messages.find(each => each.tag === 0x0701)
    if (!message)
        throw new SmlDamage(
            0,
            "a GetList.Res",
            file.messages.map(each => messageName(each.tag)).join(", ") || "no message",
        )
    const { payload } = file
    const items = listOf(message.body, 7, "GetList.Res")
    const rows: Telegram["rows"] = new Map()
    for (const node of anyList(items[4], "valList")) {
        const [name, status, valTime, unit, scaler, value, signature] = listOf(node, 7, "ListEntry")
        const code = octetsOf(payload, name, "objName").toString("hex")
        if (rows.has(code)) throw new SmlDamage(node.start, "each object once", `${code} twice`)
        rows.set(code, { name, status, valTime, unit, scaler, value, signature })
    }
    return {
        payload,
        serverId: octetsOf(payload, items[1], "serverId"),
        listName: octetsOf(payload, items[2], "listName"),
        signature: octetsOf(payload, items[5], "listSignature"),
        rows,
    }
}

/** The block under construction: each field at its offset, numbers little endian as the meters write them. */
class Block {
    readonly octets = Buffer.alloc(blockLength)

    constructor(private readonly telegram: Telegram) {}

    row(code: string, what: string): Row {
        const row = this.telegram.rows.get(code)
        if (!row)
            throw new SmlDamage(
                0,
                `the object ${/^[0-9a-f]{12}$/.test(code) ? obisText(code) : code} (${what})`,
                "absent",
            )
        return row
    }

    put(offset: number, width: number, content: Buffer, what: string): void {
        if (content.length > width) throw new SmlDamage(0, `${what}: at most ${width} octets`, `${content.length}`)
        content.copy(this.octets, offset)
    }

    number(node: SmlNode, what: string): bigint {
        const { payload } = this.telegram
        return node.type === "int" ? intOf(payload, node, what) : uintOf(payload, node, what)
    }

    little(offset: number, width: number, value: bigint): void {
        let rest = BigInt.asUintN(8 * width, value)
        for (let i = 0; i < width; ++i, rest >>= 8n) this.octets[offset + i] = Number(rest & 255n)
    }

    /** Local time as these meters sign it: timestamp plus both offsets (in minutes), or the plain number. */
    seconds(node: SmlNode, what: string): bigint {
        const { payload } = this.telegram
        const [tag, value] = listOf(node, 2, what)
        if (uintOf(payload, tag, what) !== 3n) return uintOf(payload, value, what, 4)
        const [stamp, offset, season] = listOf(value, 3, `${what}: localTimestamp`)
        return uintOf(payload, stamp, what, 4) + 60n * (intOf(payload, offset, what) + intOf(payload, season, what))
    }

    time(offset: number, node: SmlNode, what: string): void {
        this.little(offset, 4, this.seconds(node, what))
    }

    /** OBIS, unit, scaler and value of a row: 16 octets. */
    value(offset: number, row: Row, what: string): void {
        const { payload } = this.telegram
        this.put(offset, 6, octetsOf(payload, row.name, what), what)
        this.octets[offset + 6] = Number(uintOf(payload, row.unit, `${what}: unit`, 1))
        this.octets[offset + 7] = Number(BigInt.asUintN(8, intOf(payload, row.scaler, `${what}: scaler`, 1)))
        this.little(offset + 8, 8, this.number(row.value, what))
    }
}

/** The status octet that a P-256 EDL40 meter signs, out of its 32-bit status word. */
function mappedStatus(word: bigint): number {
    const moves: [to: number, from: bigint][] = [
        [0, 17n],
        [3, 31n],
        [4, 16n],
        [5, 11n],
        [6, 9n],
        [7, 8n],
    ]
    return moves.reduce((octet, [to, from]) => octet | (Number((word >> from) & 1n) << to), 0)
}

function edl40Block(telegram: Telegram): Buffer {
    const block = new Block(telegram)
    const { payload, signature } = telegram
    const energy = block.row(energy40, "the signed value")
    block.put(0, 10, telegram.serverId, "serverId")
    block.time(10, energy.valTime, "time of the value")
    const word = block.number(energy.status, "status")
    block.octets[14] = signature.length === 66 ? mappedStatus(word) : Number(BigInt.asUintN(8, word))
    // A Value of ListType 1: tag, then an SML_Time.
    const [, index] = listOf(block.row("810060080001", "seconds index").value, 2, "seconds index")
    block.time(15, index, "seconds index")
    block.little(19, 4, uintOf(payload, block.row("8180817101ff", "pagination").value, "pagination", 4))
    block.value(23, energy, "the signed value")
    block.put(39, 2, signature.subarray(-2), "logbook index")
    const contract = block.row(contractId, "contract id")
    block.put(41, 128, octetsOf(payload, contract.value, "contract id"), "contract id")
    block.time(169, contract.valTime, "time of the contract id")
    const optional: [code: string, offset: number, width: number][] = [
        ["010001110064", 173, 8],
        ["0100011100c8", 181, 8],
        ["00af6c6c72ff", 189, 2],
        ["00af647572ff", 191, 4],
    ]
    for (const [code, offset, width] of optional) {
        const row = telegram.rows.get(code)
        if (row) block.little(offset, width, block.number(row.value, obisText(code)))
    }
    const price = telegram.rows.get("00af707263ff")
    if (price) block.octets.writeUInt16BE(Number(BigInt.asUintN(16, block.number(price.value, "price"))), 195)
    return block.octets
}

function edl40pBlock(telegram: Telegram): Buffer {
    const block = new Block(telegram)
    const { payload } = telegram
    const now = block.row(energy40p, "the actual value")
    const start = block.row(startValue, "the start value")
    const contract = block.row(contractId, "contract id")
    block.put(0, 10, telegram.serverId, "serverId")
    block.time(10, now.valTime, "time of the actual value")
    block.octets[14] = Number(BigInt.asUintN(8, block.number(now.status, "status")))
    block.value(15, now, "the actual value")
    block.put(31, 2, telegram.signature.subarray(-2), "logbook index")
    const inner = octetsOf(payload, now.signature, "valueSignature")
    if (inner.length !== 66)
        throw new SmlDamage(now.signature.start, "a valueSignature of 66 octets", `${inner.length}`)
    block.put(33, 66, inner, "valueSignature")
    block.put(99, 128, octetsOf(payload, contract.value, "contract id"), "contract id")
    block.time(227, start.valTime, "start time")
    block.put(231, 20, octetsOf(payload, block.row("8180816101ff", "ESTH").value, "ESTH"), "ESTH")
    block.octets[251] = Number(BigInt.asUintN(8, block.number(start.status, "start status")))
    block.value(252, start, "the start value")
    block.put(268, 6, telegram.listName, "listName")
    block.little(274, 4, uintOf(payload, block.row("8180c7f040ff", "pagination").value, "pagination", 4))
    return block.octets
}

function decimal(value: bigint, scaler: number): string {
    const sign = value < 0n ? "-" : ""
    const digits = (value < 0n ? -value : value).toString()
    if (scaler >= 0) return sign + digits + "0".repeat(Math.min(scaler, 18))
    const padded = digits.padStart(1 - scaler, "0")
    return `${sign}${padded.slice(0, scaler)}.${padded.slice(scaler)}`
}

function readingOf(telegram: Telegram): Record<string, string> {
    const block = new Block(telegram)
    const reading: Record<string, string> = { meter: telegram.serverId.toString("hex").toUpperCase() }
    for (const code of [energy40, energy40p, startValue]) {
        const row = telegram.rows.get(code)
        if (!row) continue
        const scaler = row.scaler.type === "int" ? Number(intOf(telegram.payload, row.scaler, "scaler", 1)) : 0
        reading[obisText(code)] = `${decimal(block.number(row.value, "value"), scaler)} Wh`
    }
    return reading
}

/** Three outcomes told apart: the key is none, the telegram is damaged, the signature does not hold. */
export function judgeTelegram(octets: Buffer, bareKey: Buffer | PublicKey | undefined): TelegramResult {
    const findings = new Findings()
    const result: TelegramResult = { kind: "signed SML", findings, reading: {} }
    const file = judgeFrame(findings, octets)
    if (!file) return result
    let telegram: Telegram
    try {
        telegram = readTelegram(file)
    } catch (error) {
        if (!(error instanceof SmlDamage)) throw error
        findings.failed(
            "SML structure",
            "SML 1.04",
            `file offset ${file.fileOffset(error.at)}`,
            error.expected,
            error.came,
        )
        return result
    }
    const isPlug = telegram.rows.has(energy40p)
    result.kind = isPlug ? "ISA-EDL-40P" : "EDL40"
    const clause = `${result.kind}, block of 320 octets`
    const width = telegram.signature.length === 50 && !isPlug ? 24 : 32
    const curve = width === 24 ? "secp192r1" : "secp256r1"
    const key = Buffer.isBuffer(bareKey) ? keyFromPoint(curve, bareKey) : bareKey
    if (!key) findings.missing("public key", result.kind, "publicKey", `X|Y on ${curve}`, "no key given")
    else if ("refused" in key)
        findings.failed("public key", "SEC 1 3.2.2.1", "publicKey", `a point of ${curve}`, key.refused)
    else
        findings.check(
            key.curve === curve,
            "public key",
            "SEC 1 3.2.2.1",
            "publicKey",
            `a point of ${curve}`,
            `a point of ${key.curve}`,
        )
    try {
        const block = isPlug ? edl40pBlock(telegram) : edl40Block(telegram)
        findings.proved(
            "signed block",
            clause,
            "GetList.Res",
            "all fields that are signed",
            createHash("sha256").update(block).digest("hex"),
        )
        result.reading = readingOf(telegram)
        if (telegram.signature.length !== 2 * width + 2) {
            const came = telegram.signature.length ? `${telegram.signature.length}` : "no signature"
            findings.failed("signature", clause, "listSignature", "50 or 66 octets: r|s and the logbook index", came)
            return result
        }
        const signature = telegram.signature.subarray(0, 2 * width)
        const usable = key && !("refused" in key) && key.curve === curve
        if (!usable)
            findings.missing(
                "signature",
                clause,
                "listSignature",
                "r|s over SHA-256 of the block",
                "no usable key to check it with",
            )
        else {
            const { holds, text } = verifyBoth(key, block, signature)
            findings.check(holds, "signature", clause, "listSignature", "r|s over SHA-256 of the block", text)
        }
        result.proof = { sml: octets, signed: block, signature, keyPem: usable ? key.pem : undefined }
        const version = telegram.rows.get(signatureVersion)?.value
        if (version) result.reading["signature version"] = String(new Block(telegram).number(version, "version"))
    } catch (error) {
        if (!(error instanceof SmlDamage)) throw error
        const place = error.at ? `file offset ${file.fileOffset(error.at)}` : "GetList.Res"
        findings.failed("signed block", clause, place, error.expected, error.came)
    }
    return result
}
