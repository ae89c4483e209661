import { createHash, randomBytes } from "node:crypto"
import { certificateChainPath, certificatesPath } from "../../firmware/core/sml-parameter.ts"
import { verifyAnswer } from "../authority/answer.ts"
import type { CommandOptions, Signer } from "../authority/signer.ts"
import type { Evidence } from "../evidence/format.ts"
import { crlsOf } from "../headend/crls.ts"
import { ExchangeError, readAttention, readResponse, treeValues } from "../headend/responses.ts"
import { isAnswer, type Outcome } from "../verify/answer-file.ts"
import { readCommand } from "../verify/command-file.ts"
import { requestText } from "../verify/command-words.ts"
import { judgeEvidence } from "../verify/evidence.ts"
import type { Verdict } from "../verify/findings.ts"
import { readSmlFile } from "../verify/sml-file.ts"
import type { Party } from "./party.ts"
import type { Reach } from "./reach.ts"
import { codeIn, refusalText } from "./refusals.ts"
import { get, partsOf, type Request, set, unsignedFile } from "./requests.ts"

/** One request of a command, and what came of it. */
export interface Done {
    /** What was asked, in words. */
    asks: string
    outcome: "done" | "answered" | "refused" | "not answered"
    code?: number
    /** Why it was refused and what to do. */
    why?: string
    tree?: Outcome["tree"]
}

/** A command and what came of it. */
export interface Told {
    request: Buffer
    answer: Buffer
    counter: number
    /** Did the device sign the answer, and does it name this command? Without, anybody on the way can have written it. */
    authentic: boolean
    /** The device's UTC seconds, 0 = its clock is not set. */
    utc: number
    requests: Done[]
    evidence: Evidence
    verdicts: Verdict[]
}

/** What is needed to talk to devices. */
export interface TalkOptions {
    party: Party
    reach: Reach
    anchors: string[]
    crls: string[]
    /** Seconds during which a device takes a command. */
    validSeconds?: number
}

function pemOf(der: Buffer): string {
    const lines = der.toString("base64").match(/.{1,64}/g) ?? []
    return `-----BEGIN CERTIFICATE-----\n${lines.join("\n")}\n-----END CERTIFICATE-----\n`
}

/** What a command asks for, request by request, read back from its octets by the verifier's own reader. */
export function asksOf(file: Buffer): string[] {
    return readCommand(readSmlFile(file)).requests.map(requestText)
}

/** A signed command for these requests. Its counter is taken from the signer. */
export function commandFor(signer: Signer, target: Buffer, requests: Request[], options: CommandOptions = {}): Buffer {
    const requestId = randomBytes(8)
    const messages = requests.map((request, i) => request(target, Buffer.concat([requestId, Buffer.of(i)])))
    return signer.command(target, messages, { requestId, ...options })
}

/** Talks to devices as one party: signs, has it carried, judges the answers. */
export class Talk {
    private readonly chains = new Map<string, string[]>()

    constructor(private readonly options: TalkOptions) {}

    get party(): Party {
        return this.options.party
    }

    /** Sends a command of these requests. With `brief` it only names the signer's certificate, which the device must have seen. */
    async tell(target: Buffer, requests: Request[], brief = false): Promise<Told> {
        const { party, reach, validSeconds } = this.options
        // First, so that nothing stands between a command's counter and its sending.
        const chain = await this.chainOf(target)
        const options = { validSeconds, withCertificate: !brief }
        const request = commandFor(party.signer, target, requests, options)
        const answer = await reach.send(target.toString("hex"), request)
        const told = this.judged(request, answer, chain)
        if (told.authentic || told.verdicts.length === 0) return told
        // It may have another key since: then it shows another certificate.
        return this.judged(request, answer, await this.chainOf(target, true))
    }

    /** Sends one request that needs no signature, and answers the Attention that came; undefined where none did. */
    async ask(target: Buffer, request: Request): Promise<{ code: string; text: string } | undefined> {
        const file = unsignedFile(target, randomBytes(8), [request])
        return readAttention(readResponse(await this.options.reach.send(target.toString("hex"), file)))
    }

    /**
     * Brings octets in parts, for a command that names them, or with the `order` that says what they are. None of it is signed: it proves
     * itself. Throws an `ExchangeError` where something is refused.
     */
    async bring(target: Buffer, octets: Buffer, order?: Buffer): Promise<void> {
        const parts = partsOf(octets)
        if (order) parts.push(set(certificatesPath, order))
        for (const part of parts) {
            const attention = await this.ask(target, part)
            if (attention && attention.code !== "fd00")
                throw new ExchangeError(
                    "refused",
                    `${order ? "what was brought" : "a certificate's part"} was ${refusalText(attention.code, attention.text)}`,
                )
        }
    }

    /** The device's certificates as it gives them, PEM; judged with each answer. */
    async chainOf(target: Buffer, anew = false): Promise<string[]> {
        const id = target.toString("hex")
        const known = this.chains.get(id)
        if (known && !anew) return known
        const file = unsignedFile(target, randomBytes(8), [get(certificateChainPath)])
        const answer = readResponse(await this.options.reach.send(id, file))
        const chain = treeValues(answer, 8).map(pemOf)
        if (chain.length === 0)
            throw new ExchangeError("refused", `${id} shows no certificate: its answers could not be judged`)
        this.chains.set(id, chain)
        return chain
    }

    private judged(request: Buffer, answer: Buffer, chain: string[]): Told {
        const { party, anchors, crls } = this.options
        const asks = asksOf(request)
        const { counter } = readCommand(readSmlFile(request))
        const evidence: Evidence = {
            sml: answer,
            request,
            chain,
            commandChain: party.chain,
            crls: crlsOf(crls, [...chain, ...party.chain, ...anchors]),
            receivedAt: new Date().toISOString(),
            source: { muc: "", headend: "plomb operator" },
        }
        const nothing = { request, answer, counter, authentic: false, utc: 0, evidence, verdicts: [] }
        const file = readSmlFile(answer)
        if (!isAnswer(file)) {
            const attention = readAttention(readResponse(answer))
            const why = refusalText(attention?.code, attention?.text)
            const code = codeIn(attention?.text)
            return { ...nothing, requests: asks.map(text => ({ asks: text, outcome: "refused", code, why })) }
        }
        const { holds, answer: read } = verifyAnswer(answer, request, chain[0])
        const verdicts = judgeEvidence("answer", evidence, { anchors })
        const outcomes = read?.outcomes ?? []
        const requests = asks.map((text, i): Done => {
            const outcome = outcomes.length === asks.length ? outcomes[i] : outcomes.find(each => idEnds(each, i))
            if (!outcome) return { asks: text, outcome: "not answered" }
            if (outcome.kind !== "refused") return { asks: text, outcome: outcome.kind, tree: outcome.tree }
            const why = refusalText(outcome.attention, outcome.text)
            return { asks: text, outcome: "refused", code: codeIn(outcome.text), why }
        })
        return { ...nothing, authentic: holds, utc: read?.utc ?? 0, requests, verdicts }
    }
}

/** Transaction ids of a command end with the number of the request. */
function idEnds({ transactionId }: Outcome, i: number): boolean {
    return transactionId[transactionId.length - 1] === i
}

/** SHA-256. */
export function sha256(octets: Uint8Array): Buffer {
    return createHash("sha256").update(octets).digest()
}
