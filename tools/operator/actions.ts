import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { addressesPath, attestationPath, keysPath, timePath } from "../../firmware/core/sml-parameter.ts"
import { UsageError } from "../cli/usage.ts"
import { kind } from "../commission/secrets.ts"
import { readSoftware } from "../verify/software.ts"
import { change, functionByName, raise, roleByName, show } from "./access.ts"
import {
    bringByHand,
    certificateAt,
    changeProvider,
    erase,
    listBeside,
    removeProvider,
    rollover,
    writeEraseOrder,
} from "./changes.ts"
import { logbook, sayEntry } from "./logbooks.ts"
import type { Reach } from "./reach.ts"
import { get, list, profile, type Request, set, word } from "./requests.ts"
import { sealKey } from "./seal.ts"
import type { Session } from "./session.ts"
import { activate, confirm, deliver, packageAt, rollback, sayState, showSoftware } from "./software.ts"
import { momentOf, parameters } from "./values.ts"

/** The options that belong to an action. */
export interface Words {
    to?: string
    ca?: string
    order?: string
    out?: string
    "no-confirm"?: boolean
}

/** What there is beside the session. */
interface Around {
    anchors: string[]
    reach: Reach | undefined
}

/** One action of the command line, its words read and found good. */
export interface Action {
    /** Sends nothing. */
    local?: boolean
    /** Is about no one device. */
    general?: boolean
    /** Writes `--out` itself. */
    ownOut?: boolean
    run(session: Session, around: Around): Promise<void>
}

/** Action for the words; throws `UsageError`. */
export function actionOf([name = "", ...rest]: string[], words: Words): Action {
    const make = actions[name]
    if (!make) throw new UsageError(`"${name}" is no action; they are ${Object.keys(actions).join(", ")}`)
    return make(rest, words)
}

function noMore(rest: string[], most: number, expected: string): void {
    if (rest.length > most) throw new UsageError(`"${rest[most]}" is too much: expected ${expected}`)
}

function oneOf<T extends string>(text: string | undefined, choices: readonly T[], what: string): T {
    const found = choices.find(each => each === text)
    if (!found) throw new UsageError(`${what}: ${choices.join(" or ")}, not "${text ?? ""}"`)
    return found
}

function need(text: string | undefined, what: string): string {
    if (text === undefined || text === "") throw new UsageError(`${what} is missing`)
    return text
}

/** Sends a change and says the entry that tells of it. */
async function order(session: Session, request: Request): Promise<void> {
    if (await session.tell([request])) await sayEntry(session)
}

const actions: Record<string, (rest: string[], words: Words) => Action> = {
    devices: rest => {
        noMore(rest, 0, "devices")
        return {
            general: true,
            run: async (session, { reach }) => {
                const { mucs, meters } = await reach!.devices()
                for (const id of mucs) session.say(`MUC   ${id}`)
                for (const id of meters) session.say(`meter ${id}`)
                Object.assign(session.result, { mucs, meters })
            },
        }
    },
    read: rest => {
        noMore(rest, 0, "read")
        return { run: session => readings(session, list()) }
    },
    profile: rest => {
        noMore(rest, 2, "profile FROM TO")
        const [from, to] = [momentOf(need(rest[0], "FROM")), momentOf(need(rest[1], "TO"))]
        if (to < from) throw new UsageError("profile FROM TO: FROM is after TO")
        return { run: session => readings(session, profile(from, to)) }
    },
    logbook: (rest, { out }) => {
        const reset = rest[rest.length - 1] === "reset"
        const which = reset ? rest.slice(0, -1) : rest
        noMore(which, 1, "logbook [metrological|device] [reset]")
        const book = oneOf(which[0] ?? "metrological", ["metrological", "device"], "logbook")
        return {
            ownOut: true,
            run: (session, { anchors }) => logbook(session, book, { anchors }, { outPath: out, reset }),
        }
    },
    "set-time": rest => {
        noMore(rest, 1, "set-time [now|TIME]")
        const text = rest[0] ?? "now"
        momentOf(text)
        return { run: session => order(session, (target, id) => set(timePath, word(momentOf(text)))(target, id)) }
    },
    parameter: rest => {
        const what = oneOf(rest[0], ["get", "set"], "parameter")
        const name = need(rest[1], "the parameter's name")
        const parameter = parameters[name]
        if (!parameter)
            throw new UsageError(`"${name}" is no parameter; they are ${Object.keys(parameters).join(", ")}`)
        noMore(rest, what === "get" ? 2 : 3, "parameter get NAME, or parameter set NAME VALUE")
        if (what === "set") {
            const value = parameter.write(need(rest[2], "VALUE"))
            return { run: session => order(session, set(parameter.path, value)) }
        }
        return { run: session => value(session, name, parameter.path, parameter.read) }
    },
    access: rest => {
        const what = oneOf(rest[0], ["show", "grant", "deny", "raise"], "access")
        noMore(
            rest,
            what === "show" ? 1 : 3,
            "access show, access grant|deny ROLE FUNCTION or access raise ROLE VERSION",
        )
        if (what === "show") return { run: show }
        const role = roleByName(need(rest[1], "ROLE"))
        if (what !== "raise") {
            const fn = functionByName(need(rest[2], "FUNCTION"))
            return { run: session => change(session, role, fn, what === "grant") }
        }
        const version = Number(need(rest[2], "VERSION"))
        if (!(Number.isInteger(version) && version > 0 && version < 2 ** 31))
            throw new UsageError(`VERSION is a whole number from 1, not "${rest[2]}"`)
        return { run: session => raise(session, role, version) }
    },
    provider: (rest, { to, ca }) => {
        noMore(rest, 1, "provider change|remove")
        if (oneOf(rest[0], ["change", "remove"], "provider") === "remove") return { run: removeProvider }
        const next = need(to, "--to PARTY|PEM, the next provider,")
        return {
            run: async session => {
                const { pki } = session.party
                const root = ca ?? (pki && join(pki, "ca-root"))
                if (root === undefined) throw new UsageError("--ca PEM: the CA that certified the next provider")
                const list = session.target.length === 7 ? listBeside(next, pki) : undefined
                await changeProvider(session, certificateAt(next, "--to", pki), certificateAt(root, "--ca"), list)
            },
        }
    },
    rollover: rest => {
        noMore(rest, 1, "rollover [begin|give-up]")
        const step = oneOf(rest[0] ?? "begin", ["begin", "give-up"], "rollover")
        return { run: session => rollover(session, step) }
    },
    order: (rest, { out }) => {
        noMore(rest, 1, "order erase")
        oneOf(rest[0], ["erase"], "order")
        const path = need(out, "--out FILE, where the order goes,")
        if (existsSync(path)) throw new UsageError(`--out ${path} is there already`)
        return {
            local: true,
            ownOut: true,
            run: async session => {
                writeEraseOrder(session, path)
            },
        }
    },
    erase: (rest, words) => {
        noMore(rest, 0, "erase --order FILE")
        const path = need(words.order, "--order FILE, the calibration authority's order,")
        return { run: session => erase(session, path) }
    },
    addresses: rest => {
        const what = oneOf(rest[0], ["get", "set"], "addresses")
        if (what === "get") {
            noMore(rest, 1, "addresses get")
            return { run: session => value(session, "addresses", addressesPath, octets => octets.toString("utf8")) }
        }
        const wrong = rest.slice(1).find(each => !/^[a-z]{1,13}=[^\s=]+$/.test(each))
        if (rest.length < 2 || wrong !== undefined)
            throw new UsageError(`addresses set NAME=VALUE..., as uplink=head.example.org:4059, not "${wrong ?? ""}"`)
        return { run: session => order(session, set(addressesPath, Buffer.from(rest.slice(1).join("\n")))) }
    },
    keys: rest => {
        noMore(rest, 3, "keys KIND KEYFILE [ID]")
        const of = { mbus: kind.mBus, key1plc: kind.key1Plc, key2plc: kind.key2Plc }
        const which = oneOf(rest[0], ["mbus", "key1plc", "key2plc"], "keys")
        const key = keyIn(need(rest[1], "KEYFILE"), which === "mbus" ? 16 : 32)
        const id = Buffer.from(rest[2] ?? "", "hex")
        if ((which === "mbus") === (id.length === 0))
            throw new UsageError("keys mbus KEYFILE ID: the radio meter in hex; the others have none")
        return { run: session => putKey(session, of[which], id, key) }
    },
    bring: (rest, { ca }) => {
        noMore(rest, 2, "bring certificate|list PEM")
        const what = oneOf(rest[0], ["certificate", "list"], "bring")
        const path = need(rest[1], "PEM, what is brought,")
        return { run: session => bringByHand(session, what, path, ca) }
    },
    software: (rest, words) => {
        const step = oneOf(rest[0], ["list", "deliver", "activate", "confirm", "rollback"], "software")
        const most = step === "list" || step === "rollback" ? 1 : 2
        noMore(rest, most, "software list, deliver|activate|confirm PACKAGE, rollback")
        if (step === "list") return { run: showSoftware }
        if (step === "rollback") return { run: rollback }
        const delivered = step === "confirm" && rest[1] === undefined ? undefined : packageAt(need(rest[1], "PACKAGE"))
        if (step === "confirm") return { run: session => confirm(session, delivered) }
        if (step === "deliver") return { run: session => deliver(session, delivered!) }
        return { run: session => activate(session, delivered!, !words["no-confirm"]) }
    },
    attest: rest => {
        noMore(rest, 0, "attest")
        return { run: attest }
    },
}

/** Asks for signed readings, shows them and what they prove. */
async function readings(session: Session, request: Request): Promise<void> {
    const told = await session.tell([request])
    if (!told) return
    const shown = told.verdicts.filter(each => each.kind !== "plomb evidence, command")
    if (shown.length === 0) return session.fail("  The answer holds no reading.")
    for (const { name, statement, reading } of shown) {
        for (const [what, text] of Object.entries(reading)) session.say(`  ${what.padEnd(12)} ${text}`)
        session.say(`  ${name.toUpperCase()}. ${statement}`)
    }
    session.result.readings = shown.map(({ name, statement, reading }) => ({ verdict: name, statement, reading }))
}

/** Reads one value and shows it. */
async function value(session: Session, name: string, path: Buffer, read: (octets: Buffer) => string): Promise<void> {
    const told = await session.tell([get(path)])
    if (!told) return
    const octets = told.requests[0].tree?.value
    if (!octets) return session.fail("  The answer holds no value.")
    const text = read(octets).replace(/[\p{Cc}]/gu, " ")
    session.say(`  ${name}: ${text}`)
    session.result[name] = text
}

async function attest(session: Session): Promise<void> {
    const told = await session.tell([get(attestationPath)])
    if (!told) return
    const tree = told.requests[0].tree
    const values = tree ? [tree, ...tree.children].map(each => each.value).filter(each => each.length > 0) : []
    const texts = values.map(each =>
        each.every(octet => octet >= 32 && octet < 127) ? each.toString("latin1") : each.toString("hex"),
    )
    for (const text of texts) session.say(`  ${text}`)
    session.result.attestation = texts
    const state = tree && readSoftware(tree)
    if (state) sayState(session, state)
}

function keyIn(path: string, length: number): Buffer {
    let text: string
    try {
        text = readFileSync(path, "utf8").trim()
    } catch (error) {
        throw new UsageError(`KEYFILE ${path} can not be read (${(error as NodeJS.ErrnoException).code})`)
    }
    if (!/^[0-9a-fA-F]*$/.test(text) || text.length !== 2 * length)
        throw new UsageError(`KEYFILE ${path}: expected ${2 * length} hex digits`)
    return Buffer.from(text, "hex")
}

/** Puts a symmetric key into a MUC: it makes a key for the exchange, in a signed answer; only it can open what is sealed to that. */
async function putKey(session: Session, of: number, id: Buffer, key: Buffer): Promise<void> {
    const told = await session.tell([get(keysPath)])
    if (!told) return
    const tree = told.requests[0].tree
    const theirs = tree && (tree.value.length > 0 ? tree.value : tree.children[0]?.value)
    if (theirs?.length !== 64) return session.fail("  The answer holds no key for an exchange.")
    await order(session, set(keysPath, sealKey(theirs, session.target, of, id, key)))
}
