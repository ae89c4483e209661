import type { SmlFile } from "./sml-file.ts"
import { anyList, listOf, octetsOf, SmlDamage, type SmlNode } from "./sml-tlv.ts"

/** A node of a parameter tree, with the octets of its value. */
export interface ParameterTree {
    /** Hex. */
    name: string
    value: Buffer
    children: ParameterTree[]
}

/** What became of one request: done, refused with a number (last two octets, hex) and text, or answered. */
export interface Outcome {
    transactionId: Buffer
    kind: "done" | "refused" | "answered"
    attention?: string
    text?: string
    tree?: ParameterTree
}

/** A signed answer as sent (tools/authority/README.md). Times: `utc` 0 where the device's clock was not trusted. */
export interface SignedAnswer {
    serverId: Buffer
    /** SHA-256 of the signed octets of the command that it answers. */
    command: Buffer
    counter: number
    secondsIndex: number
    utc: number
    outcomes: Outcome[]
    signed: Buffer
    signature: Buffer
}

export const answerPath = "8181c7f031ff"
const answerOctets = 45
const done = "fd00"

function readTree(payload: Buffer, node: SmlNode): ParameterTree {
    const [name, value, children] = listOf(node, 3, "Tree")
    const content = value.type === "absent" ? value : listOf(value, 2, "ProcParValue")[1]
    return {
        name: octetsOf(payload, name, "parameterName").toString("hex"),
        value: payload.subarray(content.valueStart, content.end),
        children:
            children.type === "absent" ? [] : anyList(children, "child_List").map(each => readTree(payload, each)),
    }
}

function readOutcome(file: SmlFile, index: number): Outcome {
    const { payload } = file
    const { tag, transactionId, body } = file.messages[index]
    if (tag === 0xff01) {
        const [, number, message] = listOf(body, 4, "Attention.Res")
        const attention = octetsOf(payload, number, "attentionNo").toString("hex").slice(-4)
        const text = octetsOf(payload, message, "attentionMsg")
            .toString("utf8")
            .replace(/[^ -~]/g, "?")
            .slice(0, 100)
        return { transactionId, kind: attention === done ? "done" : "refused", attention, text }
    }
    if (tag !== 0x0501) return { transactionId, kind: "answered" }
    const tree = readTree(payload, listOf(body, 3, "GetProcParameter.Res")[2])
    return { transactionId, kind: "answered", tree }
}

/** Does the file begin as a signed answer does? */
export function isAnswer(file: SmlFile): boolean {
    const head = file.messages[1]
    if (head?.tag !== 0x0501 || head.body.items.length !== 3 || head.body.items[1].type !== "list") return false
    const [name] = head.body.items[1].items
    return name !== undefined && file.payload.toString("hex", name.valueStart, name.end) === answerPath
}

/** Reads a signed answer; throws `SmlDamage` for anything else. */
export function readAnswer(file: SmlFile): SignedAnswer {
    if (file.damage) throw file.damage
    const { payload, messages } = file
    const last = messages.length - 1
    if (messages.length < 3 || messages[0].tag !== 0x0101 || messages[last].tag !== 0x0201 || !isAnswer(file))
        throw new SmlDamage(
            0,
            "PublicOpen.Res, the answer's head, answers, PublicClose.Res",
            `${messages.length} messages`,
        )
    const head = readTree(payload, listOf(messages[1].body, 3, "GetProcParameter.Res")[2]).value
    if (head.length !== answerOctets || head[0] !== 1)
        throw new SmlDamage(messages[1].start, "an answer's head, version 1", `${head.length} octets`)
    const [signatureNode] = listOf(messages[last].body, 1, "PublicClose.Res")
    return {
        serverId: octetsOf(payload, listOf(messages[0].body, 6, "PublicOpen.Res")[3], "serverId"),
        command: head.subarray(1, 33),
        counter: head.readUInt32BE(33),
        secondsIndex: head.readUInt32BE(37),
        utc: head.readUInt32BE(41),
        outcomes: messages.slice(2, last).map((_, i) => readOutcome(file, i + 2)),
        signed: payload.subarray(messages[0].start, signatureNode.start),
        signature: octetsOf(payload, signatureNode, "globalSignature"),
    }
}
