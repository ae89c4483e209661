import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import {
    changeProviderPath,
    deleteProviderPath,
    erasePath,
    logbookPath,
    rolloverPath,
} from "../../firmware/core/sml-parameter.ts"
import { UsageError } from "../cli/usage.ts"
import { writeAtomically } from "../evidence/format.ts"
import { renew } from "../pki/renew.ts"
import { derOfPem, readCertificate, splitPem } from "../verify/certificate.ts"
import { isoOf } from "../verify/chain.ts"
import { readCommand } from "../verify/command-file.ts"
import { readSmlFile } from "../verify/sml-file.ts"
import { sayEntry } from "./logbooks.ts"
import { fromNumber, get, half, set } from "./requests.ts"
import { deviceText, type Session } from "./session.ts"
import { commandFor, sha256 } from "./talk.ts"

const begin = Buffer.of(1)
const finish = 2
const giveUp = Buffer.of(0)
/** What an order, and orders without a value, say. */
const yes = Buffer.of(0)
/** An order lasts as long as a command may. */
const orderSeconds = 86_400 - 300

/** DER of the first certificate of a file, or of the party in a folder. Throws `UsageError`. */
export function certificateAt(path: string, option: string, pki?: string): Buffer {
    const places = [path, join(path, "cert.pem"), ...(pki ? [join(pki, path, "cert.pem")] : [])]
    for (const place of places) {
        if (!existsSync(place)) continue
        try {
            const [first] = splitPem(readFileSync(place, "latin1"), "CERTIFICATE")
            if (first) return derOfPem(first, "CERTIFICATE")
        } catch {
            // A folder: its cert.pem comes next.
        }
    }
    throw new UsageError(`${option} ${path}: no certificate there`)
}

/** DER of the revocation list that a party of a PKI folder issues; undefined where there is none. */
export function listBeside(path: string, pki?: string): Buffer | undefined {
    const place = [path, ...(pki ? [join(pki, path)] : [])].map(each => join(each, "crl.pem")).find(existsSync)
    return place === undefined ? undefined : listIn(place)
}

function listIn(path: string): Buffer {
    let text: string
    try {
        text = readFileSync(path, "latin1")
    } catch (error) {
        throw new UsageError(`${path} can not be read (${(error as NodeJS.ErrnoException).code})`)
    }
    const [first] = splitPem(text, "X509 CRL")
    if (!first) throw new UsageError(`${path}: no revocation list in it`)
    return derOfPem(first, "X509 CRL")
}

/**
 * Brings what proves itself where no directory does: the first provider's certificate, or a revocation list; behind it the certificate of
 * the CA (`ca`, else that of the signer's PKI), which meters do not hold.
 */
export async function bringByHand(
    session: Session,
    what: "certificate" | "list",
    path: string,
    ca?: string,
): Promise<void> {
    const { party, target } = session
    const der = what === "list" ? listIn(path) : certificateAt(path, "bring certificate", party.pki)
    const root = ca ?? (party.pki && join(party.pki, "ca-root"))
    const issuer = target.length === 7 || root === undefined ? Buffer.alloc(0) : certificateAt(root, "--ca")
    const order = Buffer.concat([Buffer.of(what === "list" ? 2 : 1), half(der.length), half(issuer.length)])
    const text = what === "list" ? "a revocation list" : readCertificate(der).subjectText
    session.say(
        `Bringing ${deviceText(target)} ${text}, which proves itself; no right is asked for, and nothing is signed.`,
    )
    if (session.dry) return
    await session.talk.bring(target, Buffer.concat([der, issuer]), order)
    session.say("  It is kept.")
}

/**
 * Hands a device over to another provider: its certificate and its CA's first, in parts, then the command that names them. A MUC takes the
 * revocation `list` of the next provider with it: without a current one it speaks to nobody whom that has certified.
 */
export async function changeProvider(session: Session, provider: Buffer, ca: Buffer, list?: Buffer): Promise<void> {
    const { subjectText } = readCertificate(provider)
    session.say(`The next provider of ${deviceText(session.target)} is to be ${subjectText}.`)
    const brought = Buffer.concat([provider, ca, ...(list ? [list] : [])])
    if (!session.dry) await session.talk.bring(session.target, brought)
    const listLength = list ? [half(list.length)] : []
    const value = Buffer.concat([half(provider.length), half(ca.length), sha256(provider), ...listLength])
    if (await session.tell([set(changeProviderPath, value)]))
        session.say(
            `  ${subjectText} is its provider now; whom ${session.party.certificates[0].subjectText} certified has no rights there any more.`,
        )
}

/** Removes the provider: the manufacturer's remedy where one refuses to hand over. */
export async function removeProvider(session: Session): Promise<void> {
    if (!(await session.tell([set(deleteProviderPath, yes)]))) return
    session.say("  It has no provider now, and takes the next one that its CA has certified.")
    await sayEntry(session)
}

/** A new key for a meter, made inside, certified by the calibration authority of a PKI folder; `step` "begin" does it all. */
export async function rollover(session: Session, step: "begin" | "give-up"): Promise<void> {
    const { target } = session
    const id = target.toString("hex")
    if (step === "give-up") {
        await session.tell([set(rolloverPath, giveUp)])
        return
    }
    const told = await session.tell([set(rolloverPath, begin)])
    if (!told) return
    const { pki } = session.party
    const tree = told.requests[0].tree
    const csr = tree && (tree.value.length > 0 ? tree.value : tree.children[0]?.value)
    if (!csr?.length) return session.fail("  The answer holds no request for a certificate.")
    if (!pki) throw new UsageError("the new key is certified by the PKI of --as: give --as PKI/calibration-authority")
    const { certificate, serial } = await renew(pki, `meters/${id}`, { csr })
    session.say(`  It made a new key; certificate ${serial} is issued for it.`)
    await session.talk.bring(target, certificate)
    const value = Buffer.concat([Buffer.of(finish), half(certificate.length), sha256(certificate)])
    if (!(await session.tell([set(rolloverPath, value)]))) return
    const [now] = await session.talk.chainOf(target, true)
    const taken = derOfPem(now, "CERTIFICATE").equals(certificate)
    if (!taken) return session.fail("  It still shows its former certificate.")
    session.say("  It signs with the new key now; readings under the former one stay proof (plomb verify).")
}

/** Writes the calibration authority's order to erase a device, to be given to whoever does it. */
export function writeEraseOrder(session: Session, out: string): void {
    const { party, target } = session
    const order = commandFor(party.signer, target, [set(erasePath, yes)], {
        // A meter holds that certificate and has no room for another; a MUC does not hold it.
        withCertificate: target.length === 7,
        validSeconds: orderSeconds,
    })
    writeAtomically(out, order)
    const { notAfter, counter } = readCommand(readSmlFile(order))
    session.say(
        `${party.text}, orders ${deviceText(target)} to be erased: order ${counter}, good until ${isoOf(notAfter)}, in ${out}.`,
    )
    session.say("A local operator carries it out: plomb operator erase --order FILE.")
    session.result.order = { target: target.toString("hex"), counter, until: isoOf(notAfter), file: out }
}

/** Has a device erase itself by an order. */
export async function erase(session: Session, path: string): Promise<void> {
    let order: Buffer
    try {
        order = readFileSync(path)
    } catch (error) {
        throw new UsageError(`--order ${path} can not be read (${(error as NodeJS.ErrnoException).code})`)
    }
    const { target, notAfter } = readCommand(readSmlFile(order))
    if (!target.equals(session.target))
        throw new UsageError(`the order is for ${deviceText(target)}, not for ${deviceText(session.target)}`)
    if (notAfter < Date.now() / 1000)
        throw new UsageError(`the order was good until ${isoOf(notAfter)}: have it made anew`)
    const muc = target.length === 7
    // A meter has no room for the order beside a certificate: it gets to know the signer first.
    if (!muc && !session.dry && !(await session.tell([get(logbookPath, fromNumber(0xffffffff))], { quiet: true })))
        return
    if (!(await session.tell([set(erasePath, order)], { brief: !muc }))) return
    session.say(
        muc
            ? "  It is marked, and does nothing else any more. Take its power and give it again with muc_install on it: its key, certificates and secrets go, and it is a bare board (plomb commission muc)."
            : "  Its key, certificates and readings are gone. It is calibrated anew before it is used again (plomb calibrate).",
    )
}
