import { createHash } from "node:crypto"
import type { Evidence } from "../evidence/format.ts"
import { isoOf, judgeChain, judgeSince } from "./chain.ts"
import { type PublicKey, verifyBoth } from "./curves.ts"
import type { Findings, Link } from "./findings.ts"
import { mucRole } from "./role.ts"
import {
    deviations,
    entryOf,
    numberOf,
    obis,
    profileOf,
    type SignedItem,
    subMetersOf,
    textOctets,
} from "./signed-list.ts"
import type { SmlFile } from "./sml-file.ts"
import { intOf } from "./sml-tlv.ts"
import { judgeSubMeter, subMeterProfile } from "./sub-meters.ts"
import {
    isTelegramList,
    type ListedTelegram,
    readingsText,
    readTelegrams,
    telegramProfile,
    telegramReadings,
} from "./telegram-list.ts"

/** What the person knows of the software that should run. */
export interface KnownSoftware {
    /** Checksum of the fixed part, hex. */
    image?: string
    /** SHA-256 of the module's image, hex. */
    module?: string
}

/** By what a reading is judged. */
export interface Judgement {
    /** PEM certificates of the institute. */
    anchors: string[]
    /** A key the person vouches for, instead of a chain: the weaker verdict. */
    key?: PublicKey
    /** The software that should run. */
    known?: KnownSoftware
    /** Keys of meters whose telegrams are encrypted, by address in hex: to read them, not to judge them. */
    meterKeys?: Map<string, Buffer>
    /** UTC seconds: judge certificates and revocation as of this moment. */
    atSeconds?: number
    /** The verifier's clock, UTC seconds; the present moment by default. It decides nothing but what is said of the time since. */
    nowSeconds?: number
}

/** The verifier's clock. */
export function nowOf({ nowSeconds }: Judgement): number {
    return nowSeconds ?? Math.floor(Date.now() / 1000)
}

const listClause = "PLOMB-SL"
const skewSeconds = 300

/** 0.1 Wh as Wh, exactly. */
export function wattHours(tenths: bigint): string {
    return `${tenths / 10n}.${tenths % 10n} Wh`
}

/** The status bits that speak against the value itself, and the one that a person should know of. */
function judgeStatus(findings: Findings, word: bigint, place: string): void {
    const bits: [number, string][] = [
        [1, "the terminal cover or seal is open"],
        [2, "the measuring front end has a fault"],
        [4, "the meter is not calibrated"],
        [7, "no metrological software measures"],
    ]
    const set = bits.filter(([bit]) => (word >> BigInt(bit)) & 1n).map(([, text]) => text)
    findings.check(
        set.length === 0,
        "state of the meter",
        `${listClause}, status word`,
        place,
        "sealed, calibrated, no fault",
        set.join("; ") || `status word ${word.toString(16).padStart(8, "0")}`,
    )
}

/** The module that a list names; undefined for a list of the former profile. */
function judgeModule(
    findings: Findings,
    payload: Buffer,
    item: SignedItem,
    place: string,
): { name: string; checksum: string } | undefined {
    const checksum = textOctets(payload, item, obis.moduleChecksum)
    if (!entryOf(item, obis.module) || !checksum) return undefined
    const name = (textOctets(payload, item, obis.module) ?? Buffer.alloc(0))
        .toString("utf8")
        .replace(/[^\p{L}\p{N} .,:_+-]/gu, "?")
        .slice(0, 80)
    const [clause, expected] = [`${listClause}; MID annex I 7.6`, "name and checksum of the module that measures"]
    if (name && checksum.some(each => each !== 0))
        findings.proved("metrological module", clause, place, expected, `${name}, SHA-256 ${checksum.toString("hex")}`)
    else findings.missing("metrological module", clause, place, expected, name ? "no checksum" : "none measures")
    return { name, checksum: checksum.toString("hex") }
}

/** Compares what a device says of its software with what the person knows. */
export function judgeKnown(findings: Findings, known: KnownSoftware, place: string, said: KnownSoftware): void {
    for (const [part, what] of [
        ["image", "fixed part is the build you named"],
        ["module", "module is that of the package you named"],
    ] as const) {
        const wanted = known[part]
        if (wanted !== undefined)
            findings.check(said[part] === wanted, what, "MID annex I 7.6", place, wanted, said[part] ?? "not told")
    }
}

/** Judges one signed list or profile row inside a file whose frame was judged already. */
export function judgeItem(
    findings: Findings,
    file: SmlFile,
    item: SignedItem,
    evidence: Evidence,
    judgement: Judgement,
): { reading: Record<string, string>; link?: Link; key?: PublicKey; since: string; telegrams?: ListedTelegram[] } {
    const { payload } = file
    const place = `message ${item.messageNumber}`
    const at = (offset: number) => `${place}, file offset ${file.fileOffset(offset)}`
    const serverId = item.serverId.toString("hex")
    const ofTelegrams = isTelegramList(item)
    const wanted = ofTelegrams ? telegramProfile : profileOf(item)
    const profile = textOctets(payload, item, obis.profile)
        ?.toString("latin1")
        .replace(/[^ -~]/g, "?")
        .slice(0, 40)
    findings.check(profile === wanted, "signing profile", wanted, place, wanted, profile ?? "none")
    const { telegrams, wrong } = ofTelegrams
        ? readTelegrams(payload, item)
        : { telegrams: undefined, wrong: deviations(payload, item) }
    for (const { at: offset, what, expected, came } of wrong)
        findings.failed("structure of the signed list", wanted, `${at(offset)}, ${what}`, expected, came)
    if (wrong.length === 0)
        findings.proved(
            "structure of the signed list",
            wanted,
            place,
            "every field in its place, type and unit",
            "so it is",
        )

    const quality = numberOf(payload, item, obis.timeQuality)
    const timed = quality === 2n && item.time?.tag === 2
    const receivedSeconds = judgement.atSeconds ?? Date.parse(evidence.receivedAt) / 1000
    const moment = item.valTime?.tag === 2 ? item.valTime.seconds : item.time?.seconds
    const atSeconds = judgement.atSeconds ?? (timed ? moment! : receivedSeconds)
    const atText =
        judgement.atSeconds !== undefined ? "the moment you named" : timed ? "the reading's time" : "the day of receipt"

    let key = judgement.key
    let since = ""
    if (key) {
        findings.unshown(
            "certificate chain",
            "RFC 5280 6.1",
            "key",
            "a chain to the institute",
            "the bare key you named: whose it is, you vouch for",
        )
    } else {
        const path = judgeChain(findings, {
            chain: evidence.chain,
            crls: evidence.crls,
            anchors: judgement.anchors,
            serverId,
            roles: ofTelegrams ? [mucRole] : undefined,
            whose: ofTelegrams ? "MUC" : undefined,
            atSeconds,
            atText,
            receivedSeconds,
        })
        key = path[0]?.key
        since = judgeSince(findings, path, atSeconds, nowOf(judgement))
    }
    let signed = false
    const clause = `${wanted}; FIPS 186-5 6.4.2`
    const signaturePlace = at(item.signatureNode.start)
    const expected = `r|s over the ${item.signed.length} octets as sent`
    if (item.signature.length !== 64)
        findings.failed(
            "signature",
            clause,
            signaturePlace,
            "64 octets r|s",
            item.signature.length ? `${item.signature.length}` : "no signature",
        )
    else if (!key) findings.missing("signature", clause, signaturePlace, expected, "no key to check it with")
    else {
        const result = verifyBoth(key, item.signed, item.signature)
        signed = result.holds
        findings.check(signed, "signature", clause, signaturePlace, expected, result.text)
    }

    const before = findings.list.length
    const custody = numberOf(payload, item, obis.keyProtection)
    const custodyPlace = `${place}, key protection`
    if (custody === 1n)
        findings.proved(
            "key custody",
            `${wanted}, key protection`,
            custodyPlace,
            "a key made in and never out of a secure element",
            "the signed list says so",
        )
    else
        findings.unshown(
            "key custody",
            `${wanted}, key protection`,
            custodyPlace,
            "a key in a secure element",
            custody === 0n ? "a key in software" : "no statement",
        )

    const index = numberOf(payload, item, obis.secondsIndex)
    const texts = ["the clock was never set", "the clock stopped since it was set"]
    if (timed) {
        const limit = Date.parse(evidence.receivedAt) / 1000 + skewSeconds
        const made = item.time!.seconds
        findings.proved(
            "time",
            `${wanted}, time quality`,
            `${place}, sensor time`,
            "a clock that was set and ran since",
            isoOf(moment!),
        )
        findings.check(
            made <= limit,
            "time of receipt",
            "evidence file",
            "receivedAt",
            `not before the meter's ${isoOf(made)}`,
            evidence.receivedAt,
        )
    } else
        findings.missing(
            "time",
            `${wanted}, time quality`,
            `${place}, sensor time`,
            "a clock that was set and ran since",
            `${texts[Number(quality ?? -1n)] ?? "no statement"}; seconds index ${index ?? "unknown"}`,
        )

    const word = item.status ?? numberOf(payload, item, obis.status)
    if (word !== undefined) judgeStatus(findings, word, `${place}, status word`)
    if (item.kind === "list") {
        const software = textOctets(payload, item, obis.software)
            ?.toString("utf8")
            .replace(/[^\p{L}\p{N} .,:_+-]/gu, "?")
            .slice(0, 80)
        const checksum = textOctets(payload, item, obis.checksum)
        if (software && checksum?.some(each => each !== 0))
            findings.proved(
                "software identification",
                `${listClause}; MID annex I 7.6`,
                place,
                "name and checksum inside the signed octets",
                `${software}, SHA-256 ${checksum.toString("hex")}`,
            )
        else
            findings.missing(
                "software identification",
                `${listClause}; MID annex I 7.6`,
                place,
                "name and checksum inside the signed octets",
                software ? "no checksum" : "none",
            )
    }

    const module = item.kind === "list" ? judgeModule(findings, payload, item, place) : undefined
    if (item.kind === "list" && judgement.known)
        judgeKnown(findings, judgement.known, place, {
            image: textOctets(payload, item, obis.checksum)?.toString("hex"),
            module: module?.checksum,
        })

    const others =
        wanted === subMeterProfile
            ? subMetersOf(payload, item).subMeters.map(each => ({
                  number: each.number,
                  text: judgeSubMeter(findings, each, place, timed ? item.time!.seconds : undefined),
              }))
            : []

    if (!signed) findings.unprove(before)

    const pagination = numberOf(payload, item, obis.pagination)
    const drawn = numberOf(payload, item, obis.drawn)
    const fedIn = numberOf(payload, item, obis.fedIn)
    const previous = textOctets(payload, item, obis.previousHash)
    const reading: Record<string, string> = { meter: serverId.toUpperCase() }
    reading.time = timed ? isoOf(moment!) : `not known (seconds index ${index ?? "?"}, received ${evidence.receivedAt})`
    if (pagination !== undefined) reading.pagination = String(pagination)
    for (const [code, name] of [
        [obis.drawn, "1-0:1.8.0"],
        [obis.drawn1, "1-0:1.8.1"],
        [obis.drawn2, "1-0:1.8.2"],
        [obis.drawn3, "1-0:1.8.3"],
        [obis.drawn4, "1-0:1.8.4"],
        [obis.fedIn, "1-0:2.8.0"],
    ]) {
        const value = numberOf(payload, item, code)
        if (value !== undefined) reading[name] = wattHours(value)
    }
    const power = entryOf(item, obis.power)?.value
    if (power?.type === "int") {
        const tenths = intOf(payload, power, "power")
        const size = tenths < 0n ? -tenths : tenths
        reading["1-0:16.7.0"] = `${tenths < 0n ? "-" : ""}${size / 10n}.${size % 10n} W`
    }
    if (module) {
        reading.module = module.name
        reading["module SHA-256"] = module.checksum
    }
    for (const { number, text } of others) reading[`meter ${number}`] = text
    if (word !== undefined) reading.status = word.toString(16).padStart(8, "0")
    if (telegrams) {
        reading.muc = reading.meter
        delete reading.meter
        reading.telegrams = String(telegrams.length)
        telegrams.forEach((each, i) => {
            const when = each.atSeconds === undefined ? "time not known" : isoOf(each.atSeconds)
            const key = judgement.meterKeys?.get(each.meter)
            const what = readingsText(telegramReadings(each, key))
            reading[`${i + 1}`] = `${each.kind} meter ${each.meter}, ${when}, protection ${each.protection}: ${what}`
        })
        if (pagination === undefined || !previous) return { reading, key, since, telegrams }
        const hash = createHash("sha256").update(item.signed).digest("hex")
        const at = timed ? moment : undefined
        const link = {
            serverId,
            pagination: Number(pagination),
            atSeconds: at,
            hash,
            previousHash: previous.toString("hex"),
            signed,
        }
        return { reading, link, key, since, telegrams }
    }
    if (pagination === undefined || index === undefined || drawn === undefined || fedIn === undefined || !previous)
        return { reading, key, since }
    const link: Link = {
        serverId,
        pagination: Number(pagination),
        secondsIndex: Number(index),
        atSeconds: timed ? moment : undefined,
        drawn,
        fedIn,
        hash: createHash("sha256").update(item.signed).digest("hex"),
        previousHash: previous.toString("hex"),
        signed,
    }
    return { reading, link, key, since }
}
