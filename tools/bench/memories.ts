import { createECDH } from "node:crypto"
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { Held } from "../../firmware/core/inventory.ts"
import { parseCertificate } from "../../firmware/core/x509.ts"
import type { ChipBench } from "../chips/bench.ts"
import { readPem } from "../pki/pem.ts"
import type { Holding } from "./holdings.ts"
import { type Cell, expected, type Matrix, unexpected } from "./report.ts"
import { type Find, privateOctets, type Secret, scan } from "./scan.ts"

const fram = "FRAM, 128 KB"

/** A device whose memories are looked through. */
export interface Searched {
    holder: string
    /** What it must hold: certificates by fingerprint. */
    holdings: readonly Holding[]
    /** Its own certificate, DER: the key of it must be in slot 0 of its secure element, and there only; absent where it has none. */
    own?: Buffer
    /** Common names of those whose revocation lists it may have, of any day. */
    listsOf: readonly string[]
    /** Memories by name, and the slots of the secure element apart. */
    memories: { name: string; octets: Uint8Array }[]
    keySlots: Uint8Array[]
}

/** A symmetric key or a password: nobody holds it but `holder`, and that one only in this part of its FRAM. */
export interface Kept extends Secret {
    holder?: string
    from?: number
    to?: number
}

/** What no memory of any device may hold: the private keys of the PKI in this folder, by the name of their party. */
export function privateKeysOf(pki: string): Secret[] {
    return filesBelow(pki, "key.pem").map(path => ({
        name: `private key of ${path.slice(pki.length + 1, -"/key.pem".length)}`,
        octets: privateOctets(readFileSync(path, "utf8")),
    }))
}

/** Every certificate of the PKI, DER. */
export function certificatesOf(pki: string): Buffer[] {
    return filesBelow(pki, "cert.pem").map(path => readPem(readFileSync(path, "utf8"))[0].der)
}

/** FRAM and secure element of a board, as they are at this moment. */
export function memoriesOf(bench: ChipBench): Pick<Searched, "memories" | "keySlots"> {
    const { config, otp, slots } = JSON.parse(Buffer.from(bench.secureElement.save()).toString("utf8"))
    const parts: [string, string[]][] = [
        ["secure element, slots 8 to 15", slots.slice(8)],
        ["secure element, configuration and OTP", [config, otp]],
    ]
    return {
        memories: [
            { name: fram, octets: bench.fram.memory },
            ...parts.map(([name, hex]) => ({ name, octets: Buffer.from(hex.join(""), "hex") })),
        ],
        keySlots: slots.slice(0, 8).map((slot: string) => Buffer.from(slot, "hex")),
    }
}

/**
 * The second proof: whatever the devices say, their memories are looked through. In each memory there may be the
 * certificates that the holder must have, lists of those it asks about, and nothing else of the kind; the key of its
 * own certificate is in slot 0 of its element; and no memory has a private key of another, or a `secret` at all.
 */
export function memoryMatrix(searched: readonly Searched[], pki: string, secrets: readonly Kept[]): Matrix {
    const certificates = certificatesOf(pki)
    const banned = secretsOf(searched, pki, secrets)
    const rows = searched.flatMap(device => [
        ...device.memories.map(({ name, octets }) => ({
            names: [device.holder, name],
            cells: [judge(device, name, scan(octets, certificates, banned), secrets)],
        })),
        ...(device.own
            ? [
                  { names: [device.holder, "secure element, slot 0"], cells: [judgeKey(device.keySlots, device.own)] },
                  { names: [device.holder, "secure element, slots 0 to 7"], cells: [judgeSlots(device, pki)] },
              ]
            : []),
    ])
    return { title: "What is in their memories", head: ["holder", "memory", "found"], rows }
}

/** Where no key at all may have come past, as it is or in hex: the line, what is printed, what is kept of the readings. */
export function outsideMatrix(
    searched: readonly Searched[],
    pki: string,
    secrets: readonly Kept[],
    places: Record<string, Buffer>,
): Matrix {
    const banned = secretsOf(searched, pki, secrets)
    const rows = Object.entries(places).map(([name, octets]) => {
        const text = octets.toString("latin1").toLowerCase()
        const found = banned.filter(each => octets.includes(each.octets) || text.includes(each.octets.toString("hex")))
        const size = `none in ${octets.length} octets`
        const names = found.map(each => each.name).join(", ")
        return { names: [name], cells: [names === "" ? expected(size) : unexpected("keys", `found ${names}`)] }
    })
    return { title: "Keys and passwords outside of their holders", head: ["place", "found"], rows }
}

/** Private keys of the PKI and of all devices, and the symmetric ones. */
function secretsOf(searched: readonly Searched[], pki: string, secrets: readonly Kept[]): Secret[] {
    const own = searched.flatMap(({ holder, keySlots }) =>
        keySlots
            .map((slot, i) => ({ name: `key in slot ${i} of ${holder}`, octets: Buffer.from(slot).subarray(4, 36) }))
            .filter(({ octets }) => octets.some(octet => octet !== octets[0])),
    )
    return [...privateKeysOf(pki), ...own, ...secrets]
}

function judge(device: Searched, memory: string, finds: readonly Find[], secrets: readonly Kept[]): Cell {
    const inFram = memory === fram
    const mine = inFram ? secrets.filter(({ holder }) => holder === device.holder) : []
    const inPlace = ({ name, at }: Find) =>
        mine.some(each => each.name === name && at >= each.from! && at + each.octets.length <= each.to!)
    const wanted = new Set(device.holdings.filter(({ kind }) => kind < Held.RevocationList).map(({ id }) => id))
    const wrong = finds.filter(find => {
        if (find.kind === "certificate") return !wanted.has(find.fingerprint!)
        if (find.kind === "revocation list") return !device.listsOf.includes(find.name)
        return find.kind !== "secret" || !inPlace(find)
    })
    const missing = [
        ...(inFram ? [...wanted].filter(id => !finds.some(({ fingerprint }) => fingerprint === id)) : []),
        ...mine.map(({ name }) => name).filter(name => !finds.some(find => find.name === name && inPlace(find))),
    ]
    const count = (kind: Find["kind"]) => finds.filter(each => each.kind === kind).length
    const lists = count("revocation list")
    const keys = mine.length > 0 ? `, ${mine.length} symmetric secrets in their place` : ""
    const text = finds.length > 0 ? `${count("certificate")} certificates, ${lists} revocation lists${keys}` : "nothing"
    if (wrong.length + missing.length === 0) return expected(text)
    const said = wrong.map(({ kind, name, at }) => `${kind} (${name}) at 0x${at.toString(16)}`)
    const missed = missing.map(each => `not found: ${each}`)
    return unexpected(text, [...said, ...missed].join("; "))
}

function judgeKey(keySlots: readonly Uint8Array[], own: Buffer): Cell {
    const key = parseCertificate(own).publicKey
    return publicOf(keySlots[0])?.equals(key)
        ? expected("the key of its certificate")
        : unexpected("another key", "slot 0 must hold the key of the device's own certificate")
}

/** Nobody else's key is in a slot, at least none of the PKI. */
function judgeSlots({ keySlots }: Searched, pki: string): Cell {
    const used = keySlots.filter(slot => publicOf(slot)).length
    const foreign = privateKeysOf(pki).filter(({ octets }) => keySlots.some(slot => Buffer.from(slot).includes(octets)))
    if (foreign.length > 0) return unexpected("a foreign key", foreign.map(({ name }) => name).join(", "))
    return expected(`${used} keys of its own`)
}

/** X|Y of the private key in a slot; undefined where there is none. */
function publicOf(slot: Uint8Array): Buffer | undefined {
    const key = Buffer.from(slot).subarray(4, 36)
    if (key.length < 32 || key.every(octet => octet === key[0])) return undefined
    const pair = createECDH("prime256v1")
    pair.setPrivateKey(key)
    return pair.getPublicKey().subarray(1)
}

/** Paths of all files below a folder, or of those with this name; none where there is no folder. */
export function filesBelow(folder: string, name?: string): string[] {
    if (!existsSync(folder)) return []
    return readdirSync(folder)
        .sort()
        .flatMap(each => {
            const path = join(folder, each)
            if (statSync(path).isDirectory()) return filesBelow(path, name)
            return name === undefined || each === name ? [path] : []
        })
}
