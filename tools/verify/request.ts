import type { Findings } from "./findings.ts"
import type { SignedItem } from "./signed-list.ts"
import { readSmlFile, type SmlFile } from "./sml-file.ts"
import { listOf, octetsOf, SmlDamage } from "./sml-tlv.ts"

const clause = "SML 1.04, SML_PublicOpen.Res.reqFileId, SML_Message.transactionId"

/** What a request file asked: its id, whom, and with which transactions. */
interface Asked {
    reqFileId: string
    serverId: string
    transactions: Set<string>
}

function readRequest(octets: Buffer): Asked {
    const file = readSmlFile(octets)
    if (file.damage) throw file.damage
    const open = file.messages[0]
    if (open?.tag !== 0x0100) throw new SmlDamage(0, "PublicOpen.Req first", "another message")
    const fields = listOf(open.body, 7, "PublicOpen.Req")
    return {
        reqFileId: octetsOf(file.payload, fields[2], "reqFileId").toString("hex"),
        serverId: octetsOf(file.payload, fields[3], "serverId").toString("hex"),
        transactions: new Set(file.messages.map(message => message.transactionId.toString("hex"))),
    }
}

/** Does the response belong to the stored request? The request is not signed: this guards against mix-ups. */
export function judgeRequest(findings: Findings, file: SmlFile, request: Buffer, items: SignedItem[]): void {
    if (request.length === 0) {
        findings.unshown("answer to the request", clause, "request", "the request file", "none stored")
        return
    }
    try {
        const asked = readRequest(request)
        const open = listOf(file.messages[0].body, 6, "PublicOpen.Res")
        const answered = octetsOf(file.payload, open[2], "reqFileId").toString("hex")
        findings.check(
            answered === asked.reqFileId,
            "answer to the request",
            clause,
            "message 1, reqFileId",
            asked.reqFileId,
            answered,
        )
        for (const item of items) {
            const place = `message ${item.messageNumber}`
            const from = item.serverId.toString("hex")
            const transaction = item.message.transactionId.toString("hex")
            if (asked.serverId)
                findings.check(
                    from === asked.serverId,
                    "answer of the meter asked",
                    clause,
                    place,
                    asked.serverId,
                    from,
                )
            findings.check(
                asked.transactions.has(transaction),
                "transaction of the request",
                clause,
                `${place}, transactionId`,
                [...asked.transactions].join(" or ").slice(0, 120),
                transaction,
            )
        }
    } catch (error) {
        if (!(error instanceof SmlDamage)) throw error
        findings.failed("answer to the request", clause, `request, offset ${error.at}`, error.expected, error.came)
    }
}
