import { answerPath } from "../../firmware/core/sml-parameter.ts"
import { messageName, readSmlFile, type SmlFile } from "../verify/sml-file.ts"
import { anyList, listOf, octetsOf, SmlDamage, type SmlNode } from "../verify/sml-tlv.ts"

/** Why an exchange with a MUC came to nothing. The last two are answers; asking again does not help "refused". */
export type Trouble = "timeout" | "hang-up" | "damaged" | "unreachable" | "not now" | "refused" | "closed"

/** An exchange failed: of which kind, and in words. */
export class ExchangeError extends Error {
    constructor(
        readonly trouble: Trouble,
        message: string,
    ) {
        super(message)
        this.name = "ExchangeError"
    }
}

/** SML attention numbers (last two octets) after which asking again may help: not reachable, busy. */
const passing = new Set(["fe03", "fe07", "fe15"])
/** The device has forgotten our certificate; the line repeated a command, or two of ours overtook each other. */
const worthNewCommand = /^E(3541|3544)\b/

/** A response file, read as far as a head-end must: who answered, and which request. */
export interface Response {
    file: SmlFile
    reqFileId: Buffer
    serverId: Buffer
}

/** Reads a response file; `ExchangeError` "damaged" where it is none, "not now" or "refused" for an Attention. */
export function readResponse(raw: Buffer): Response {
    return guarded(() => {
        const file = readSmlFile(raw)
        if (file.damage) throw file.damage
        const [open] = file.messages
        if (open?.tag !== 0x0101) throw new SmlDamage(8, "PublicOpen.Res", open ? messageName(open.tag) : "nothing")
        const bad = file.messages.find(message => message.crcCame !== message.crcExpected)
        if (bad) throw new SmlDamage(bad.start, "a good message CRC", "another")
        const fields = listOf(open.body, 6, "PublicOpen.Res")
        return {
            file,
            reqFileId: octetsOf(file.payload, fields[2], "reqFileId"),
            serverId: octetsOf(file.payload, fields[3], "serverId"),
        }
    })
}

/** Whatever a hostile answer makes the reader say is "damaged". */
function guarded<T>(read: () => T): T {
    try {
        return read()
    } catch (error) {
        if (!(error instanceof SmlDamage)) throw error
        throw new ExchangeError("damaged", `the answer is damaged: ${error.message}`)
    }
}

/** The first Attention.Res of a file: last two octets of its number in hex, and its text. */
export function readAttention({ file }: Response): { code: string; text: string } | undefined {
    return guarded(() => {
        const found = file.messages.find(({ tag }) => tag === 0xff01)
        if (!found) return undefined
        const [, number, message] = listOf(found.body, 4, "Attention.Res")
        const code = octetsOf(file.payload, number, "attentionNo").toString("hex").slice(-4)
        const text = octetsOf(file.payload, message, "attentionMsg").toString("utf8")
        return { code, text: text.replace(/[^ -~]/g, "?").slice(0, 100) }
    })
}

/** Throws what an Attention.Res in the file says; the file must hold a message of one of `tags`. */
export function demandAnswer(response: Response, tags: number[]): void {
    const attention = readAttention(response)
    if (attention) {
        const again = passing.has(attention.code) || worthNewCommand.test(attention.text)
        const trouble = again ? "not now" : "refused"
        throw new ExchangeError(trouble, `attention ${attention.code} ${attention.text}`.trim())
    }
    if (!response.file.messages.some(({ tag }) => tags.includes(tag)))
        throw new ExchangeError("damaged", `no ${tags.map(messageName).join(" or ")} in the answer`)
}

/** A child of a tree that has an octet string as its value, or children, or both. */
export interface TreeChild {
    name: Buffer
    /** Empty where there is none. */
    value: Buffer
    children: TreeChild[]
}

/** The children of the tree that a GetProcParameter.Res holds, in order. */
export function treeChildren(response: Response): TreeChild[] {
    const { file } = response
    demandAnswer(response, [0x0501])
    return guarded(() => {
        const trees = file.messages
            .filter(({ tag }) => tag === 0x0501)
            .map(({ body }) => listOf(body, 3, "GetProcParameter.Res")[2])
        // A signed answer begins with the tree that names its command.
        const nameOf = (tree: SmlNode) => octetsOf(file.payload, listOf(tree, 3, "Tree")[0], "parameterName")
        return childrenOf(file, trees.find(tree => !nameOf(tree).equals(answerPath)) ?? trees[0])
    })
}

function childrenOf(file: SmlFile, tree: SmlNode): TreeChild[] {
    const [, , children] = listOf(tree, 3, "Tree")
    if (children.type === "absent") return []
    return anyList(children, "child_List").map(child => {
        const [name, value] = listOf(child, 3, "Tree")
        const octets = value.type === "absent" ? Buffer.alloc(0) : octetsIn(file, value)
        return { name: octetsOf(file.payload, name, "parameterName"), value: octets, children: childrenOf(file, child) }
    })
}

function octetsIn(file: SmlFile, value: SmlNode): Buffer {
    return octetsOf(file.payload, listOf(value, 2, "ProcParValue")[1], "a value")
}

/** The octet strings in the children of the tree that a GetProcParameter.Res holds, in order. */
export function treeValues(response: Response, most: number): Buffer[] {
    return treeChildren(response)
        .slice(0, most)
        .filter(({ value }) => value.length > 0)
        .map(({ value }) => value)
}
