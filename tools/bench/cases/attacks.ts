import { Code } from "../../../firmware/core/errors.ts"
import { closeReq, openReq, setProcParameterReq } from "../../../firmware/core/sml-messages.ts"
import {
    addressesPath,
    commandPath,
    labelPath,
    logbookPath,
    logbookResetPath,
    metrologicalLogbookPath,
    metrologicalResetPath,
    octetsLeaf,
} from "../../../firmware/core/sml-parameter.ts"
import { writeFile } from "../../../firmware/core/sml-transport.ts"
import { Role } from "../../../firmware/core/x509-role.ts"
import { newKey } from "../../pki/keys.ts"
import { renew } from "../../pki/renew.ts"
import { readCommand } from "../../verify/command-file.ts"
import { readSmlFile } from "../../verify/sml-file.ts"
import type { Report } from "../report.ts"
import { type Came, codeText } from "./answer.ts"
import type { Draft, Manner, Person } from "./company.ts"
import { forge } from "./forge.ts"
import { readLog } from "./logs.ts"
import { differences, stillOf } from "./memory.ts"
import { onStage } from "./on-stage.ts"
import { set, word } from "./requests.ts"
import type { Component, Stage } from "./stage.ts"
import type { Story } from "./story.ts"

const other = Buffer.from("0a01504c4201000000ff", "hex")
const quarterMs = 900_000

/** Everything an attacker on the line can do with commands that he saw, and what a party can do that wants more than it has. */
export async function run(): Promise<Report> {
    const reports = [await against("meter"), await against("MUC")]
    return {
        matrices: reports.flatMap(({ matrices }) => matrices),
        notes: reports.flatMap(({ notes }) => notes),
        counts: {
            successes: reports.reduce((sum, { counts }) => sum + counts!.successes, 0),
            refusals: reports.reduce((sum, { counts }) => sum + counts!.refusals, 0),
        },
    }
}

/** One attack after the other on one component; its memory is compared before and after each. */
class Siege {
    /** Codes that came, for the logbook. */
    readonly codes = new Set<number>()

    constructor(
        private readonly story: Story,
        readonly target: Component,
    ) {}

    /** What an operator may do from afar, and what would show: the label of a meter, an address of a MUC. */
    order(text: string) {
        if (this.target.name === "MUC") return set(addressesPath, Buffer.from(`provider=${text}`))
        return set(labelPath, Buffer.from(text))
    }

    async refused(who: Person | string, what: string, attempt: () => Promise<Came>, ...codes: Code[]): Promise<void> {
        const came = this.story.refused(who, what, await this.compared(what, attempt), ...codes)
        if (came.code > 0) this.codes.add(came.code)
    }

    /** Nobody is meant, so nobody answers, or a MUC says that it knows no such meter. */
    async unheard(who: string, what: string, attempt: () => Promise<Came>): Promise<void> {
        const came = await this.compared(what, attempt)
        this.story.shows(who, what, "no answer", came.text, came.code === -1 || /^attention fe03/.test(came.text))
    }

    private async compared(what: string, attempt: () => Promise<Came>): Promise<Came> {
        const before = stillOf(this.target)
        const came = await attempt()
        const places = differences(before, stillOf(this.target))
        if (places !== "")
            this.story.shows(this.target.name, `is as before: ${what}`, "the same", `changed at ${places}`)
        return came
    }
}

function against(name: Component["name"]): Promise<Report> {
    const play = async (stage: Stage, story: Story) => {
        const { world } = stage.desk
        // Nothing is signed by itself for the next quarter of an hour.
        await world.runFor(quarterMs - (world.nowMs() % quarterMs) + 20_000)
        const target = name === "meter" ? stage.meter : stage.muc
        const siege = new Siege(story, target)
        const operator = await stage.certify("operator", "operator")
        await replays(stage, story, siege, operator)
        await changes(stage, siege, operator)
        await escalations(stage, story, siege, operator)
        await logged(stage, story, siege)
    }
    return onStage(`Attacks with commands on a ${name}`, play, { muc: name === "MUC" })
}

async function replays(stage: Stage, story: Story, siege: Siege, operator: Person): Promise<void> {
    const { target } = siege
    const first = stage.write(operator, target, [siege.order("first")])
    const second = stage.write(operator, target, [siege.order("second")])
    const third = stage.write(operator, target, [siege.order("third")])
    story.done(operator, "sends the first of three orders", await stage.show(first, target))
    await siege.refused("attacker", "replays it", () => stage.show(first, target), Code.CommandReplayed)
    story.done("attacker", "keeps the second back and lets the third pass", await stage.show(third, target))
    await siege.refused(
        "attacker",
        "sends the second after the third",
        () => stage.show(second, target),
        Code.CommandReplayed,
    )
    await stage.restart(target)
    await siege.refused(
        "attacker",
        "replays the first after a power cut",
        () => stage.show(first, target),
        Code.CommandReplayed,
    )
    await siege.refused(
        "attacker",
        "replays the third after a power cut",
        () => stage.show(third, target),
        Code.CommandReplayed,
    )
    const draft = stage.draft(operator, target, [siege.order("fourth")])
    const { certificate } = await renew(stage.pki, operator.path, { now: stage.now() })
    const swapped = stage.draft(operator, target, [siege.order("fourth")], { certificates: [certificate] })
    const swap = () => stage.show(under(draft, swapped, operator), target)
    await siege.refused("attacker", "puts the signer's renewed certificate into an order", swap, Code.CommandSignature)
}

async function changes(stage: Stage, siege: Siege, operator: Person): Promise<void> {
    const { target } = siege
    const elsewhere = other.subarray(0, target.id.length)
    const draft = (text: string, manner: Manner = {}) => stage.draft(operator, target, [siege.order(text)], manner)
    const tell = (manner: Manner) => () => stage.tell(operator, target, [siege.order("changed")], manner)
    const show = (signed: Draft, changed: Draft) => () => stage.show(under(signed, changed, operator), target)
    const attempts: [who: Person | string, what: string, attempt: () => Promise<Came>, code: Code][] = [
        ["attacker", "changes an order", show(draft("good"), draft("bad")), Code.CommandSignature],
        [
            "attacker",
            "readdresses an order for another device",
            show(draft("good", { target: elsewhere }), draft("good")),
            Code.CommandSignature,
        ],
        ["attacker", "takes the signature away", () => stage.ask(target, [siege.order("bare")]), Code.NotSigned],
        [operator, "sends an order of yesterday", tell({ from: -90_000, to: -86_000 }), Code.CommandExpired],
        [operator, "sends an order for tomorrow", tell({ from: 80_000, to: 86_000 }), Code.CommandNotYetValid],
        [operator, "sends an order for two days", tell({ from: -86_400, to: 86_400 }), Code.CommandPeriod],
        [
            operator,
            "names the provider's certificate and sends the own",
            tell({ named: stage.der("security-management") }),
            Code.CommandForm,
        ],
        [
            operator,
            "signs under the provider's certificate",
            tell({ certificates: [stage.der("security-management")] }),
            Code.CommandSignature,
        ],
    ]
    for (const [who, what, attempt, code] of attempts) await siege.refused(who, what, attempt, code)
    await siege.unheard("attacker", "sends an order for another device", () =>
        stage.tell(operator, target, [siege.order("changed")], { target: elsewhere }),
    )
}

async function escalations(stage: Stage, story: Story, siege: Siege, operator: Person): Promise<void> {
    const { target } = siege
    const attempt = (who: Person, certificates?: Buffer[]) => () =>
        stage.tell(who, target, [siege.order("more")], { certificates })
    const by = "security-management"
    const twin = await forge(stage, "Plomb Operator", { role: Role.operator, by, signedBy: newKey().key })
    await siege.refused(twin, "shows a certificate in the provider's name", attempt(twin), Code.ChainSignature)
    const child = await forge(stage, "of an operator", { role: Role.operator, by: operator.path })
    await siege.refused(
        child,
        "was certified by an operator",
        attempt(child, [child.signer.certificate, operator.signer.certificate]),
        Code.ChainNotCa,
        Code.ChainKeyUsage,
        Code.ChainPathLength,
    )
    for (const role of [Role.institute, Role.calibrationAuthority, Role.manufacturer, Role.securityManagement]) {
        const upstart = await forge(stage, `${Role[role]} by the provider`, { role, by })
        await siege.refused(
            upstart,
            "was certified as what a provider may not certify",
            attempt(upstart),
            Code.RoleNotCertifiable,
        )
    }
    const roleless = await forge(stage, "without a role", { by })
    await siege.refused(roleless, "has no role", attempt(roleless), Code.RoleMissing)
    const device = await forge(stage, "a meter by the provider", { role: Role.meter, by })
    await siege.refused(device, "commands as a meter", attempt(device), Code.RoleNotCertifiable)
    const all = await forge(stage, "operator with all rights", { role: Role.operator, rights: 0x1fffff, by })
    const clear = set(target.name === "meter" ? metrologicalResetPath : logbookResetPath, word(1))
    // The command as such is sound and counts.
    const came = await stage.tell(all, target, [clear])
    story.refused(all, "clears the logbook, by rights that its role has not", came, Code.FunctionDenied)
}

/** Every refusal is in the logbook: an entry of its code, or, of a known signer, with the function. */
async function logged(stage: Stage, story: Story, siege: Siege): Promise<void> {
    const { target } = siege
    const manufacturer = stage.person("manufacturer")
    const books: [who: Person, path: Buffer][] = [[manufacturer, logbookPath]]
    if (target.name === "meter") books.push([await stage.certify("inspector", "inspector"), metrologicalLogbookPath])
    const told = new Set<number>()
    for (const [who, path] of books) {
        const log = await readLog(stage, who, target, path)
        const name = path === logbookPath ? "logbook" : "metrological logbook"
        story.done(who, `reads the ${name}`, log.came)
        story.shows(
            name,
            "every entry names the one before, the head the newest",
            "whole",
            log.whole ? "whole" : "broken",
        )
        story.notes.push(`${target.name}: ${log.count} entries in the ${name}.`)
        for (const { event, code } of log.entries) if (event === "refused") told.add(code)
    }
    const missing = [...siege.codes].filter(code => !told.has(code)).map(codeText)
    story.shows("logbooks", `tell the refusals, ${siege.codes.size} kinds`, "all", missing.join(", ") || "all")
}

/** What `draft` says, under the signature of what `signed` said. */
function under(signed: Draft, draft: Draft, by: Person): Buffer {
    const file = readCommand(readSmlFile(by.signer.seal(signed.target, signed.header, signed.messages, signed.id)))
    const { target, header, messages, id } = draft
    return writeFile([
        openReq(id, id, id, target),
        setProcParameterReq(id, target, [commandPath], octetsLeaf(commandPath, header)),
        ...messages,
        closeReq(id, file.signature),
    ])
}
