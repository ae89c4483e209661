import { createHash } from "node:crypto"
import { DerDamage, readDer } from "./der.ts"
import { messageName, type SmlFile } from "./sml-file.ts"
import { anyList, listOf, octetsOf, SmlDamage, type SmlNode, uintOf } from "./sml-tlv.ts"

/** One request of a signed command. */
export interface AskedFor {
    tag: number
    transactionId: Buffer
    /** Hex of each element of the parameterTreePath. */
    path: string[]
    listName: Buffer
    /** The value of a SetProcParameter; a number in four octets. */
    value: Buffer
    /** Range of a profile, UTC seconds. */
    from?: number
    to?: number
}

/** A signed command as sent (tools/authority/README.md). Times are UTC seconds. */
export interface SignedCommand {
    target: Buffer
    counter: number
    notBefore: number
    notAfter: number
    /** SHA-256 of the signer's certificate. */
    signer: Buffer
    /** Certificates inside, DER: the signer's own first. */
    certificates: Buffer[]
    requests: AskedFor[]
    /** The octets the signature covers, and their SHA-256, by which the answer names the command. */
    signed: Buffer
    digest: Buffer
    signature: Buffer
}

export const commandPath = "8181c7f030ff"
const headerOctets = 45

/** The certificates at the end of a header, one behind the other. */
function certificatesIn(octets: Buffer): Buffer[] {
    const found: Buffer[] = []
    try {
        for (let at = 0; at < octets.length; ) {
            const { end } = readDer(octets, at)
            found.push(octets.subarray(at, end))
            at = end
        }
    } catch (error) {
        if (!(error instanceof DerDamage)) throw error
        throw new SmlDamage(error.at, "certificates in DER", error.what)
    }
    return found
}

/** The seconds of an SML_Time, undefined where it is absent. */
function secondsOf(payload: Buffer, node: SmlNode): number | undefined {
    return node.type === "absent" ? undefined : Number(uintOf(payload, listOf(node, 2, "time")[1], "time", 4))
}

/** Octets of the value in a tree. */
function setValueOf(payload: Buffer, tree: SmlNode): Buffer {
    const [, value] = listOf(tree, 3, "Tree")
    if (value.type === "absent") return Buffer.alloc(0)
    const [, content] = listOf(value, 2, "ProcParValue")
    return payload.subarray(content.valueStart, content.end)
}

function readRequest(file: SmlFile, index: number): AskedFor {
    const { payload } = file
    const { tag, transactionId, body } = file.messages[index]
    const path = (node: SmlNode) => anyList(node, "path").map(each => octetsOf(payload, each, "path").toString("hex"))
    const nothing = { tag, transactionId, path: [], listName: Buffer.alloc(0), value: Buffer.alloc(0) }
    if (tag === 0x0700) {
        const items = listOf(body, 5, "GetList.Req")
        return { ...nothing, listName: octetsOf(payload, items[4], "listName") }
    }
    if (tag === 0x0500) return { ...nothing, path: path(listOf(body, 5, "GetProcParameter.Req")[3]) }
    if (tag === 0x0600) {
        const items = listOf(body, 5, "SetProcParameter.Req")
        return { ...nothing, path: path(items[3]), value: setValueOf(payload, items[4]) }
    }
    if (tag === 0x0400) {
        const items = listOf(body, 9, "GetProfileList.Req")
        const [from, to] = [secondsOf(payload, items[4]), secondsOf(payload, items[5])]
        return { ...nothing, path: path(items[6]), from, to }
    }
    throw new SmlDamage(file.messages[index].start, "a request", messageName(tag))
}

/** Is this request file one that says it is signed? Whether it is, `judgeAct` says. */
export function isSigned(file: SmlFile): boolean {
    const close = file.messages[file.messages.length - 1]
    return close?.tag === 0x0200 && close.body.items[0]?.type === "octets"
}

/** Reads a signed command; throws `SmlDamage` for anything else. */
export function readCommand(file: SmlFile): SignedCommand {
    if (file.damage) throw file.damage
    const { payload, messages } = file
    const last = messages.length - 1
    if (messages.length < 4 || messages[0].tag !== 0x0100 || messages[last].tag !== 0x0200)
        throw new SmlDamage(0, "PublicOpen.Req, header, requests, PublicClose.Req", `${messages.length} messages`)
    const target = octetsOf(payload, listOf(messages[0].body, 7, "PublicOpen.Req")[3], "serverId")
    const head = messages[1].tag === 0x0600 ? readRequest(file, 1) : undefined
    if (head?.path.join() !== commandPath || head.value.length < headerOctets || head.value[0] !== 1)
        throw new SmlDamage(messages[1].start, "a command's header, version 1", messageName(messages[1].tag))
    const [signatureNode] = listOf(messages[last].body, 1, "PublicClose.Req")
    const signed = payload.subarray(messages[0].start, signatureNode.start)
    return {
        target,
        counter: head.value.readUInt32BE(1),
        notBefore: head.value.readUInt32BE(5),
        notAfter: head.value.readUInt32BE(9),
        signer: head.value.subarray(13, headerOctets),
        certificates: certificatesIn(head.value.subarray(headerOctets)),
        requests: messages.slice(2, last).map((_, i) => readRequest(file, i + 2)),
        signed,
        digest: createHash("sha256").update(signed).digest(),
        signature: octetsOf(payload, signatureNode, "globalSignature"),
    }
}
